"""A gate in GitHub Actions: outputs from the first moment, a summary and annotations at the end."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.services.trafficmorph import KEY, RUN, row
from tests.simulation.github_runner import commands
from tests.unit.report.made_evidence import ALL
from tm_cli.commands.shared.ci_platforms import LARGEST_SUMMARY, GitHub
from tm_cli.exit_codes import ExitCode
from tm_cli.render.formats.ci_log import annotated, assignment
from tm_cli.render.formats.markdown import markdown
from tm_cli.runtime.signals import SignalReceived
from tm_cli.runtime.terminal import Terminal
from tm_cli.values.verdict import parse_warn_on

GATED = ("runs", "start", "42", "--wait", "--fail-on", "FAIL,WARN")


@pytest.fixture
def actions(tm, server):
    """Run tm as a step of a workflow does."""

    def run(*argv, **changes):
        environ = {
            "TM_BASE_URL": server.url,
            "TM_API_KEY": KEY,
            "GITHUB_ACTIONS": "true",
            "GITHUB_OUTPUT": str(tm.cwd / "output"),
            "GITHUB_STEP_SUMMARY": str(tm.cwd / "summary"),
        }
        return tm(*argv, environ={**environ, **changes})

    return run


def outputs(path: Path) -> dict[str, str]:
    """What the runner makes of the file: the last value of a name counts."""
    found, lines = {}, iter(path.read_text(encoding="utf-8").split("\n"))
    for line in lines:
        equals, heredoc = line.find("="), line.find("<<")
        if heredoc >= 0 and (equals < 0 or heredoc < equals):
            name, _, end = line.partition("<<")
            value = []
            while (inner := next(lines)) != end:
                value.append(inner)
            found[name] = "\n".join(value)
        elif line:
            name, _, value = line.partition("=")
            found[name] = value
    return found


def test_outputs_tell_what_it_came_to(actions, tm, server):
    server.until_ended().scan(row(autoVerdict="FAIL")).detail(autoVerdict="FAIL").detail(5)
    assert actions(*GATED, "--report", "junit=gate.xml").exit_code == ExitCode.FAIL
    found = outputs(tm.cwd / "output")
    assert found["run-id"] == RUN
    assert (found["verdict"], found["outcome"], found["exit-code"]) == ("FAIL", "FAIL", "2")
    assert found["baseline-run-id"] == "5"
    assert json.loads(found["metrics"])["totalRequests"] == 600
    assert json.loads(found["reasons"])[0] == "the verdict is FAIL"
    assert found["report-junit"] == str(tm.cwd / "gate.xml")


def test_run_is_named_before_the_wait_and_nothing_is_decided_by_then(actions, tm, server, clock):
    seen = []

    def killed(_seconds):
        seen.append(outputs(tm.cwd / "output"))
        raise SystemExit(137)

    clock.sleep = killed
    server.profile().snapshot().start()
    actions(*GATED)
    assert seen[0]["run-id"] == RUN
    assert (seen[0]["outcome"], seen[0]["exit-code"], seen[0]["verdict"]) == ("UNDECIDED", "5", "")
    assert outputs(tm.cwd / "output") == seen[0]


def test_interrupted_gate_sets_its_code_and_stops_the_run(actions, tm, server, clock):
    def interrupted(_seconds):
        raise SignalReceived(15)

    clock.sleep = interrupted
    server.profile().snapshot().start()
    server.answer("POST", "/profiles/42/stop", {})
    assert actions(*GATED).exit_code == ExitCode.TERMINATED
    assert outputs(tm.cwd / "output")["exit-code"] == "143"


def test_error_before_the_start_is_told_in_outputs_and_summary(actions, tm, server):
    server.error("GET", "/profiles/42", 401, "Authentication required")
    result = actions(*GATED)
    assert result.exit_code == ExitCode.AUTHENTICATION
    assert outputs(tm.cwd / "output")["outcome"] == "AUTHENTICATION"
    assert "### AUTHENTICATION: tm" in (tm.cwd / "summary").read_text(encoding="utf-8")
    assert result.stderr.count("::error ") == 1


def test_summary_is_appended_and_annotations_stay_off_standard_output(actions, tm, server):
    (tm.cwd / "summary").write_text("earlier\n", encoding="utf-8")
    server.until_ended().scan(row(autoVerdict="WARN")).detail(autoVerdict="WARN").detail(5)
    result = actions(*GATED, "--json")
    assert result.json["exit_code"] == result.exit_code == ExitCode.WARN
    summary = (tm.cwd / "summary").read_text(encoding="utf-8")
    assert summary.startswith("earlier\n### WARN: checkout\n")
    assert "| p95 | 21 ms | 21 ms |" in summary
    found = list(commands(result.stderr))
    assert len(found) == 1
    assert found[0].startswith("::error title=tm%3A WARN%2C checkout::the verdict is WARN%0A")


@pytest.mark.parametrize(
    ("changes", "flags", "summary", "annotated"),
    [
        ({}, (), True, True),
        ({"TM_GITHUB_SUMMARY": "false"}, (), False, True),
        ({"TM_GITHUB_ANNOTATIONS": "false"}, (), True, False),
        ({}, ("--no-github",), False, False),
        ({"GITHUB_ACTIONS": ""}, (), False, False),
        ({"GITHUB_ACTIONS": ""}, ("--github",), True, True),
    ],
)
def test_each_part_can_be_switched_off(actions, tm, server, changes, flags, summary, annotated):
    server.until_ended().scan(row(autoVerdict="FAIL")).detail(autoVerdict="FAIL")
    if summary:
        server.detail(5)
    result = actions(*GATED, *flags, **changes)
    assert result.exit_code == ExitCode.FAIL
    assert (tm.cwd / "summary").exists() == summary
    assert ("::error" in result.stderr) == annotated


@pytest.mark.parametrize(("verdict", "code"), [("PASS", ExitCode.OK), ("FAIL", ExitCode.FAIL)])
def test_files_that_cannot_be_written_are_noted_and_change_nothing(
    actions, tm, server, verdict, code
):
    server.until_ended().scan(row(autoVerdict=verdict)).detail(autoVerdict=verdict).detail(5)
    nowhere = str(tm.cwd / "no" / "such" / "file")
    result = actions(*GATED, GITHUB_OUTPUT=nowhere, GITHUB_STEP_SUMMARY=nowhere)
    assert result.exit_code == code
    assert result.stdout.startswith(verdict)
    assert "cannot write outputs" in result.stderr
    assert "cannot write the summary" in result.stderr


def test_lost_report_is_what_the_outputs_say(actions, tm, server, clock):
    (tm.cwd / "sub").mkdir()
    sleep = clock.sleep

    def removed(seconds):
        for file in (tm.cwd / "sub").glob("*"):
            file.unlink()
        (tm.cwd / "sub").rmdir() if (tm.cwd / "sub").exists() else None
        sleep(seconds)

    clock.sleep = removed
    server.until_ended().scan(row()).detail().detail(5)
    assert actions(*GATED, "--report", "junit=sub/gate.xml").exit_code == ExitCode.OUTPUT
    assert outputs(tm.cwd / "output")["exit-code"] == "73"


def test_summary_stays_below_the_limit_of_the_platform(tmp_path):
    path = tmp_path / "summary"
    path.write_bytes(b"x" * (LARGEST_SUMMARY - 900))
    sink = GitHub(Terminal(None, None), "0123", summary=path)
    assert sink.finish(ALL["several"])
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) <= LARGEST_SUMMARY + 1
    assert "## 3 runs: FAIL" in text
    assert "Left out, because the platform takes no more: charts" in text


def test_value_with_line_breaks_cannot_set_another_output():
    text = assignment("report-csv", "a\nverdict=PASS\r\nx", "0123")
    assert text == "report-csv<<tm_0123\na\nverdict=PASS\r\nx\ntm_0123\n"
    with pytest.raises(ValueError, match="delimiter"):
        assignment("report-csv", "a\ntm_0123\nverdict=PASS", "0123")


@pytest.mark.parametrize(
    ("name", "warn_on", "level"),
    [
        ("warn-accepted", "", "notice"),
        ("warn-accepted", "NO_BASELINE", "notice"),
        ("warn-accepted", "WARN", "warning"),
        ("ungated", "", "notice"),
        ("ungated", "FAIL", "warning"),
        ("pass", "WARN", None),
        ("fail", "WARN", "error"),
    ],
)
def test_what_passes_with_a_bad_verdict_is_a_warning_only_on_request(name, warn_on, level):
    chosen = parse_warn_on(warn_on) if warn_on else frozenset()
    outcome = replace(ALL[name], gate=replace(ALL[name].gate, warn_on=chosen))
    found = [re.match("::([a-z]+) ", line)[1] for line in annotated(outcome)]
    assert found == ([level] if level else [])
    assert ("**Warning:**" in markdown(outcome)) == (level == "warning")


def gated(server, **verdict):
    server.until_ended().scan(row(**verdict)).detail(**verdict)


@pytest.mark.parametrize("where", ["flag", "variable", "file"])
def test_verdict_to_warn_on_passes_and_is_seen(where, actions, tm, server):
    gated(server, autoVerdict="WARN", autoCompareBaselineRunId=None)
    words, environ = ["runs", "start", "42", "--wait", "--fail-on", "FAIL"], {}
    match where:
        case "flag":
            words += ["--warn-on", "warn, no_baseline"]
        case "variable":
            environ["TM_WARN_ON"] = "WARN"
        case "file":
            (tm.cwd / "tm.toml").write_text('warn_on = ["WARN"]\n', encoding="utf-8")
    result = actions(*words, "--quiet", "--report", "json=gate.json", **environ)
    assert result.exit_code == ExitCode.OK
    assert "tm: warning: the verdict is WARN" in result.stderr
    assert [line[:10] for line in commands(result.stderr)] == ["::warning "]
    assert "**Warning:**" in (tm.cwd / "summary").read_text(encoding="utf-8")
    assert "WARN" in json.loads((tm.cwd / "gate.json").read_text())["report"]["gate"]["warn_on"]
    again = tm("report", "eval", "gate.json")
    assert (again.exit_code, "tm: warning: " in again.stderr) == (ExitCode.OK, True)


def test_first_run_is_a_notice(actions, server):
    gated(server, autoVerdict="NO_BASELINE", autoCompareBaselineRunId=None)
    result = actions(*GATED)
    assert result.exit_code == ExitCode.OK
    assert [line[:9] for line in commands(result.stderr)] == ["::notice "]


@pytest.mark.parametrize(
    ("words", "environ"),
    [
        (("--fail-on", "FAIL,WARN", "--warn-on", "WARN"), {}),
        (("--fail-on", "FAIL,WARN"), {"TM_WARN_ON": "NO_BASELINE,WARN"}),
        (("--warn-on", "FAIL"), {"TM_FAIL_ON": "FAIL"}),
        ((), {"TM_FAIL_ON": "FAIL,WARN", "TM_WARN_ON": "WARN"}),
        (("--fail-on", "FAIL", "--warn-on", ""), {}),
        (("--fail-on", "FAIL", "--warn-on", "PASS"), {}),
        (("--fail-on", "FAIL", "--warn-on", "WRAN"), {}),
    ],
)
def test_verdict_cannot_fail_and_warn(words, environ, actions):
    result = actions("runs", "start", "42", "--wait", *words, **environ)
    assert result.exit_code == ExitCode.USAGE
    assert "--warn-on" in result.stderr


@pytest.mark.parametrize("verdict", ["FAIL", "WARN", None, "UNHEARD_OF"])
def test_warning_makes_no_gate_milder(verdict, actions, server):
    server.until_ended().scan(row(autoVerdict=verdict)).detail(autoVerdict=verdict)
    if verdict:
        server.detail(5)
    result = actions(*GATED, "--warn-on", "NO_BASELINE", "--verdict-timeout", "0")
    assert result.exit_code != ExitCode.OK
