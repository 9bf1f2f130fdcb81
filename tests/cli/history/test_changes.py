"""`tm history changes`: where the numbers of a profile changed for good."""

from __future__ import annotations

import json

import pytest

from tests.services.trafficmorph import PROFILE, detail, other_side, page, profile, row
from tm_cli.exit_codes import ExitCode

OLD, NEW = "a" * 40, "b" * 40
NOISE = (0, 1, -1, 2, -2, 0.5, -0.5, 1.5, -1.5, 0.2)


def run(number, p95=100.0, *, commit=None, **changes):
    quantiles = {"p50": p95 / 2, "p95": p95, "p99": p95 * 1.5}
    found = {"latencyQuantiles": json.dumps(quantiles), "tags": [f"commit-{commit}"] * bool(commit)}
    return row(number, **{**found, "outcome": "COMPLETED", "loadFingerprint": "same", **changes})


def slower(count=10, factor=1.3):
    """A history, newest first, in which the second half is slower."""
    before = [run(n, 100.0 + NOISE[n % 10], commit=OLD) for n in range(1, count + 1)]
    after = [
        run(n, (100.0 + NOISE[n % 10]) * factor, commit=NEW)
        for n in range(count + 1, 2 * count + 1)
    ]
    return [*reversed(after), *reversed(before)]


def listed(server, *rows, number=0, **more):
    query = {"profileId": str(PROFILE), "size": "100", "page": str(number), **more}
    return server.answer("GET", "/history", page(*rows), query=query)


def ask(gate, *flags, **options):
    return gate("history", "changes", str(PROFILE), *flags, **options)


def test_change_has_size_run_and_commits(gate, server):
    listed(server, *slower())
    (change,) = ask(gate, "--metric", "p95", "--json").json["data"]["changes"]
    assert (change["metric"], change["kind"], change["unit"]) == ("p95", "regression", "%")
    assert change["ci_low"] < change["change"] < change["ci_high"]
    assert change["change"] == pytest.approx(30, abs=2)
    assert change["p_value"] < 0.01
    assert (change["last_run_before"]["id"], change["first_run_after"]["id"]) == (10, 11)
    assert change["since_run"]["id"] == 11
    assert change["first_run_after"]["commit"] == NEW
    assert change["commits"] == f"{OLD[:10]}..{NEW[:10]}"


def test_noise_widens_the_range_of_commits(gate, server):
    times = [100, 120, 90, 110, 95, 105, 115, 100, 125, 130, 150, 130, 120, 145, 135, 160, 140, 150]
    rows = [run(n, float(time), commit=f"{n:040x}") for n, time in enumerate(times, 1)]
    listed(server, *reversed(rows))
    (change,) = ask(gate, "--metric", "p95", "--json").json["data"]["changes"]
    ids = [change[name]["id"] for name in ("last_run_before", "since_run", "first_run_after")]
    assert ids[0] < ids[1] <= ids[2]
    assert ids[2] - ids[0] > 1
    assert change["commits"] is not None


def test_people_see_a_picture_and_a_table(gate, server):
    listed(server, *slower())
    shown = ask(gate).stdout
    assert "profile 42: 3 changes in 20 comparable runs" in shown
    assert "p95: each run" in shown
    assert "errors: no change" in shown
    assert "run 1" in shown
    assert f"{OLD[:10]}..{NEW[:10]}" in shown


def test_markdown_is_a_table(gate, server):
    listed(server, *slower())
    shown = ask(gate, "--metric", "p95", "--format", "markdown").stdout
    assert shown.startswith("### profile 42: 1 change in 20 comparable runs")
    assert "| p95 | +30" in shown


def test_improvement_is_one(gate, server):
    listed(server, *slower(factor=0.7))
    changes = ask(gate, "--json").json["data"]["changes"]
    assert {change["kind"] for change in changes} == {"improvement"}


def test_errors_change_in_points(gate, server):
    rows = [run(n, totalErrors=30 if n > 10 else 3) for n in range(20, 0, -1)]
    listed(server, *rows)
    (change,) = ask(gate, "--json").json["data"]["changes"]
    assert (change["metric"], change["unit"], change["change"]) == ("errors", "points", 4.5)


def test_history_without_a_change_says_so(gate, server):
    listed(server, *slower(factor=1.0))
    result = ask(gate)
    assert result.exit_code == ExitCode.OK
    assert "no change in 20 comparable runs" in result.stdout
    assert "p95: no change  █" in result.stdout


