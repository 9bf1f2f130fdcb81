"""The scripts of a run, and the call of its callback URL, with real sandboxes."""

import asyncio
import hashlib
import hmac
import json
import sys
from collections import defaultdict
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from werkzeug import Response

from tests.unit.server.engine.engine_process import EngineProcess
from tests.unit.server.running_server import Api, body, eventually
from tm_cli.server.outgoing import OutgoingRequests
from tm_cli.server.runs.lifecycle import (
    ATTEMPTS,
    SIGNATURE,
    TIMESTAMP,
    EndActions,
    InitValues,
    signature,
)
from tm_cli.server.web.bodies import Refusal

pytest.importorskip("quickjs_rs")
process = pytest.mark.process

INIT = """
function init() {
  const {token} = fetch("BASE/login", {method: "POST", body: "ada"}).json();
  console.log("signed in with " + token);
  return {token, version: 3};
}"""
CLEANUP = """
function cleanup(metrics) {
  fetch("BASE/logout?of=$$token$$", {method: "DELETE"});
  console.log(metrics.total, metrics.ok, metrics.err, metrics.scriptOk, $$version$$ + 1);
}"""
RESPONSE = """
let calls = 0;
function process(status, mime, body) {
  if (++calls === 2) throw new Error("second of $$name$$");
  return [{url: "/ok/" + body + "/" + calls + "?d=$$DURATION$$", delayMs: 1}, "http://evil.test/"];
}"""


def noted(api, history_id):
    """The row in the history, once it has the notes of scripts."""
    row = api.get(f"/history/{history_id}").json()
    return row if row["scriptStats"] else None


@process
def test_scripts_are_called_before_and_after_the_load_and_the_end_is_announced(
    start_server, httpserver, tmp_path
):
    httpserver.expect_request("/login", method="POST").respond_with_json({"token": "s3cret-1"})
    httpserver.expect_request("/logout", method="DELETE").respond_with_data("")
    httpserver.expect_request("/hook", method="POST").respond_with_data("")
    base = httpserver.url_for("/").rstrip("/")
    received = tmp_path / "received"
    with start_server().client() as client:
        client.timeout = 60
        api = Api(client)
        profile_id = api.save(
            script=f"log={received}",
            initScript=INIT.replace("BASE", base),
            cleanupScript=CLEANUP.replace("BASE", base),
            callbackUrl=base + "/hook",
            requestHeaders='[{"name": "Authorization", "value": "Bearer $$token$$"}]',
        )
        row = api.row_of(api.start(profile_id))
        found = eventually(lambda: [r for r, _ in httpserver.log if r.path == "/hook"], 60)
        ended = eventually(lambda: noted(api, row["id"]), 60)
        secret = api.get(f"/profiles/{profile_id}").json()["callbackSecret"]
    job = json.loads(received.read_text().splitlines()[0])["job"]
    assert job["init_values"] == {"token": "s3cret-1", "version": 3}
    [logout] = [r for r, _ in httpserver.log if r.path == "/logout"]
    assert logout.args.to_dict() == {"of": "s3cret-1"}
    total = row["totalRequests"]
    assert json.loads(ended["scriptStats"]) == {
        "notes": [
            "initScript wrote: signed in with ${token}",
            f"cleanupScript wrote: {total} {total} 0 0 4",
        ]
    }
    assert ended["notes"] == []  # those would be a reason for a verdict
    [message] = found
    assert message.headers[SIGNATURE] == signature(secret, message.headers[TIMESTAMP], message.data)
    announced = json.loads(message.data)
    assert announced["runId"] == row["runId"]
    assert announced["autoVerdict"] == "NO_BASELINE"
    assert b"s3cret-1" not in message.data


@process
def test_a_failing_init_script_refuses_the_start_with_its_own_message(api):
    api.client.timeout = 60
    script = """
    const told = [];
    function attempt(url) { try { fetch(url) } catch (error) { told.push(error.message) } }
    attempt("http://127.0.0.1/");
    function init() {
      attempt("http://ada:pa55word@127.0.0.1/");
      attempt("http://169.254.169.254/latest");
      throw new Error("\\u001b[31m" + told.join("; "));
    }"""
    profile_id = api.save(initScript=script)
    answer = api.post(f"/profiles/{profile_id}/start")
    assert answer.status_code == 400
    reason = answer.json()["error"]
    assert reason.startswith("initScript: Error: ")
    assert "169.254.169.254 is link-local" in reason
    assert "fetch: it is possible within the function only; " in reason
    assert "fetch http://127.0.0.1/: the address carries credentials" in reason
    assert "pa55word" not in reason
    assert "\x1b" not in reason
    assert api.status(profile_id)["status"] == "IDLE"
    assert api.rows() == []


@process
def test_a_profile_that_is_deleted_during_the_init_script_gets_no_run(api, httpserver):
    api.client.timeout = 60

    def delete(_request):
        api.delete(f"/profiles/{profile_id}")
        return Response("")

    httpserver.expect_request("/").respond_with_handler(delete)
    url = httpserver.url_for("/")
    profile_id = api.save(initScript=f'function init() {{ fetch("{url}") }}')
    answer = api.post(f"/profiles/{profile_id}/runs", json={})
    assert (answer.status_code, answer.json()["error"]) == (400, "Profile not found")
    assert api.get("/account").json()["usage"]["activeRunCount"] == 0


