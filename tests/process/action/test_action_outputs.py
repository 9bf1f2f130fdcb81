"""What later steps can read from the action, and what the job shows."""

from __future__ import annotations

import json

import pytest
from pytest_httpserver import HTTPServer

from tests.process.action.composite_runner import Result
from tests.process.action.programs import make_real
from tests.simulation.httpx_seam import CANARY
from tests.simulation.schedules import Schedule
from tests.simulation.socket_server import SocketServer
from tests.simulation.trafficmorph.world import Truth

pytestmark = pytest.mark.process

GIVEN = {
    "profile": "42",
    "fail_on": "FAIL,WARN",
    "api_key": CANARY,
    "poll_interval": "50ms",
    "verdict_timeout": "1s",
    "report_json": "gate.json",
    "report_junit": "gate.xml",
    "report_markdown": "gate.md",
    "report_html": "gate.html",
    "report_csv": "gate.csv",
}


@pytest.fixture
def use(make_runner, tmp_path):
    def run(verdict, duration=0.2, **given) -> Result:
        truth = Truth(verdict, duration=duration, verdict_delay=0.1, row_delay=0.1)
        with SocketServer(Schedule(1, truth)) as server:
            runner = make_runner(make_real(tmp_path))
            result = runner.run(base_url=server.url, **{**GIVEN, **given})
            result.outputs["expected-run-id"] = server.world.started_by_us[0].run_id
        result.outputs["files"] = " ".join(sorted(path.name for path in runner.workspace.iterdir()))
        return result

    return run


@pytest.mark.parametrize(("verdict", "outcome", "code"), [("PASS", "OK", 0), ("WARN", "WARN", 3)])
def test_a_decided_gate_sets_every_output(verdict, outcome, code, use):
    result = use(verdict)
    outputs = result.outputs
    assert (outputs["verdict"], outputs["outcome"], outputs["exit-code"]) == (
        *(verdict, outcome),
        str(code),
    )
    assert outputs["run-id"] == outputs["expected-run-id"]
    assert isinstance(json.loads(outputs["metrics"]), dict)
    assert json.loads(outputs["reasons"])
    for form in ("json", "junit", "markdown", "html", "csv"):
        name = outputs[f"report-{form}"].replace("\\", "/").rsplit("/", 1)[-1]
        assert name in outputs["files"].split()
    assert verdict in result.summary


def test_an_undecided_gate_names_its_run_and_no_verdict(use):
    outputs = use(None).outputs
    assert outputs["run-id"] == outputs["expected-run-id"]
    assert (outputs["verdict"], outputs["outcome"], outputs["exit-code"]) == ("", "UNDECIDED", "5")


def test_a_wait_that_ends_early_names_its_run(use):
    outputs = use("PASS", duration=60, wait_timeout="300ms").outputs
    assert outputs["run-id"] == outputs["expected-run-id"]
    assert (outputs["verdict"], outputs["outcome"]) == ("", "WAIT_TIMEOUT")


def test_a_red_gate_annotates_the_job(use):
    result = use("FAIL")
    masks, (annotation,) = result.commands[:2], result.commands[2:]
    assert all(command.startswith("::add-mask::") for command in masks)
    assert annotation.startswith("::error title=tm")
    assert CANARY not in annotation


def test_summary_and_annotations_can_be_turned_off(use):
    result = use("FAIL", summary="false", annotations="false")
    assert result.summary == ""
    assert all(command.startswith("::add-mask::") for command in result.commands)
    assert result.outputs["outcome"] == "FAIL"


@pytest.fixture
def on_pull_request(make_runner, tmp_path, httpserver: HTTPServer):
    """Run a red gate in a job of pull request 7; its forge is `httpserver`."""
    env = {
        "GITHUB_API_URL": httpserver.url_for(""),
        "GITHUB_REPOSITORY": "ada/shop",
        "GITHUB_REF": "refs/pull/7/merge",
    }

    def run() -> Result:
        truth = Truth("FAIL", duration=0.2, verdict_delay=0.1, row_delay=0.1)
        with SocketServer(Schedule(1, truth)) as server:
            runner = make_runner(make_real(tmp_path), env=env)
            given = {name: GIVEN[name] for name in ("profile", "api_key", "poll_interval")}
            return runner.run(base_url=server.url, comment="true", comment_name="shop", **given)

    return run


COMMENTS = "/repos/ada/shop/issues/7/comments"


def test_a_red_gate_is_told_on_the_pull_request(on_pull_request, httpserver):
    httpserver.expect_request(COMMENTS, method="GET").respond_with_json([])
    httpserver.expect_request(COMMENTS, method="POST").respond_with_json({"id": 1}, status=201)
    result = on_pull_request()
    assert result.steps["Comment on the pull request"].outcome == "success", result.log
    requests = [request for request, _ in httpserver.log]
    assert {request.headers["Authorization"] for request in requests} == {"Bearer ghs_0123456789"}
    (posted,) = [request.json["body"] for request in requests if request.method == "POST"]
    assert "FAIL" in posted
    assert result.conclusion == "failure"


def test_a_forbidden_comment_changes_nothing_and_doubles_no_summary(on_pull_request, httpserver):
    httpserver.expect_request(COMMENTS).respond_with_json({"message": "no"}, status=403)
    result = on_pull_request()
    assert result.steps["Load test"].code == 2
    assert result.steps["Comment on the pull request"].outcome == "success", result.log
    assert "no comment was made" in result.log
    assert result.steps["Comment on the pull request"].summary == ""
    assert "FAIL" in result.steps["Load test"].summary
