"""`tm history trend`: one metric run by run, with its changes marked."""

from __future__ import annotations

import json

from tests.services.trafficmorph import page, row
from tm_cli.exit_codes import ExitCode

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TREND = ("history", "trend", "42")


def run(number, p95, **changes):
    times = json.dumps({"p95": p95})
    return row(
        number, runId=f"run-{number}", latencyQuantiles=times, loadFingerprint="same", **changes
    )


def faster_then_slower(server, count=24):
    rows = [run(n, (20.0 if n <= 12 else 30.0) + n % 3) for n in range(count, 0, -1)]
    rows[0] = run(count, 31.0, tags=[f"commit-{COMMIT}", "branch-main"], autoVerdict="FAIL")
    query = {"profileId": "42", "size": "100", "page": "0"}
    server.answer("GET", "/history", page(*rows), query=query)


def test_runs_are_drawn_and_the_change_is_marked(gate, server):
    faster_then_slower(server)
    lines = gate(*TREND).stdout.splitlines()
    assert lines[0] == "profile 42: 1 change in 24 comparable runs"
    assert sum("^" in line for line in lines) == 1
    newest = next(line for line in lines if line.startswith("24 "))
    for cell in ("FAIL", "31 ms", COMMIT[:10], "main", "run-24"):
        assert cell in newest
    (marked,) = [line for line in lines if "regression +" in line]
    assert marked.startswith("13 ")


def test_values_and_levels_are_data(gate, server):
    faster_then_slower(server)
    data = gate(*TREND, "--json").json["data"]
    assert (data["metric"], data["unit"], len(data["changes"])) == ("p95", "ms", 1)
    assert [item["id"] for item in data["runs"]] == list(range(1, 25))
    assert [item["level"] for item in data["runs"]] == [21.0] * 12 + [31.0] * 12
    assert data["runs"][-1]["branch"] == "main"
    assert data["runs"][-1]["commit"] == COMMIT


def test_newest_runs_are_enough_if_so_asked(gate, server):
    faster_then_slower(server)
    result = gate(*TREND, "--runs", "5")
    assert "5 comparable runs, too few to find a change" in result.stdout
    assert "changes are looked for from about 13 runs on" in result.stderr


def test_profile_without_runs_has_no_picture(gate, server):
    server.answer("GET", "/history", page())
    result = gate(*TREND)
    assert result.exit_code == ExitCode.OK
    assert result.stdout == "profile 42: 0 comparable runs, too few to find a change\n"
