"""The client of the benchmark API: requests as the official client sends them, strict listings."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx2
import pytest

from tests.services.runloop import ZIP
from tm_cli.api.errors import ConnectionFailed, HttpError, InvalidResponse
from tm_cli.api.runloop import BenchmarkJob, RunloopClient, read_runloop_error
from tm_cli.api.transport import Connection, Transport
from tm_cli.errors import UsageError
from tm_cli.values.api_key import ApiKey

RECORDED = {
    (item["call"], urlsplit(item["path"]).query): item
    for item in json.loads((Path(__file__).parent / "recorded.json").read_text())
}
ANSWER = {
    "id": "x",
    "state": "running",
    "scenario_id": "scn_1",
    "has_more": False,
    **{name: [] for name in ("runs", "benchmarks", "scenarios", "jobs")},
}


class Wire(httpx2.BaseTransport):
    """Answers everything with one reply and keeps the requests."""

    def __init__(self, *replies):
        self.replies = list(replies)
        self.seen = []

    def handle_request(self, request):
        request.read()
        self.seen.append(request)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, Mapping):
            reply = httpx2.Response(200, json=reply)
        unread = httpx2.ByteStream(reply.content)
        return httpx2.Response(reply.status_code, headers=reply.headers, stream=unread)


@pytest.fixture
def client(clock):
    def make(wire, prefix=""):
        connection = Connection(
            base_url=f"https://api.example/{prefix}",
            key=ApiKey("rl-test-key"),
            clock=clock,
            environ={},
            bearer=True,
            explain=read_runloop_error,
            transport=wire,
        )
        return RunloopClient(Transport(connection), clock, lambda: "token")

    return make


FULL_PROFILE = next(item for key, item in RECORDED.items() if key[0] == "start_run full")["body"][
    "runProfile"
]
JOB = next(item for key, item in RECORDED.items() if key[0] == "benchmark_jobs.create")["body"]
CALLS = {
    "start_run minimal": lambda it: it.start_run("bmd_1"),
    "start_run full": lambda it: it.start_run(
        "bmd_1", run_name="ci #42", metadata={"commit": "abc"}, run_profile=FULL_PROFILE
    ),
    "start_run own idempotency key": lambda it: it.start_run("bmd_1", request_id="my-key-1"),
    "retrieve": lambda it: it.get_run("bmr_1"),
    "retrieve odd id": lambda it: it.get_run("a/b?c#d e"),
    "list no filter (auto-paged)": lambda it: it.list_runs(),
    "list filtered": lambda it: it.list_runs(
        benchmark_id="bmd_1", state="completed", name="n", search="s"
    ),
    "cancel": lambda it: it.cancel_run("bmr_1"),
    "complete": lambda it: it.complete_run("bmr_1"),
    "list_scenario_runs": lambda it: it.list_scenario_runs("bmr_1"),
    "list_scenario_runs filtered": lambda it: it.list_scenario_runs("bmr_1", state="failed"),
    "benchmarks.list": lambda it: it.list_benchmarks(name="n", search="x"),
    "benchmarks.retrieve": lambda it: it.get_benchmark("bmd_1"),
    "benchmarks.list_public": lambda it: it.list_benchmarks(public=True),
    "benchmarks.definitions": lambda it: it.list_scenarios("bmd_1"),
    "scenarios.start_run": lambda it: it.start_scenario_run(
        "scn_1", benchmark_run_id="bmr_1", run_name="x", run_profile={"envVars": {"A": "1"}}
    ),
    "scenarios.runs.retrieve": lambda it: it.get_scenario_run("scr_1"),
    "scenarios.runs.list": lambda it: it.list_all_scenario_runs(
        benchmark_run_id="bmr_1", state="failed"
    ),
    "scenarios.runs.score": lambda it: it.score_scenario_run("scr_1"),
    "scenarios.runs.complete": lambda it: it.complete_scenario_run("scr_1"),
    "scenarios.runs.cancel": lambda it: it.cancel_scenario_run("scr_1"),
    "scenarios.runs.download_logs": lambda it: it.download_scenario_logs("scr_1"),
    "benchmark_jobs.create": lambda it: it.create_job(JOB["spec"], name=JOB["name"]),
    "benchmark_jobs.retrieve": lambda it: it.get_job("bmj_1"),
    "benchmark_jobs.list": lambda it: it.list_jobs(name="n", search="s"),
    "retrieve with base_url path prefix, timeout 7": lambda it: it.get_run("bmr_1"),
}
PAGING = {"limit", "starting_after", "include_total_count"}
"""How a listing is cut into pages is each client's own choice."""


