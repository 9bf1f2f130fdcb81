"""`--abort-if`: a run that breaks a live limit is stopped and fails, whatever comes of that."""

import json
import xml.etree.ElementTree as ET

import pytest

from tests.services.trafficmorph import KEY, PROFILE, RUN, row, series
from tm_cli.exit_codes import ExitCode

LIMIT = "p95>2s for 10s"
GATED = ("runs", "start", "42", "--wait", "--fail-on", "FAIL", "--abort-if", LIMIT)
WAITS = ("runs", "wait", "42", "--run-id", RUN, "--abort-if", LIMIT)
STOP = f"/profiles/{PROFILE}/stop"
IDLE = {"runId": None, "status": "IDLE", "profileId": PROFILE}
STOPPED = {"outcome": "STOPPED", "autoVerdict": None, "autoCompareBaselineRunId": None}
REASON = "p95 was above 2 s for 10s (last 3.4 s)"


def slow(*values, elapsed=None, **changes):
    recent = [
        {"t": 2.5 + 5 * n, "rps": 10.0, "badRatio": 0.0, "p50Ms": 9.0, "p95Ms": value}
        for n, value in enumerate(values)
    ]
    elapsed = elapsed or 5.0 * len(values) + 0.5
    return {"elapsedSeconds": elapsed, "recentBuckets": recent, **changes}


BROKEN = slow(100, 3000, 3400)


@pytest.fixture
def started(server):
    """The server up to the start; live data are asked for before it."""
    return server.profile().status("IDLE", runId=None).snapshot().start()


def test_run_that_breaks_a_limit_is_stopped_and_fails(gate, started, tmp_path):
    started.status(**slow(100)).status(**BROKEN).answer("POST", STOP, IDLE)
    started.scan(row(**STOPPED)).detail(**STOPPED)
    report, junit = tmp_path / "gate.json", tmp_path / "gate.xml"
    result = gate(*GATED, "--report", f"json={report}", "--report", f"junit={junit}")
    assert result.exit_code == ExitCode.FAIL
    assert f"aborted after 15s: {REASON}; run {RUN} was stopped" in result.stdout
    assert f"tm: aborting: {REASON}" in result.stderr
    assert "runs wait" not in result.stderr
    found = json.loads(report.read_text())["data"]
    assert found["aborted"] == {
        "limit": LIMIT,
        "metric": "p95",
        "value": 3400.0,
        "at_seconds": 15.5,
        "reason": REASON,
        "stopped": True,
    }
    assert found["decision"]["code"] == "aborted"
    assert (found["run_id"], found["verdict"], found["fail_on_match"]) == (7, None, True)
    assert ET.parse(junit).getroot().find("testsuite").get("failures") == "2"
    for flags in ((), ("--fail-on", "NO_BASELINE", "--assert", "p95<10s")):
        again = gate("report", "eval", str(report), *flags)
        assert again.exit_code == ExitCode.FAIL
    assert f"because aborted after 15s: {REASON}" in gate("report", "explain", str(report)).stdout


def test_json_tells_why_also_without_fail_on(gate, started):
    started.status(**BROKEN).answer("POST", STOP, IDLE).scan(row(**STOPPED)).detail(**STOPPED)
    result = gate("runs", "start", "42", "--wait", "--abort-if", LIMIT, "--json")
    assert result.exit_code == ExitCode.FAIL
    assert result.json["data"]["aborted"]["reason"] == REASON
    assert result.json["error"] is None


def test_run_that_keeps_its_limits_passes_by_its_verdict(gate, started):
    started.status(**slow(100, 100)).status("COMPLETED", **slow(100, 100))
    started.scan(row()).detail(**series())
    result = gate(*GATED, "--json")
    assert result.exit_code == ExitCode.OK
    assert [item["passed"] for item in result.json["data"]["checks"]] == [True]
    assert "aborted" not in result.json["data"]


def test_limit_fails_without_fail_on_and_a_verdict_without_it_only_informs(gate, server):
    server.status("COMPLETED").status("COMPLETED").scan(row(autoVerdict="FAIL"))
    server.detail(autoVerdict="FAIL", **series())
    assert gate(*WAITS).exit_code == ExitCode.OK


def test_run_that_the_server_completes_in_that_moment_fails_all_the_same(gate, started):
    started.status(**BROKEN).answer("POST", STOP, IDLE).scan(row()).detail(**series())
    result = gate(*GATED, "--json")
    assert result.exit_code == ExitCode.FAIL
    assert result.json["data"]["verdict"] == "PASS"


def test_run_that_was_over_before_a_poll_showed_the_breach_fails(gate, started):
    started.status("COMPLETED", **BROKEN).scan(row()).detail(**series())
    result = gate(*GATED)
    assert result.exit_code == ExitCode.FAIL
    assert "a live limit was broken after 15s" in result.stdout
    assert f"run {RUN} has ended" in result.stdout


