"""What waits for a response script, what is left out, and what is said about it; no process."""

import gzip
import json

import pytest

from tm_cli.server.engine.http1.response import Response
from tm_cli.server.engine.job import EngineJob
from tm_cli.server.engine.scripts import response_script
from tm_cli.server.engine.scripts.response_script import ResponseScript
from tm_cli.server.workers.engine_events import ScriptCounts, event_fields, parse_event

SOURCE = "function process() { return '$$user$$ $$token$$ $$TIME$$ $$CURRENT_RPS$$ $$DURATION$$' }"
DATA = {"name": "users", "mode": "SEQUENTIAL", "csv": "user\nada\n"}


@pytest.fixture
def script():
    job = {"run_id": "r", "target_url": "http://a/", "points": [(0, 0), (10, 20)], "duration": 10}
    further = {"response_script": SOURCE, "init_values": {"token": "abc"}, "data": [DATA]}
    return ResponseScript(
        EngineJob.parse({**job, **further, "interpolation": "LINEAR"}), lambda: 2.0
    )


def response(size=10):
    found = Response(lambda _: b"")
    found.status, found.head, found.body_size = 200, b"HTTP/1.1 200 OK", size
    found.body += b"x" * min(size, 10)
    return found


def test_a_call_has_the_values_of_its_request_and_of_its_moment(script):
    script.take(0, {"user": "ada", "token": "abc"}, response())
    [waiting] = script._line()
    values = {"user": "ada", "TIME": 2.0, "CURRENT_RPS": 4.0, "DURATION": 10.0}
    assert waiting.values == values  # those of the init script are the same in all calls


def test_large_bodies_and_what_finds_the_queue_full_are_left_out_and_counted(script, monkeypatch):
    monkeypatch.setattr(response_script, "_MOST_WAITING", 2)
    for size in (300_000, 10, 10, 10):
        script.take(0, {}, response(size))
    assert len(script._waiting) == 2
    script.close(0.0)
    assert script.counts()["skipped"] == 4


def test_responses_that_a_script_was_too_slow_for_come_first_in_the_next_line(script):
    for side in (0, 1, 0):
        script.take(side, {}, response())
    line = script._line()
    script._put_back(line[1:])
    assert script._line() == line[1:]
    assert script._waiting_bytes == 0


def compressed(size):
    found = response()
    found.head += b"\r\nContent-Encoding: gzip"
    found.body[:] = gzip.compress(b"x" * size)
    found.body_size = len(found.body)
    return found


def test_what_compressed_bodies_decode_to_is_limited(script):
    for size in (50_000, 10_000_000, 50_000, 50_000):
        script.take(0, {}, compressed(size))
    line = script._line()
    assert [len(each.arguments[-1]) for each in line] == [50_000, 50_000]  # in one line
    assert script.counts()["skipped"] == 1


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"_ok": 99, "_skipped": 1, "sent": 9}, None),
        ({"_ok": 90, "_skipped": 10, "sent": 0}, None),
        ({"_ok": 90, "_skipped": 10, "sent": 9}, "was not called for 10 of 100 responses"),
        ({"_ok": 0, "_skipped": 10, "_failures": 4}, "was not called for 10 of 10 responses"),
        ({"_errors": 5, "_skipped": 5}, "was not called for 5 of 10 responses"),
        ({"_ok": 90, "_too_large": 10, "sent": 9}, None),
        ({"_too_large": 10}, None),
        ({"_ok": 90, "sent": 90, "dropped": 10}, "10 of 100 requests of the response script"),
        ({}, None),
    ],
)
def test_a_run_that_sent_less_than_its_script_asks_for_says_so(script, counts, words):
    for name, count in counts.items():
        setattr(script if name.startswith("_") else script.follow_ups, name, count)
    assert (script.note() or "") == "" if words is None else words in script.note()


def test_counts_arrive_as_they_were_told(script):
    event = ScriptCounts(ok=3, messages={"Error: no": 1}, console=("a",))
    name, fields = event_fields(event)
    line = json.dumps({"event": name, **fields}).encode()
    assert parse_event(line) == event
