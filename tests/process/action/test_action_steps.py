"""What the action does around the gate never changes what the gate has decided."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.process.action.composite_runner import action
from tests.process.action.programs import make_recorder
from tm_cli.exit_codes import ExitCode

pytestmark = pytest.mark.process

FINE = ("Mask the keys", "Read the inputs", "Find Python", "Install tm", "Load test")


@pytest.mark.parametrize("code", list(ExitCode))
def test_the_exit_code_of_tm_is_that_of_the_step(code, make_runner, tmp_path):
    tm = make_recorder(tmp_path, code=int(code))
    result = make_runner(tm.path).run(profile="p", comment="true", artifact="load-test")
    assert result.steps["Load test"].code == int(code)
    assert result.conclusion == ("success" if code == 0 else "failure")
    assert result.ran() == [*FINE, "Comment on the pull request", "Keep the reports"]


def test_nothing_but_the_gate_runs_unless_it_is_asked_for(make_runner, tmp_path):
    result = make_runner(make_recorder(tmp_path).path).run(profile="p")
    assert result.ran() == [*FINE]


@pytest.mark.parametrize("code", [0, 2])
def test_a_comment_that_fails_leaves_the_outcome_alone(code, make_runner, tmp_path):
    tm = make_recorder(tmp_path, code=code, comment_code=77)
    result = make_runner(tm.path).run(profile="p", comment="true", fail_on="FAIL")
    assert result.conclusion == ("failure" if code else "success")
    assert "comment could not be written (exit code 77)" in result.log


def test_a_comment_is_made_from_the_report_under_the_name_of_the_gate(make_runner, tmp_path):
    tm = make_recorder(tmp_path)
    runner = make_runner(tm.path)
    runner.run(profile="p", comment="true", comment_name="--x 'y'", report_json="out.json")
    call = tm.call("report")
    assert call["words"] == ["report", "comment", "--name=--x 'y'", "--", "out.json"]
    assert call["env"]["GITHUB_TOKEN"] == "ghs_0123456789"


def test_a_comment_needs_no_named_report(make_runner, tmp_path):
    tm = make_recorder(tmp_path)
    runner = make_runner(tm.path)
    result = runner.run(profile="p", comment="true")
    path = tm.call("report")["words"][-1]
    assert path.startswith(str(runner.temp))
    assert f"--report=json={path}" in tm.call("runs")["words"]
    assert result.steps["Keep the reports"].outcome == "skipped"


def test_no_report_means_no_comment(make_runner, tmp_path):
    tm = make_recorder(tmp_path, code=78)
    result = make_runner(tm.path).run(profile="p", comment="true", report_json="/nowhere/x")
    assert [call["words"][0] for call in tm.calls()] == ["config", "runs"]
    assert result.conclusion == "failure"


def test_the_artifact_holds_the_named_reports(make_runner, tmp_path):
    runner = make_runner(make_recorder(tmp_path).path)
    (runner.workspace / "sub").mkdir()
    result = runner.run(
        profile="p",
        artifact="load test",
        working_directory="sub",
        report_junit="gate.xml",
        report_html="/tmp/gate.html",
    )
    kept = result.steps["Keep the reports"].given
    assert kept == {"name": "load test", "path": "/tmp/gate.html\nsub/gate.xml\n"}


def test_an_artifact_without_named_reports_holds_two(make_runner, tmp_path):
    tm = make_recorder(tmp_path)
    result = make_runner(tm.path).run(profile="p", artifact="load-test")
    files = result.steps["Keep the reports"].given["path"].splitlines()
    flags = [word for word in tm.call("runs")["words"] if word.startswith("--report=")]
    assert flags == [f"--report=json={files[0]}", f"--report=html={files[1]}"]


def test_an_artifact_that_is_lost_fails_the_step(make_runner, tmp_path):
    def lose(_given):
        raise OSError("no connection")

    runner = make_runner(make_recorder(tmp_path).path, stand_ins={"Keep the reports": lose})
    assert runner.run(profile="p", artifact="x").conclusion == "failure"


def test_no_gate_and_no_report_after_an_installation_that_failed(make_runner):
    def lose(_given):
        raise OSError("no such package")

    runner = make_runner(stand_ins={"Install tm": lose})
    result = runner.run(profile="p", comment="true", artifact="x", base_url="local")
    assert result.conclusion == "failure"
    assert result.ran() == [*FINE[:4]]


def test_outputs_come_from_the_gate_alone():
    for name, output in action()["outputs"].items():
        assert output["value"] == f"${{{{ steps.gate.outputs.{name} }}}}"


def test_the_report_of_the_comment_is_written_by_the_gate(make_runner, tmp_path):
    tm = make_recorder(tmp_path)
    make_runner(tm.path).run(profile="p", comment="true")
    path = tm.call("report")["words"][-1]
    assert Path(path).read_text(encoding="utf-8") == "{}"


def test_python_is_found_without_changing_that_of_the_job(make_runner, tmp_path):
    found = make_runner(make_recorder(tmp_path).path).run(profile="p").steps["Find Python"]
    assert found.given == {"python-version": "3.13", "update-environment": "false"}


def test_no_other_python_is_fetched_when_none_is_named(make_runner, tmp_path):
    runner = make_runner(make_recorder(tmp_path).path)
    result = runner.run(profile="p", python_version="")
    assert result.steps["Find Python"].outcome == "skipped"
