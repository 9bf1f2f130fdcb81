"""Whole commands against answers that never end: each ends in time, and never with a pass."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.services.trafficmorph import KEY, RUN, detail, page, profile, row, status
from tests.simulation.process import launch
from tests.simulation.unending import FAST, SLOW, RawServer, json_answer
from tm_cli.exit_codes import ExitCode

ENDLESS = {
    "drips the head": SLOW["head, byte by byte"],
    "repeats interim answers": SLOW["interim answers"],
    "drips a chunk extension": SLOW["chunk extension"],
    "drips trailers": SLOW["trailers"],
    "drips the body": SLOW["body"],
    "floods with interim answers": FAST["bare interim answers"],
    "sends a header without end": FAST["one header"],
    "sends trailers without end": FAST["trailers"],
}
SHORT = ("--timeout", "200ms", "--wait-timeout", "500ms", "--verdict-timeout", "500ms")
GATE = ("runs", "start", "42", "--wait", "--fail-on", "FAIL", *SHORT)
SOON = 6.0
"""Seconds in which each of these commands ends on a busy machine."""

PHASES = {
    "snapshot": ExitCode.UNAVAILABLE,
    "start": ExitCode.START_UNKNOWN,
    "status": ExitCode.WAIT_TIMEOUT,
    "history": ExitCode.UNDECIDED,
    "detail": ExitCode.FAIL,
}
"""The right end of a gate on a run that failed, where one kind of request is never answered."""


class HastyClock:
    """Real time, of which pauses are skipped."""

    def __init__(self):
        self._skipped = 0.0

    def monotonic(self):
        return time.monotonic() + self._skipped

    def now(self):
        return datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(seconds=self._skipped)

    def sleep(self, seconds):
        self._skipped += seconds

    def wait(self, event, seconds):
        if not event.is_set():
            self.sleep(seconds)
        return event.is_set()


@pytest.fixture
def clock():
    return HastyClock()


class Service:
    """A profile whose run ends at once and has failed; requests of `stuck` get no answer."""

    def __init__(self, stuck, answer, verdict="FAIL"):
        self._stuck = stuck
        self._answer = answer
        self._verdict = verdict
        self.asked = []

    def __call__(self, request):
        method, target, _ = request.line.split(" ")
        name, document = self._read(method, target)
        self.asked.append(name)
        if name == self._stuck:
            return self._answer()
        return json_answer(json.dumps(document).encode())

    def _read(self, method, target):
        if method == "POST":
            return "start", {"runId": RUN, "status": "RUNNING", "profileId": 42}
        if target.endswith("/status"):
            return "status", status("IDLE")
        if "/history/" in target:
            return "detail", detail(autoVerdict=self._verdict)
        if "/history?" in target:
            if "start" not in self.asked:
                return "snapshot", page()
            return "history", page(row(autoVerdict=self._verdict))
        if target.endswith("/profiles"):
            return "profiles", []
        return "profile", profile()


@pytest.fixture
def gate_on(tm):
    def run(service, *argv):
        with RawServer(service) as server:
            began = time.monotonic()
            environ = {"TM_BASE_URL": server.url, "TM_API_KEY": KEY}
            outcome = tm(*(argv or GATE), environ=environ)
            assert time.monotonic() - began < SOON
        return outcome

    return run


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("name", ENDLESS)
def test_gate_ends_in_time_and_starts_once(gate_on, name, phase):
    service = Service(phase, ENDLESS[name])
    outcome = gate_on(service)
    assert outcome.exit_code == PHASES[phase], outcome.stderr
    assert service.asked.count("start") == (phase != "snapshot")


def test_detail_that_never_comes_leaves_the_verdict_of_the_list(gate_on):
    outcome = gate_on(Service("detail", ENDLESS["drips the head"], verdict="PASS"))
    assert outcome.exit_code == ExitCode.OK


def test_request_timeout_does_not_lengthen_a_wait(gate_on):
    argv = (*GATE, "--timeout", "60s")
    outcome = gate_on(Service("status", SLOW["nothing"]), *argv)
    assert outcome.exit_code == ExitCode.WAIT_TIMEOUT


def test_used_up_budget_of_requests_does_not_lengthen_a_wait(tm, clock):
    service = Service(None, None)
    service._read = going(service._read)
    with RawServer(service) as server:
        environ = {"TM_BASE_URL": server.url, "TM_API_KEY": KEY}
        argv = ("--timeout", "5s", "--wait-timeout", "10s", "--poll-interval", "100ms")
        began = clock.monotonic()
        outcome = tm(*GATE, *argv, environ=environ)
    assert outcome.exit_code == ExitCode.WAIT_TIMEOUT
    assert clock.monotonic() - began < 10.0 + SOON
    assert service.asked.count("status") > 50


def going(read):
    """The same service with a run that goes on and on."""

    def changed(method, target):
        name, document = read(method, target)
        return name, status() if name == "status" else document

    return changed


@pytest.mark.parametrize(
    ("prefix", "argv"),
    [
        ("TM", ("profiles", "list")),
        ("TM", ("history", "show", "7")),
        ("RUNLOOP", ("benchmarks", "list")),
        ("STRAIT", ("jobs", "list")),
    ],
)
@pytest.mark.parametrize("name", ["repeats interim answers", "floods with interim answers"])
def test_plain_command_ends_after_three_attempts(tm, prefix, argv, name):
    with RawServer(lambda _: ENDLESS[name]()) as server:
        began = time.monotonic()
        environ = {f"{prefix}_BASE_URL": server.url, f"{prefix}_API_KEY": KEY}
        outcome = tm(*argv, "--timeout", "200ms", environ=environ)
        assert time.monotonic() - began < SOON
    assert outcome.exit_code == ExitCode.UNAVAILABLE
    assert len(server.requests) == 3


def test_wait_for_a_job_ends_in_time(tm):
    run = {"id": "0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11", "job_id": "j", "status": "executing"}
    answers = iter([json_answer(json.dumps(run).encode())])
    with RawServer(lambda _: next(answers, None) or ENDLESS["drips the head"]()) as server:
        began = time.monotonic()
        environ = {"STRAIT_BASE_URL": server.url, "STRAIT_API_KEY": KEY}
        outcome = tm("jobs", "wait", run["id"], *SHORT[:4], environ=environ)
        assert time.monotonic() - began < SOON
    assert outcome.exit_code == ExitCode.WAIT_TIMEOUT, outcome.stderr


@pytest.mark.parametrize(
    "words", [("jobs", "stream"), ("benchmarks", "scenario", "score", "--wait")]
)
def test_other_waits_end_in_time_as_well(tm, words):
    run = {"id": "0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11", "job_id": "j", "status": "executing"}
    answers = iter(
        [json_answer(json.dumps(run | {"state": "scoring", "scenario_id": "s"}).encode())]
    )
    with RawServer(lambda _: next(answers, None) or SLOW["nothing"]()) as server:
        began = time.monotonic()
        names = ("STRAIT", "RUNLOOP")
        environ = {
            f"{name}_{what}": value
            for name in names
            for what, value in (("BASE_URL", server.url), ("API_KEY", KEY))
        }
        outcome = tm(*words, run["id"], "--wait-timeout", "500ms", environ=environ)
        assert time.monotonic() - began < SOON
    assert outcome.exit_code in {ExitCode.WAIT_TIMEOUT, ExitCode.UNAVAILABLE}, outcome.stderr


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("61", "1m01s"),
        ("299", "4m59s"),
        ("300", "5m or more"),
        ("900", "5m or more"),
        ("9" * 9, "5m or more"),
    ],
)
@pytest.mark.parametrize("status", [b"503", b"429"])
def test_plain_command_does_not_wait_for_longer_than_a_minute(tm, clock, asked, told, status):
    head = b"HTTP/1.1 " + status + b" Busy\r\nContent-Length: 0\r\nConnection: close\r\n"
    with RawServer(lambda _: head + b"Retry-After: %s\r\n\r\n" % asked.encode()) as server:
        began = clock.monotonic()
        environ = {"TM_BASE_URL": server.url, "TM_API_KEY": KEY}
        outcome = tm("profiles", "list", environ=environ)
    assert clock.monotonic() - began < SOON
    assert len(server.requests) == 1
    assert f"asks for a pause of {told};" in outcome.stderr


def test_gate_waits_as_long_as_the_server_asks_before_it_starts(gate_on, clock):
    answers = iter([b"Retry-After: 200\r\n"])
    busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n"
    service = Service(None, None)

    def answer(request):
        more = next(answers, None)
        return busy + more + b"\r\n" if more else service(request)

    began = clock.monotonic()
    outcome = gate_on(answer, *GATE, "--wait-timeout", "5m")
    assert outcome.exit_code == ExitCode.FAIL, outcome.stderr
    assert clock.monotonic() - began > 200


def test_gate_does_not_wait_for_longer_than_its_limit_before_it_starts(gate_on, clock):
    busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n"
    began = clock.monotonic()
    outcome = gate_on(lambda _: busy + b"Retry-After: 999999999\r\n\r\n")
    assert outcome.exit_code == ExitCode.ERROR
    assert clock.monotonic() - began < SOON


@pytest.mark.process
@pytest.mark.parametrize(
    ("argv", "stuck", "code"),
    [
        (("profiles", "list", "--timeout", "300ms"), "profiles", ExitCode.UNAVAILABLE),
        (GATE, "start", ExitCode.START_UNKNOWN),
        (GATE, "status", ExitCode.WAIT_TIMEOUT),
    ],
    ids=["profiles list", "start", "status"],
)
def test_program_itself_ends_in_time(tmp_path, argv, stuck, code):
    service = Service(stuck, ENDLESS["repeats interim answers"])
    with RawServer(service) as server:
        process = launch([*argv], server.url, tmp_path)
        process.communicate(timeout=20)
    assert process.returncode == code
    assert service.asked.count("start") == (argv is GATE)


def test_comment_that_gets_no_answer_is_given_up_and_noted(tm, gate_on):
    report = ("--report", "json=report.json")
    gate_on(Service(None, None), *GATE, *report)
    with RawServer(lambda _: ENDLESS["repeats interim answers"]()) as server:
        began = time.monotonic()
        environ = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": server.url.rstrip("/"),
            "GITHUB_REPOSITORY": "a/b",
            "GITHUB_TOKEN": KEY,
        }
        words = ("report", "comment", "report.json", "--pr", "7", "--timeout", "200ms")
        outcome = tm(*words, environ=environ)
        assert time.monotonic() - began < SOON
    assert outcome.exit_code == ExitCode.OK
    assert "no comment was made" in outcome.stderr
