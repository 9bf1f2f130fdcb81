"""Pinning the run that others are compared with."""

from __future__ import annotations

import pytest

from tests.services.trafficmorph import PROFILE, RUN
from tm_cli.exit_codes import ExitCode

PATH = f"/profiles/{PROFILE}/baseline"
PINNED = {
    "profileId": PROFILE,
    "region": "eu-west",
    "historyId": 7,
    "runId": RUN,
    "startedAt": "2026-03-01T12:00:01Z",
    "autoVerdict": "PASS",
    "pinnedAt": "2026-03-02T12:00:00Z",
    "exists": True,
}
NONE = {"profileId": PROFILE, "region": "local", "historyId": None, "exists": False}


def test_pin_finds_the_profile_of_the_run(gate, server):
    server.features(baselinePins=True).detail()
    server.answer("PUT", PATH, PINNED, body={"historyId": 7})
    result = gate("baseline", "pin", "7")
    assert result.exit_code == ExitCode.OK
    assert "pinned run 7 (PASS, started 2026-03-01 12:00:01Z)" in result.stdout
    assert "baseline of checkout in eu-west" in result.stdout


def test_pin_prints_what_the_server_answered(gate, server):
    server.features(baselinePins=True).detail()
    server.answer("PUT", PATH, PINNED)
    assert gate("baseline", "pin", "7", "--json").json["data"] == PINNED


def test_pin_that_the_server_refuses_says_why(gate, server):
    server.features(baselinePins=True).detail()
    server.error("PUT", PATH, 400, "only a completed run can be a baseline")
    result = gate("baseline", "pin", "7")
    assert result.exit_code == ExitCode.ERROR
    assert "only a completed run can be a baseline" in result.stderr


def test_run_that_is_not_there_is_named(gate, server):
    server.features(baselinePins=True).error("GET", "/history/99", 400, "Run history not found")
    result = gate("baseline", "pin", "99")
    assert result.exit_code == ExitCode.ERROR
    assert "run 99 is not in the history" in result.stderr


def test_run_without_a_profile_cannot_be_pinned(gate, server):
    server.features(baselinePins=True).detail(profileId=None)
    assert gate("baseline", "pin", "7").exit_code == ExitCode.ERROR


@pytest.mark.parametrize(
    ("flags", "query"), [((), {}), (("--region", "eu-west"), {"region": "eu-west"})]
)
def test_unpin_and_show_take_a_region(gate, server, flags, query):
    server.features(baselinePins=True).answer("DELETE", PATH, code=204, text="", query=query)
    assert gate("baseline", "unpin", "42", *flags).exit_code == ExitCode.OK
    server.features(baselinePins=True).answer("GET", PATH, NONE, query=query)
    result = gate("baseline", "show", "42", *flags)
    assert "no run is pinned" in result.stdout


def test_region_of_the_settings_counts(gate, tm, server):
    (tm.cwd / "tm.toml").write_text('region = "eu-west"\n', encoding="utf-8")
    server.features(baselinePins=True).answer("GET", PATH, PINNED, query={"region": "eu-west"})
    assert "run 7" in gate("baseline", "show", "42").stdout


def test_pin_of_a_deleted_run_says_what_follows(gate, server):
    server.features(baselinePins=True).answer("GET", PATH, {**PINNED, "exists": False})
    result = gate("baseline", "show", "42")
    assert "the next verdict is NO_BASELINE" in result.stdout


@pytest.mark.parametrize("argv", [("pin", "7"), ("unpin", "42"), ("show", "42")], ids=" ".join)
def test_server_without_pins_is_told_nothing(gate, server, argv):
    server.features()
    result = gate("baseline", *argv)
    assert result.exit_code == ExitCode.REFUSED
    assert "this server cannot pin a baseline" in result.stderr