def test_without_the_engine_a_start_says_what_to_install(shared_api, monkeypatch):
    monkeypatch.setitem(sys.modules, "quickjs_rs", None)
    profile_id = shared_api.save("without", responseScript="function process() {}")
    answer = shared_api.post(f"/profiles/{profile_id}/start")
    assert answer.status_code == 400
    assert "pip install 'tm-cli[local,scripts]'" in answer.json()["error"]
    refused = shared_api.post("/profiles", json=body("x", initScript="function init() {}"))
    assert refused.status_code == 400
    assert "initScript needs the engine" in refused.json()["error"]
    features = shared_api.get("/account").json()["features"]
    assert (features["lifecycleScripts"], features["scripts"]) == (False, False)


@process
def test_a_response_script_sees_each_response_and_its_requests_are_counted_apart(httpserver):
    httpserver.expect_request("/t").respond_with_data("seen", content_type="text/plain; charset=x")
    httpserver.expect_request("/ok/seen/1").respond_with_data("")
    job = {
        "run_id": "r",
        "target_url": httpserver.url_for("/t"),
        "points": [(0, 10), (1, 10)],
        "duration": 1.0,
        "slots": 4,
        "response_script": RESPONSE,
        "init_values": {"name": "ten"},
    }
    with EngineProcess({"job": job}) as engine:
        engine.wait_for("finished", patience=60)
    counts = [event for event in engine.events if event["event"] == "scripts"][-1]
    assert engine.sums("codes") == {"200": 10}
    assert (counts["ok"], counts["errors"], counts["skipped"]) == (9, 1, 0)
    assert counts["messages"] == {"Error: second of ten": 1}
    follow_ups = counts["follow_ups"]
    assert (follow_ups["sent"], follow_ups["refused"], follow_ups["dropped"]) == (9, 9, 0)
    assert follow_ups["codes"] == {"200": 1, "500": 8}
    [first] = [r for r, _ in httpserver.log if r.path == "/ok/seen/1"]
    assert first.args.to_dict() == {"d": "1"}


class Notes:
    """What is written into the history, and a row to announce."""

    def __init__(self):
        self.notes = []

    def set_script_notes(self, history_id, notes):
        self.notes += notes

    def find(self, history_id):
        return defaultdict(str, id=history_id, auto_verdict_reasons=None, tags="[]")


def ended(url, check):
    """Call back for a run that has ended; the notes, and the pauses before each attempt."""
    notes, pauses = Notes(), []

    async def sleep(seconds):
        pauses.append(seconds)

    fields = SimpleNamespace(callback_url=url, cleanup_script=None)
    requests = OutgoingRequests(check)
    actions = EndActions(
        "run-1",
        SimpleNamespace(fields=fields, callback_secret="secret"),
        InitValues(),
        hide=str,
        history=notes,
        targets=requests,
        callbacks=requests,
        now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        sleep=sleep,
    )
    asyncio.run(actions(1, {}))
    return notes.notes, pauses


async def loopback(url):
    return ["127.0.0.1"]


@pytest.mark.parametrize(
    ("statuses", "attempts", "notes"),
    [
        ([200], 1, []),
        ([500, 429, 204], 3, []),
        ([404], 1, ["callbackUrl was not reached: the answer was 404"]),
        ([302], 1, ["callbackUrl was not reached: the answer was 302"]),
        ([500, 500, 503], 3, ["callbackUrl was not reached: the answer was 503"]),
    ],
)
def test_a_callback_is_repeated_where_that_may_help(httpserver, statuses, attempts, notes):
    left = iter(statuses)

    def answer(_):
        status = next(left)
        return Response(b"x" * 100_000 if status == 200 else b"", status)  # which is not read

    httpserver.expect_request("/hook").respond_with_handler(answer)
    found, pauses = ended(httpserver.url_for("/hook"), loopback)
    assert found == notes
    assert tuple(pauses) == ATTEMPTS[:attempts]
    assert len(httpserver.log) == attempts


def test_a_callback_goes_to_no_address_that_is_refused():
    async def check(url):
        raise Refusal("targetUrl cannot be used: 8.8.8.8 is public")

    found, _ = ended("http://example.test/hook", check)
    assert found == ["callbackUrl was not reached: the address cannot be used: 8.8.8.8 is public"]


def test_all_texts_of_an_init_script_are_secrets_and_take_the_place_of_no_other():
    values = {"token": "a", "user": {"id": "b", "roles": ["c", 2]}, "user.id": "d", "version": 3}
    secrets = InitValues(values).secrets(taken={"token"})
    assert secrets == {
        "token of init()": "a",
        "user.id": "b",
        "user.roles.0": "c",
        "user.id of init()": "d",
    }


def test_the_signature_is_that_of_the_time_and_the_body():
    expected = hmac.new(b"secret", b"1767225600.{}", hashlib.sha256).hexdigest()
    assert signature("secret", "1767225600", b"{}") == f"sha256={expected}"
