"""Error messages and JSON carry the id by which a server knows the request that failed."""

import json

import pytest

from tests.services.runloop import Reply as RunloopReply
from tests.services.strait.api import Reply
from tm_cli.exit_codes import ExitCode

REQUEST = "host/abc-000042"
"""The id in every error of the simulated Strait server."""

UNKNOWN = "0192f0a4-0000-7e55-b1a6-00000000dead"


@pytest.mark.parametrize(
    "words",
    [
        ("show", UNKNOWN),
        ("cancel", UNKNOWN),
        ("replay", UNKNOWN),
        ("wait", UNKNOWN),
        ("bulk", "replay", UNKNOWN),
        ("definitions", "create", "{}"),
    ],
    ids=" ".join,
)
def test_error_of_strait_carries_it_even_where_tm_says_it_in_its_own_words(jobs, strait, words):
    strait.api.scopes = {"runs:read", "jobs:read"}
    found = jobs(*words, "--json").json["error"]
    assert found["request_id"] == REQUEST
    assert f"[request id {REQUEST}]" in jobs(*words, "-v").stderr
    assert REQUEST not in jobs(*words).stderr


def test_refused_start_carries_it_in_json_and_in_the_report(jobs, strait, tm):
    strait.job(enabled=False)
    argv = ("start", "export", "--wait", "--report", "json=report.json", "--json")
    result = jobs(*argv)
    assert result.exit_code == ExitCode.REFUSED
    assert result.json["error"]["request_id"] == REQUEST
    report = json.loads((tm.cwd / "report.json").read_text())
    assert report["data"]["decision"]["request_id"] == REQUEST
    again = tm("report", "eval", "report.json", "--fail-on", "FAIL", "--json")
    assert again.json["error"]["request_id"] == REQUEST


def test_report_without_it_is_read(jobs, strait, tm):
    strait.job(enabled=False)
    jobs("start", "export", "--wait", "--report", "json=report.json")
    path = tm.cwd / "report.json"
    path.write_text(path.read_text().replace('"request_id"', '"of_another_version"'))
    again = tm("report", "eval", "report.json", "--fail-on", "FAIL", "--json")
    assert again.json["error"]["request_id"] is None
    assert again.exit_code == ExitCode.REFUSED


def test_poll_that_has_failed_names_it(jobs, strait):
    run = strait.world.make_run(strait.job()["id"])
    body = b'{"error": "too busy", "request_id": "r-7"}'
    strait.api.fault("GET /v1/runs/{run}", None)
    for _ in range(2):
        headers = {"Content-Type": "application/json"}
        strait.api.fault("GET /v1/runs/{run}", Reply(503, body, headers))
    result = jobs("wait", run.id, "-v", "--no-stream")
    assert "too busy (HTTP 503) [request id r-7]" in result.stderr


@pytest.mark.parametrize(
    "answer",
    [
        {"headers": {"X-Request-Id": "r-7"}, "document": {"error": "Profile not found"}},
        {"document": {"error": "Profile not found", "requestId": "r-7"}},
        {"headers": {"X-Request-Id": "r-7"}, "text": "<html>", "content_type": "text/html"},
    ],
    ids=["header", "body", "gateway"],
)
def test_error_of_trafficmorph_carries_it(gate, server, answer):
    server.answer("GET", "/profiles/1", code=400, **answer)
    result = gate("profiles", "show", "1", "--json", "-v")
    assert result.json["error"]["request_id"] == "r-7"
    assert "[request id r-7]" in result.stderr


def test_answer_that_is_none_of_the_api_carries_it(gate, server):
    server.answer("POST", "/profiles/1/stop", text="{", headers={"X-Request-Id": "r-7"})
    result = gate("runs", "stop", "1", "--json")
    assert result.json["error"]["request_id"] == "r-7"


def test_error_of_runloop_carries_it(bench, world):
    body = b'{"message": "no", "request_id": "r-7"}'
    world.answer = lambda _request: RunloopReply(400, body)
    result = bench("show", "bmr_1", "--json", "-v")
    assert result.json["error"]["request_id"] == "r-7"
    assert "[request id r-7]" in result.stderr


@pytest.mark.parametrize("odd", [7, ["r"], {"a": 1}, None, "", "  "], ids=repr)
def test_what_is_no_id_is_none(gate, server, odd):
    server.answer("GET", "/profiles/1", {"error": "no", "request_id": odd}, code=400)
    assert gate("profiles", "show", "1", "--json").json["error"]["request_id"] is None


def test_id_is_as_hostile_as_any_text(gate, server):
    nasty = "\x1b[31m\n::error::x ##[error]" + "y" * 9999
    server.answer("GET", "/profiles/1", {"error": "no", "request_id": nasty}, code=400)
    result = gate("profiles", "show", "1", "-v")
    assert "\x1b" not in result.stderr
    assert "##[" not in result.stderr
    assert not any(line.startswith("::") for line in result.stderr.splitlines())
    assert len(result.stderr) < 500


def test_message_that_does_not_quote_the_server_is_followed_by_it(gate, server):
    for _ in range(2):
        server.answer(
            "GET",
            "/history/99",
            {"error": "Run history not found"},
            code=400,
            headers={"X-Request-Id": "r-7"},
        )
    result = gate("history", "show", "99", "-v", "--json")
    assert result.json["error"]["request_id"] == "r-7"
    assert result.stderr.count("r-7") == 1
    assert "r-7" not in gate("history", "show", "99").stderr
