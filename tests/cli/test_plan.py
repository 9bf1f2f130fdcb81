"""`tm plan`: what a profile can detect."""

from __future__ import annotations

import pytest

from tests.services.trafficmorph import PROFILE, row
from tm_cli.exit_codes import ExitCode

PATH = f"/profiles/{PROFILE}/plan"
ASKED = {"detect": 10.0, "power": 95.0, "metric": "p95"}


@pytest.fixture(autouse=True)
def commit(tm):
    """A commit that is set is not asked of git."""
    (tm.cwd / "tm.toml").write_text(f'commit = "{"1" * 40}"\n', encoding="utf-8")


def option(name="as it is", **changes):
    return {
        "name": name,
        "rate": 50,
        "seconds": 60,
        "abRun": False,
        "requests": 3000,
        "minutes": 1.0,
        "detects": {"warn": 12.3, "fail": 22.4},
        "isEnough": False,
        "isBlind": False,
        "isTooSmall": False,
        "isCheapest": False,
    } | changes


AB_RUN = option(
    "A/B run", abRun=True, seconds=120, minutes=2.0, isEnough=True, isCheapest=True,
    detects={"warn": 6.1, "fail": 17.0},
)  # fmt: skip


def answered(**changes):
    return {
        "profileId": PROFILE,
        "region": "local",
        "metric": "p95",
        "detect": 10.0,
        "power": 95.0,
        "runs": [7, 6],
        "limits": {"warn": 5, "fail": 15, "floorMs": 2},
        "lowerLimits": None,
        "value": 40.0,
        "spread": {"percent": 2.7, "assumedPercent": 2.7, "runs": 0},
        "twoRuns": {"warn": 12.2, "fail": 22.0},
        "options": [option(), AB_RUN],
    } | changes


NOTHING = answered(runs=[], options=[], value=None, spread=None, twoRuns=None)


def test_plan_shows_the_ways_to_run_and_the_cheapest(gate, server):
    server.features(plans=True).answer("POST", PATH, answered(), body=ASKED)
    result = gate("plan", "42")
    assert result.exit_code == ExitCode.OK
    assert "p95 40 ms; expected spread from run to run: 2.7 %" in result.stdout
    assert "(assumed: too few runs are known)" in result.stdout
    [line] = [line for line in result.stdout.splitlines() if line.startswith("  A/B run")]
    assert line.split()[2:] == ["50/s", "2m", "2.0", "+6.1", "%", "+17", "%", "cheapest"]
    assert "Two runs, however long, detect no less than +12.2 %" in result.stdout
    assert "Cheapest: A/B run, 50/s for 2m" in result.stdout
    assert "Today's limits" not in result.stdout


def test_options_ask_for_another_rise(gate, server):
    asked = {"detect": 5.0, "power": 80.0, "metric": "p99", "region": "eu-west"}
    server.features(plans=True).answer("POST", PATH, answered(), body=asked)
    flags = ("--detect", "5%", "--power", "80", "--metric", "P99", "--region", "eu-west")
    assert gate("plan", "42", *flags).exit_code == ExitCode.OK


def test_thresholds_of_the_project_count(gate, server, tm):
    (tm.cwd / "tm.toml").write_text("[gate]\np95 = {fail = 30}\n", encoding="utf-8")
    asked = ASKED | {"gate": {"p95": {"fail": 30}}}
    server.features(plans=True).answer("POST", PATH, answered(), body=asked)
    assert gate("plan", "42").exit_code == ExitCode.OK


def test_limits_that_hide_the_rise_are_named(gate, server):
    lower = {"p95": {"warn": 2.5}, "floorMs": 0.5}
    server.features(plans=True).answer("POST", PATH, answered(lowerLimits=lower))
    assert "gate: {p95: {warn: 2.5%}, floor: 0.5ms}" in gate("plan", "42").stdout


def test_way_that_is_too_noisy_says_so(gate, server):
    few = option("A/B run", detects=None, isTooSmall=True)
    found = answered(options=[option(isBlind=True), few])
    server.features(plans=True).answer("POST", PATH, found)
    result = gate("plan", "42")
    assert "too noisy" in result.stdout
    assert "few requests" in result.stdout
    assert "None of these ways is enough" in result.stdout


def test_json_is_what_the_server_answered(gate, server):
    server.features(plans=True).answer("POST", PATH, answered())
    assert gate("plan", "42", "--json").json["data"] == answered()


def test_unknown_noise_is_not_measured_unasked(gate, server):
    server.features(plans=True).answer("POST", PATH, NOTHING).profile(duration=90)
    result = gate("plan", "42")
    assert result.exit_code == ExitCode.REFUSED
    assert "takes 2 comparable, reliable runs, and the history has 0" in result.stderr
    assert "--measure plays 2 runs of 1m30s first" in result.stderr


def play(server, number, **changes):
    run_id = f"run-{number}"
    server.profile().snapshot(*[row(number - 1)] * (number > 7))
    server.answer("POST", f"/profiles/{PROFILE}/runs", {"runId": run_id, "status": "RUNNING"})
    server.status(runId=run_id).status("COMPLETED", runId=run_id)
    changes |= {"runId": run_id}
    server.scan(row(number, **changes)).detail(number, **changes)


def test_missing_run_is_played_and_the_plan_made(gate, server):
    server.features(plans=True).answer("POST", PATH, NOTHING | {"runs": [6]}).profile()
    play(server, 7)
    server.answer("POST", PATH, answered())
    result = gate("plan", "42", "--measure")
    assert result.exit_code == ExitCode.OK
    assert "run 1 of 1 of the unchanged target" in result.stderr
    assert "Cheapest" in result.stdout


def test_run_that_says_nothing_leaves_no_plan(gate, server):
    server.features(plans=True).answer("POST", PATH, NOTHING | {"runs": [6]}).profile()
    play(server, 7)
    server.answer("POST", PATH, NOTHING)
    result = gate("plan", "42", "--measure")
    assert result.exit_code == ExitCode.REFUSED
    assert "its runs cannot be compared" in result.stderr


def test_start_that_is_refused_ends_the_plan(gate, server):
    server.features(plans=True).answer("POST", PATH, NOTHING).profile()
    server.profile().snapshot()
    server.error("POST", f"/profiles/{PROFILE}/runs", 400, "too many runs")
    result = gate("plan", "42", "--measure")
    assert result.exit_code == ExitCode.REFUSED
    assert "run 1 of 2: " in result.stderr
    assert "nothing can be planned without it" in result.stderr


def test_server_without_plans_is_told_apart(gate, server):
    server.features(duet=True)
    result = gate("plan", "42")
    assert result.exit_code == ExitCode.REFUSED
    assert "this server cannot tell what a profile can detect" in result.stderr
    assert "TM_BASE_URL=local" in result.stderr


@pytest.mark.parametrize(
    "flags",
    [
        ("--detect", "0"), ("--detect", "much"), ("--detect", "nan"), ("--detect", "1001%"),
        ("--power", "100%"), ("--power", "20"), ("--metric", "p90"), ("--rate", "50"),
    ],
)  # fmt: skip
def test_mistake_is_refused_before_anything_is_sent(gate, flags):
    assert gate("plan", "42", *flags).exit_code == ExitCode.USAGE


def test_document_that_is_not_there_starts_no_server(tm):
    result = tm("plan", "checkuot.yaml")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "does not exist" in result.stderr