def test_breach_that_only_the_record_shows_fails(gate, server):
    server.status("COMPLETED").status("COMPLETED").scan(row()).detail(**series(3000.0))
    assert gate(*WAITS).exit_code == ExitCode.FAIL


def test_breach_fails_when_the_record_is_never_found(gate, started):
    started.status("COMPLETED", **BROKEN).scan()
    result = gate(*GATED, "--verdict-timeout", "0s")
    assert result.exit_code == ExitCode.FAIL
    assert REASON in result.stdout


def test_limit_that_could_not_be_measured_is_undecided(gate, server):
    server.status("IDLE", runId=None).status("IDLE", runId=None).scan(row()).detail()
    result = gate(*WAITS)
    assert result.exit_code == ExitCode.UNDECIDED
    assert "there was no reading of p95" in result.stdout


def test_run_that_cannot_be_stopped_fails_and_the_command_that_stops_it_is_named(gate, started):
    started.status(**BROKEN)
    for _ in range(3):
        started.error("POST", STOP, 503, "busy").status(**BROKEN)
    started.error("POST", STOP, 503, "busy")
    result = gate(*GATED)
    assert result.exit_code == ExitCode.FAIL
    assert f"run {RUN} may still be running, it could not be stopped: busy" in result.stdout
    assert f"hint: stop it: tm runs stop {PROFILE}" in result.stderr


def test_stop_that_failed_once_is_repeated_after_a_poll_that_names_our_run(gate, started):
    started.status(**BROKEN).error("POST", STOP, 503, "busy").status(**BROKEN)
    started.answer("POST", STOP, IDLE).scan(row(**STOPPED)).detail(**STOPPED)
    result = gate(*GATED)
    assert result.exit_code == ExitCode.FAIL
    assert f"run {RUN} was stopped" in result.stdout


@pytest.mark.parametrize(("asked", "stops"), [(20, True), (90, False)])
def test_stop_waits_as_long_as_the_server_asks_for_a_minute_at_most(gate, started, asked, stops):
    started.status(**BROKEN)
    started.error("POST", STOP, 429, "too many", headers={"Retry-After": str(asked)})
    if stops:
        started.status(**BROKEN).answer("POST", STOP, IDLE)
        started.scan(row(**STOPPED)).detail(**STOPPED)
    result = gate(*GATED)
    assert result.exit_code == ExitCode.FAIL
    assert (f"run {RUN} was stopped" in result.stdout) is stops


def test_run_that_replaced_ours_is_not_stopped(gate, started):
    started.status(**BROKEN).error("POST", STOP, 503, "busy").status(runId="another")
    started.scan(row(runId="another"))
    result = gate(*GATED, "--verdict-timeout", "0s")
    assert result.exit_code == ExitCode.FAIL
    assert f"run {RUN} has ended" in result.stdout


def test_readings_of_another_run_end_nothing(gate, server):
    server.status(**{**BROKEN, "runId": "another"}).status(**{**BROKEN, "runId": "another"})
    server.scan(row()).detail(**series())
    assert gate(*WAITS).exit_code == ExitCode.OK


def test_aborted_run_is_not_repeated(gate, started):
    started.status(**BROKEN).answer("POST", STOP, IDLE).scan(row(**STOPPED)).detail(**STOPPED)
    assert gate(*GATED, "--confirm", "2").exit_code == ExitCode.FAIL


def test_later_wait_says_the_same_of_a_stopped_run_that_has_a_record(gate, server):
    server.status("IDLE", runId=None).status("IDLE", runId=None)
    server.scan(row(**STOPPED)).detail(**STOPPED, **series(3000.0))
    result = gate(*WAITS)
    assert result.exit_code == ExitCode.FAIL
    assert "the run was stopped, so it has no verdict" in result.stdout


def test_last_start_keeps_its_limits(gate, server):
    server.profile().status("IDLE", runId=None).snapshot().start()
    server.status(**slow(100)).status("COMPLETED").scan(row()).detail(**series())
    assert gate(*GATED).exit_code == ExitCode.OK
    server.status(**BROKEN).status(**BROKEN).answer("POST", STOP, IDLE)
    server.scan(row(**STOPPED)).detail(**STOPPED)
    result = gate("runs", "wait", "--last")
    assert result.exit_code == ExitCode.FAIL
    assert f"tm: as at the start, this ends the run: {LIMIT}" in result.stderr


