"""`tm calibrate`: the noise of a class of machines."""

from __future__ import annotations

import pytest

from tests.cli.test_plan import commit, play  # noqa: F401 - a fixture
from tm_cli.exit_codes import ExitCode

NOTHING = {"runnerClass": "Linux, 2 CPUs", "assumedSpread": 0.027, "calibrations": {}}
RECORD = {
    "spread": 0.0214,
    "measured": {"p50": 0.011, "p95": 0.016},
    "runs": [7, 8, 9],
    "target": "http://localhost:8080/",
    "measuredAt": "2026-03-01T12:00:00Z",
}
KNOWN = NOTHING | {"calibrations": {"Linux, 2 CPUs": RECORD}}


def calibrating(server, *numbers):
    server.features(calibration=True)
    for number in numbers:
        play(server, number)
    return server


def test_runs_are_played_one_after_the_other_and_measured(gate, server):
    calibrating(server, 7, 8, 9)
    server.answer("PUT", "/calibration", KNOWN, body={"runIds": [7, 8, 9]})
    result = gate("calibrate", "42", "--runs", "3")
    assert result.exit_code == ExitCode.OK
    assert "a spread of 2.1 % from run to run instead of 2.7 %" in result.stdout
    assert "p50 1.1 %, p95 1.6 %" in result.stdout
    assert "run 3 of 3 of the unchanged target" in result.stderr


def test_runs_that_could_not_be_used_are_counted(gate, server):
    calibrating(server, 7, 8, 9, 10)
    server.answer("PUT", "/calibration", KNOWN)
    assert "1 of 4 runs could not be used" in gate("calibrate", "42", "--runs", "4").stderr


def test_run_that_was_limited_by_the_generator_is_repeated(gate, server):
    server.features(calibration=True)
    play(server, 7, generatorSaturated=True)
    for number in (8, 9, 10):
        play(server, number)
    server.answer("PUT", "/calibration", KNOWN, body={"runIds": [8, 9, 10]})
    result = gate("calibrate", "42", "--runs", "3")
    assert result.exit_code == ExitCode.OK
    assert "was limited by the load generator's machine: once more" in result.stderr


def test_runs_that_are_useless_store_nothing(gate, server):
    calibrating(server, 7, 8, 9)
    server.error("PUT", "/calibration", 400, "A calibration takes 3 usable runs")
    result = gate("calibrate", "42", "--runs", "3")
    assert result.exit_code == ExitCode.REFUSED
    assert "nothing was stored: A calibration takes 3 usable runs" in result.stderr


def test_run_that_did_not_complete_ends_the_calibration(gate, server):
    calibrating(server, 7)
    play(server, 8, outcome="STOPPED", autoVerdict=None)
    result = gate("calibrate", "42", "--runs", "3")
    assert result.exit_code == ExitCode.UNDECIDED
    assert "run 2 of 3: " in result.stderr
    assert "nothing was stored" in result.stderr
    assert "is not a failure" not in result.stderr


@pytest.mark.parametrize("flag", ["--show", "--forget"])
def test_machine_that_is_not_calibrated_says_what_is_assumed(gate, server, flag):
    method = "GET" if flag == "--show" else "DELETE"
    server.features(calibration=True).answer(method, "/calibration", NOTHING)
    result = gate("calibrate", flag)
    assert result.exit_code == ExitCode.OK
    assert "not calibrated: verdicts assume a spread of 2.7 % from run to run" in result.stdout


def test_every_class_is_listed(gate, server):
    both = KNOWN | {"calibrations": {"another": RECORD, **KNOWN["calibrations"]}}
    server.features(calibration=True).answer("GET", "/calibration", both)
    result = gate("calibrate", "--show")
    assert "this machine: Linux, 2 CPUs" in result.stdout
    assert [line for line in result.stdout.splitlines() if line.startswith("another")]


@pytest.mark.parametrize(("spread", "warns"), [(0.053, False), (0.055, True)])
def test_large_spread_is_no_success(gate, server, spread, warns):
    noisy = NOTHING | {"calibrations": {"Linux, 2 CPUs": RECORD | {"spread": spread}}}
    server.features(calibration=True).answer("GET", "/calibration", noisy)
    assert ("tm calibrate --forget" in gate("calibrate", "--show").stdout) is warns


def test_json_is_what_the_server_answered(gate, server):
    server.features(calibration=True).answer("GET", "/calibration", KNOWN)
    assert gate("calibrate", "--show", "--json").json["data"] == KNOWN


def test_server_without_calibration_is_told_apart(gate, server):
    server.features(duet=True)
    result = gate("calibrate", "42")
    assert result.exit_code == ExitCode.REFUSED
    assert "this server cannot measure the noise of its machine" in result.stderr


@pytest.mark.parametrize(
    "argv",
    [
        ("42", "--show"), ("--show", "--forget"), ("--runs", "2"), ("--runs", "51"),
        ("--forget", "--rate", "5"), ("42", "--rate", "5"),
    ],
)  # fmt: skip
def test_mistake_is_refused_before_anything_is_sent(gate, argv):
    assert gate("calibrate", *argv).exit_code == ExitCode.USAGE
