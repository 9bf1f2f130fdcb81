"""A start is sent once; a lost answer is looked up by its mark and never repeated."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest
from werkzeug.wrappers import Response

from tests.services.runloop import Refusal, Reply
from tm_cli.exit_codes import ExitCode

GATE = ("start", "bmd_1", "--wait", "--min-score", "80%")


@pytest.fixture(autouse=True)
def benchmark(world):
    return world.benchmark(scenarios=1)


@pytest.fixture
def answered(world):
    """Answer each start as given: with a reply, or after really starting the run."""

    def arrange(*replies, starts=True):
        route, left = world._route, list(replies)

        def reply(request):
            if not request.path.endswith("start_run") or not left:
                return route(request)
            if starts:
                route(request)
                for run in world.runs.values():
                    world.on_look(run["id"], lambda it: world.drive(it["id"], [1.0]))
            return left.pop(0)

        world._route = reply

    return arrange


def error(status, body=b'{"message": "no"}', kind="application/json"):
    return Reply(status, body, kind)


LOST = [
    pytest.param(error(500), id="500"),
    pytest.param(error(409), id="409"),
    pytest.param(error(408), id="408"),
    pytest.param(error(502, b"<html>", "text/html"), id="gateway"),
    pytest.param(Reply(200, b"<html>login</html>", "text/html"), id="login-page"),
    pytest.param(Reply(200, b"{", "application/json"), id="half-a-document"),
    pytest.param(Reply(200, b"{}", "application/json"), id="empty-object"),
    pytest.param(Reply(200, b'{"id": ""}', "application/json"), id="no-id"),
    pytest.param(Reply(204, b"", "application/json"), id="204"),
    pytest.param(
        Reply(200, b'{"id": "bmr_9", "benchmark_id": "bmd_9"}', "application/json"), id="other"
    ),
]


@pytest.mark.parametrize("reply", LOST)
def test_run_of_a_lost_answer_is_adopted_by_its_mark(bench, world, answered, reply):
    answered(reply)
    result = bench(*GATE, "--json")
    assert result.exit_code == ExitCode.OK
    assert result.json["data"]["started_run_id"] == "bmr_1"
    assert len(world.requests("POST", "start_run")) == 1


@pytest.mark.parametrize("reply", LOST)
def test_start_that_nobody_can_find_is_unknown_and_not_repeated(bench, world, answered, reply):
    world.finished_run([1.0], name="tm-0123456789abcdef")
    answered(reply, starts=False)
    result = bench(*GATE)
    assert result.exit_code == ExitCode.START_UNKNOWN
    assert "look for it with `tm benchmarks list --name tm-0123456789abcdef`" in result.stderr
    assert len(world.requests("POST", "start_run")) == 1


ODD_IDS = ["a\0b", "a\nb", "\u202ebmr_1", ".", "..", "x" * 300, "--help"]


@pytest.mark.parametrize("run_id", ODD_IDS, ids=ascii)
@pytest.mark.parametrize("driver", [(), ("--exec", sys.executable)], ids=["alone", "driven"])
def test_start_whose_answer_names_what_is_no_id_is_unknown(bench, world, answered, run_id, driver):
    """Nothing else is known of the run; it is no mistake of the user either."""
    body = json.dumps({"id": run_id, "benchmark_id": "bmd_1", "state": "running"}).encode()
    answered(Reply(200, body, "application/json"), starts=False)
    result = bench(*GATE, *driver)
    assert result.exit_code == ExitCode.START_UNKNOWN
    assert "which cannot be an id" in result.stderr
    assert "tm benchmarks list --name tm-" in result.stderr


def test_refusal_is_not_believed_when_a_run_with_an_odd_id_is_there(bench, world, answered):
    answered(error(400))
    (route, listed) = (world._route, "/v1/benchmark_runs")

    def with_odd_ids(request):
        reply = route(request)
        odd = reply.body.replace(b'"bmr_', b'"-bmr_') if request.path == listed else reply.body
        return replace(reply, body=odd)

    world._route = with_odd_ids
    assert bench(*GATE).exit_code == ExitCode.START_UNKNOWN


@pytest.mark.parametrize("status", [400, 402, 413, 422])
def test_refusal_is_told_in_the_words_of_the_server(bench, world, answered, status):
    answered(error(status, b'{"message": "quota is used up"}'), starts=False)
    result = bench(*GATE)
    assert result.exit_code == ExitCode.REFUSED
    assert "not started: quota is used up" in result.stderr


@pytest.mark.parametrize("status", [404, 410])
def test_start_that_is_not_served_says_that_the_api_is_gone(bench, answered, status):
    answered(error(status), starts=False)
    result = bench(*GATE)
    assert result.exit_code == ExitCode.REFUSED
    assert "the benchmark API is not available at this base URL" in result.stderr


def test_refusal_of_a_gateway_is_not_believed_when_the_run_is_there(bench, world, answered):
    answered(error(400, b"<html>", "text/html"))
    assert bench(*GATE).exit_code == ExitCode.OK
    assert len(world.requests("POST", "start_run")) == 1


def test_busy_server_is_asked_again(bench, world, answered):
    answered(error(429), error(429), starts=False)
    bench(*GATE, "--wait-timeout", "1m")
    assert len(world.requests("POST", "start_run")) == 3


@pytest.mark.parametrize("status", [401, 403])
def test_refused_key_is_final(bench, world, answered, status):
    answered(error(status), starts=False)
    assert bench(*GATE).exit_code == ExitCode.AUTHENTICATION
    assert len(world.requests("POST", "start_run")) == 1


def test_server_that_is_not_there_ends_with_unavailable(tm):
    environ = {"RUNLOOP_BASE_URL": "http://127.0.0.1:9", "RUNLOOP_API_KEY": "rl-test-key"}
    result = tm("benchmarks", *GATE, environ=environ)
    assert result.exit_code == ExitCode.UNAVAILABLE


def test_fresh_run_may_be_unknown_for_a_moment(bench, world):
    start = world._new_run

    def hidden(body):
        run = start(body)
        world.drive(run["id"], [1.0])
        found = world.runs.pop(run["id"])
        look = world._look_at
        left = [True, True]

        def late(items, item_id):
            if left:
                left.pop()
            else:
                world.runs[found["id"]] = found
            return look(items, item_id)

        world._look_at = late
        return run

    world._new_run = hidden
    assert bench(*GATE).exit_code == ExitCode.OK


def test_run_that_disappears_is_an_error(bench, world):
    start = world._new_run

    def vanishing(body):
        run = start(body)
        world.on_look(run["id"], lambda _: None, lambda it: world.runs.pop(it["id"]))
        return run

    world._new_run = vanishing
    result = bench(*GATE)
    assert result.exit_code == ExitCode.ERROR
    assert "the server knows no benchmark run bmr_1" in result.stderr


def test_redirect_takes_the_key_nowhere(bench, httpserver):
    httpserver.clear()
    elsewhere = httpserver.url_for("/elsewhere")
    httpserver.expect_request("/v1/benchmarks/bmd_1").respond_with_response(
        Response(status=302, headers={"Location": elsewhere})
    )
    assert bench(*GATE).exit_code == ExitCode.ERROR
    assert all(request.path != "/elsewhere" for request, _ in httpserver.log)


def test_run_that_an_answer_names_wrongly_is_not_taken_for_ours(bench, world, answered):
    """A proxy may answer with what it remembers: a run from long ago, and it passed."""
    old = world.finished_run([1.0])
    answered(Reply(200, json.dumps(old).encode()))
    result = bench(*GATE, "--json")
    assert result.exit_code == ExitCode.OK
    assert result.json["data"]["started_run_id"] not in (None, old["id"])


def test_run_without_the_mark_of_this_start_decides_nothing(bench, world):
    """Where no listing says which runs there were, the mark in the answer is believed at first."""
    old = world.finished_run([1.0])
    start, route = world._start_run, world._route_run
    world._start_run = lambda body: {**start(body), "id": old["id"]}

    def without_listing(method, words, request, query):
        if (method, words) == ("GET", []):
            raise Refusal(404, "no listing")
        return route(method, words, request, query)

    world._route_run = without_listing
    result = bench(*GATE)
    assert result.exit_code == ExitCode.UNDECIDED
    assert "does not carry the mark of this start" in result.stderr