def test_printed_command_that_waits_again_has_the_limits(gate, started):
    started.status(**slow(100)).status(**slow(100))
    result = gate(*GATED, "--wait-timeout", "1s")
    assert result.exit_code == ExitCode.WAIT_TIMEOUT
    assert f"--abort-if '{LIMIT}'" in result.stderr


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("runs", "start", "42", "--abort-if", LIMIT), "--abort-if needs --wait"),
        (("runs", "start", "42", "--wait", "--abort-if", "p90>1s"), "have no p90"),
        (("runs", "start", "42", "--wait", "--abort-if", "p95>1s four 10s"), "invalid check"),
        (("runs", "wait", "42", "--run-id", RUN, "--abort-if", "p95>+9%"), "no baseline"),
        (("run", "42", "--abort-if", "rps"), "--abort-if: invalid check 'rps'"),
    ],
)
def test_what_is_no_limit_is_refused_before_anything_is_sent(gate, argv, words):
    result = gate(*argv)
    assert result.exit_code == ExitCode.USAGE
    assert words in result.stderr


def test_server_without_live_data_is_refused_before_the_start(gate, server):
    server.profile().error("GET", f"/profiles/{PROFILE}/status", 404, "Not Found")
    result = gate(*GATED)
    assert result.exit_code == ExitCode.REFUSED
    assert "no live data" in result.stderr


@pytest.mark.parametrize(("code", "error"), [(400, "Profile not found"), (503, "busy")])
def test_other_errors_of_that_question_are_left_to_the_gate(gate, server, code, error):
    server.error("GET", f"/profiles/{PROFILE}/status", code, error)
    server.status("COMPLETED").scan(row()).detail(**series())
    assert gate(*WAITS).exit_code == ExitCode.OK


def test_setting_holds_for_every_run_and_a_flag_adds_to_it(tm, started):
    started.status(**BROKEN).answer("POST", STOP, IDLE).scan(row(**STOPPED)).detail(**STOPPED)
    argv = ("runs", "start", "42", "--wait", "--abort-if", "errors>50%", "--json")
    environ = {"TM_BASE_URL": started.url, "TM_API_KEY": KEY, "TM_ABORT_IF": LIMIT}
    result = tm(*argv, environ=environ)
    assert result.exit_code == ExitCode.FAIL
    checks = [item["check"] for item in result.json["data"]["checks"]]
    assert checks == [f"never {LIMIT}", "never errors>50%"]


def test_start_without_a_wait_says_that_nothing_ends_a_broken_run(tm, server):
    server.profile().start()
    environ = {"TM_BASE_URL": server.url, "TM_API_KEY": KEY, "TM_ABORT_IF": LIMIT}
    result = tm("runs", "start", "42", environ=environ)
    assert result.exit_code == ExitCode.OK
    assert "this start does not end a broken run: abort_if (variable TM_ABORT_IF)" in result.stderr


def test_setting_that_is_no_limit_is_named(tm, server):
    environ = {"TM_BASE_URL": server.url, "TM_API_KEY": KEY, "TM_ABORT_IF": "p95>2 sec"}
    result = tm("runs", "start", "42", "--wait", environ=environ)
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "abort_if, from variable TM_ABORT_IF" in result.stderr


def test_limit_that_is_longer_than_the_run_is_noted(gate, started):
    started.status("COMPLETED", **slow(100)).scan(row()).detail(**series())
    result = gate(*GATED, "--abort-if", "errors>5% for 10m")
    assert "checkout takes 1m, too short for --abort-if 'errors>5% for 10m'" in result.stderr


def test_report_with_a_breach_and_exit_code_0_is_refused(gate, started, tmp_path):
    started.status(**BROKEN).answer("POST", STOP, IDLE).scan(row(**STOPPED)).detail(**STOPPED)
    report = tmp_path / "gate.json"
    gate(*GATED, "--report", f"json={report}")
    data = json.loads(report.read_text())
    data["exit_code"], data["exit_name"] = 0, "OK"
    data["data"]["decision"] |= {"exit_code": 0, "exit_name": "OK"}
    report.write_text(json.dumps(data))
    result = gate("report", "eval", str(report))
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "a live limit was broken" in result.stderr


def test_flag_of_a_wait_for_the_last_start_takes_no_setting_away(tm, server):
    environ = {"TM_BASE_URL": server.url, "TM_API_KEY": KEY}
    server.profile().start()
    assert tm("runs", "start", "42", environ=environ).exit_code == ExitCode.OK
    server.status(**BROKEN).status(**BROKEN).answer("POST", STOP, IDLE)
    server.scan(row(**STOPPED)).detail(**STOPPED)
    argv = ("runs", "wait", "--last", "--abort-if", "errors>50%")
    result = tm(*argv, environ={**environ, "TM_ABORT_IF": LIMIT})
    assert result.exit_code == ExitCode.FAIL