def first(call):
    return next(item for key, item in RECORDED.items() if key[0] == call)


def filters(query):
    return {(name, value) for name, value in parse_qsl(query) if name not in PAGING}


def asked_for(path):
    """The id that a path names, which the answer must have."""
    found = re.search(r"/((?:bm[rdj]|scr)_\d+|a%2F[^/?]+)", path)
    return unquote(found[1]) if found else "x"


@pytest.mark.parametrize("call", CALLS)
def test_request_is_the_one_of_the_official_client(client, call):
    recorded = first(call)
    is_file = recorded["accept"] == "application/zip"
    headers = {"content-type": "application/zip"}
    answer = {**ANSWER, "id": asked_for(recorded["path"])}
    wire = Wire(httpx2.Response(200, content=ZIP, headers=headers) if is_file else answer)
    CALLS[call](client(wire, "prefix/" if "prefix" in call else ""))
    sent, expected = wire.seen[0], urlsplit(recorded["path"])
    assert (sent.method, sent.url.raw_path.decode().partition("?")[0]) == (
        recorded["method"],
        expected.path,
    )
    assert filters(sent.url.query.decode()) == filters(expected.query)
    assert (json.loads(sent.content) if sent.content else None) == recorded["body"]
    assert sent.headers["authorization"] == recorded["authorization"]
    assert sent.headers["accept"] == recorded["accept"]
    assert ("x-request-id" in sent.headers) == recorded["named"]


def test_every_recorded_request_but_explicit_nulls_can_be_made():
    assert {key[0] for key in RECORDED} - set(CALLS) == {"start_run explicit nulls"}


def test_own_idempotency_key_is_sent(client):
    wire = Wire({"id": "bmr_1"})
    client(wire).start_run("bmd_1", request_id="my-key-1")
    assert wire.seen[0].headers["x-request-id"] == "my-key-1"


@pytest.mark.parametrize("odd", ["", ".", "..", "a\nb", "x" * 201])
def test_id_that_would_be_another_path_is_refused(client, odd):
    wire = Wire(ANSWER)
    with pytest.raises(UsageError):
        client(wire).get_run(odd)
    assert wire.seen == []


def pages(*documents):
    return Wire(*[{"has_more": False, **document} for document in documents])


def item(run_id, **more):
    return {"id": run_id, "state": "completed", **more}


def test_listing_follows_its_cursor_and_keeps_the_last_copy(client):
    wire = pages(
        {"runs": [item("a"), item("b", score=0.1)], "has_more": True},
        {"runs": [item("b", score=0.2), item("c")]},
    )
    found = client(wire).list_runs()
    assert [(run.id, run.score) for run in found] == [("a", None), ("b", 0.2), ("c", None)]
    assert "starting_after=b" in str(wire.seen[1].url)


@pytest.mark.parametrize(
    "documents",
    [
        pytest.param([{"runs": [], "has_more": True}], id="empty-page-promises-more"),
        pytest.param([{"runs": [item("a")], "has_more": None}], id="nobody-says-whether-more"),
        pytest.param([{"runs": [item("a")], "has_more": "false"}], id="has-more-is-text"),
        pytest.param([{"runs": [item("a")], "has_more": True}] * 2, id="cursor-comes-back"),
        pytest.param([{"runs": None}], id="no-list"),
        pytest.param([{}], id="nothing-listed"),
        pytest.param([{"runs": [{"state": "completed"}]}], id="item-without-id"),
        pytest.param([{"runs": [{"id": 7}]}], id="id-is-a-number"),
    ],
)
def test_incomplete_listing_is_an_error(client, documents):
    with pytest.raises(InvalidResponse):
        client(pages(*documents)).list_runs()