def test_runs_that_cannot_be_compared_are_counted_and_left_out(gate, server):
    rows = slower()
    rows[3]["outcome"] = "STOPPED"
    rows[4]["againstUrl"] = "http://other/"
    rows[5]["loadFingerprint"] = "another"
    rows[6]["durationSeconds"] = 20
    listed(server, *rows)
    data = ask(gate, "--json").json["data"]
    assert data["runs"] == 16
    assert data["left_out"] == {
        "not completed": 1, "A/B runs": 1, "with another load": 1, "shorter": 1
    }  # fmt: skip


def test_run_that_mostly_failed_has_no_response_times(gate, server):
    rows = [run(n, 1.0 if n > 10 else 100.0, totalErrors=600 * (n > 10)) for n in range(20, 0, -1)]
    listed(server, *rows)
    changes = ask(gate, "--json").json["data"]["changes"]
    assert [change["metric"] for change in changes] == ["errors"]


def test_server_whose_list_has_no_response_times_is_asked_for_each_run(gate, server):
    rows = [row(n, avgRps=10.0) for n in range(12, 0, -1)]
    listed(server, *rows)
    for n in range(1, 13):
        times = {"p95": 20.0 if n <= 6 else 40.0}
        server.answer("GET", f"/history/{n}", detail(n, latencyQuantiles=json.dumps(times)))
    data = ask(gate, "--metric", "p95", "--json").json["data"]
    assert [change["first_run_after"]["id"] for change in data["changes"]] == [7]
    assert data["changes"][0]["commits"] is None


def test_without_a_fingerprint_target_region_and_rate_tell_the_load(gate, server):
    rows = [row(n) for n in range(4, 0, -1)]
    listed(server, *rows)
    server.answer("GET", "/history/1", detail(1, targetUrl="https://other.example/"))
    server.answer("GET", "/history/2", detail(2, avgRps=20.0))
    server.answer("GET", "/history/3", detail(3, against=other_side()))
    server.answer("GET", "/history/4", detail(4))
    data = ask(gate, "--json").json["data"]
    assert (data["runs"], data["left_out"]) == (1, {"A/B runs": 1, "with another load": 2})


def test_all_pages_are_read_up_to_the_limit(gate, server):
    rows = [run(n) for n in range(150, 0, -1)]
    listed(server, *rows[:100]), listed(server, *rows[100:], number=1)
    assert ask(gate, "--runs", "120", "--json").json["data"]["runs"] == 120


def test_since_and_region_are_asked_of_the_server(gate, server):
    listed(server, **{"region": "eu", "from": "2026-01-30T12:00:00+00:00"})
    result = ask(gate, "--since", "30d", "--region", "eu")
    assert result.exit_code == ExitCode.OK
    assert "0 comparable runs, too few to find a change" in result.stdout
    assert "0 comparable runs are too few" in result.stderr


def test_a_single_run_is_too_few(gate, server):
    listed(server, run(1))
    result = ask(gate)
    assert "1 comparable run, too few to find a change" in result.stdout
    assert "1 comparable run is too few" in result.stderr


def test_profile_is_found_by_name(gate, server):
    server.answer("GET", "/profiles", [profile()])
    listed(server, *slower())
    assert gate("history", "changes", "checkout").stdout.startswith("checkout: ")


def test_unknown_profile_is_named(gate, server):
    server.answer("GET", "/profiles", [profile()])
    result = gate("history", "changes", "chekout")
    assert result.exit_code == ExitCode.REFUSED
    assert "did you mean checkout?" in result.stderr


def test_json_and_markdown_contradict_each_other(gate):
    assert ask(gate, "--json", "--format", "markdown").exit_code == ExitCode.USAGE


def test_terminal_without_unicode_gets_no_bars(gate, server):
    listed(server, *slower(factor=1.0))
    result = ask(gate, at_terminal=True)
    assert all(len(line) <= 100 for line in result.stdout.splitlines())


@pytest.mark.parametrize(
    "odd", [{"totalErrors": 10**18}, {"totalErrors": -5}, {"p95": 1e308}, {"p95": 1e-308}]
)
def test_numbers_that_cannot_be_true_are_left_out(gate, server, odd):
    rows = [run(n, commit=OLD) for n in range(1, 11)]
    listed(server, *(run(n, **odd) for n in range(20, 10, -1)), *reversed(rows))
    result = ask(gate, "--json")
    assert result.exit_code == ExitCode.OK
    assert result.json["data"]["changes"] == []


@pytest.mark.parametrize("form", ["table", "markdown"])
def test_few_runs_are_not_called_runs_without_a_change(gate, server, form):
    listed(server, run(1))
    result = ask(gate, "--format", form)
    assert "1 comparable run, too few to find a change" in result.stdout
    assert "no change" not in result.stdout