@pytest.mark.parametrize("status", [408, 409, 429, 500, 501, 502, 503, 504, 529])
def test_read_is_repeated_while_it_says_nothing(client, status):
    wire = Wire(httpx2.Response(status), {"id": "bmr_1", "state": "running"})
    assert client(wire).get_run("bmr_1").state == "running"


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 410, 413, 422])
def test_refused_read_is_not_repeated(client, status):
    wire = Wire(httpx2.Response(status, json={"message": "no"}))
    with pytest.raises(HttpError, match="no"):
        client(wire).get_run("bmr_1")
    assert len(wire.seen) == 1


@pytest.mark.parametrize("reply", [httpx2.Response(503), httpx2.ReadTimeout("late")])
def test_write_is_sent_once(client, reply):
    wire = Wire(reply)
    for call in ("start_run", "cancel_run", "complete_run", "score_scenario_run"):
        with pytest.raises((HttpError, ConnectionFailed)):
            getattr(client(wire), call)("x")
    assert len(wire.seen) == 4


ODD = [
    pytest.param(httpx2.Response(200, text="<html>login</html>"), id="html"),
    pytest.param(httpx2.Response(204), id="204"),
    pytest.param(httpx2.Response(200, json={}), id="empty-object"),
    pytest.param(httpx2.Response(200, content=b"null"), id="null"),
    pytest.param(
        httpx2.Response(
            200,
            content=b'{"id": "bmr_1", "score": NaN}',
            headers={"content-type": "application/json"},
        ),
        id="nan",
    ),
    pytest.param(httpx2.Response(200, json={"id": "bmr_2"}), id="another-run"),
    pytest.param(httpx2.Response(302, headers={"location": "https://x.example"}), id="redirect"),
]


@pytest.mark.parametrize("reply", ODD)
def test_answer_that_is_no_run_is_an_error(client, reply):
    with pytest.raises(InvalidResponse):
        client(Wire(reply)).get_run("bmr_1")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"message": "not found", "code": "x"}, "not found"),
        ({"error": {"message": "inner"}}, "inner"),
        ({"error": "flat"}, "flat"),
        ({"detail": "detail"}, "detail"),
        ([1], None),
        ("text", None),
        (None, None),
        ({"message": {"a": 1}}, None),
    ],
)
def test_error_of_any_shape_is_read(body, text):
    assert read_runloop_error(body).text == text


@pytest.mark.parametrize(
    ("kind", "content"), [("text/html", b"<html>"), ("application/json", b"{}")]
)
def test_archive_that_is_none_is_an_error(client, kind, content):
    wire = Wire(httpx2.Response(200, content=content, headers={"content-type": kind}))
    with pytest.raises(InvalidResponse):
        client(wire).download_run_logs("bmr_1")


def test_values_of_variables_reach_no_document_and_names_of_secrets_do(client):
    secret, name = {"TOKEN": "s3cret"}, {"DB_PASS": "DATABASE_PASSWORD"}
    run = client(
        Wire({"id": "bmr_1", "environment_variables": secret, "secrets_provided": name})
    ).get_run("bmr_1")
    assert run.document() == {
        "id": "bmr_1",
        "environment_variables": {"TOKEN": "***"},
        "secrets_provided": name,
    }
    agent = {"name": "a", "agent_environment": {"environment_variables": secret}}
    job = BenchmarkJob.model_validate(
        {"id": "x", "job_spec": {"agent_configs": [agent]}, "job_source": {"inline_yaml": "s3cret"}}
    )
    assert "s3cret" not in json.dumps(job.document())


def test_both_spellings_of_canceled_are_one(client):
    for word in ("cancelled", "CANCELED", " Canceled "):
        assert client(Wire({"id": "x", "state": word})).get_run("x").state == "canceled"
