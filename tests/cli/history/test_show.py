"""`tm history show`: a run in words and as a picture."""

from __future__ import annotations

import json

import pytest

from tests.services.trafficmorph import comparison, detail, other_side, series, verdict_snapshot

FULL = {"autoCompareSnapshot": verdict_snapshot(comparison()), **series(26.0)}


def braille(text):
    return [line for line in text.splitlines() if any(0x2800 <= ord(c) < 0x2900 for c in line)]


def test_run_is_drawn_over_the_band_of_its_baseline(gate, server):
    server.detail(**FULL).answer("GET", "/history/5", detail(5, **series(20.0)))
    shown = gate("history", "show", "7").stdout
    for title in ("requests/s: achieved", "p50: this run", "p95: this run", "p99: this run"):
        assert title in shown
    assert "planned ⠔⠔" in shown
    assert "baseline ⠔⠔" in shown
    assert braille(shown)
    assert max(map(len, shown.splitlines())) <= 100


def test_words_tell_the_slowest_and_the_worst_moment(gate, server):
    server.detail(**FULL).answer("GET", "/history/5", detail(5))
    shown = gate("history", "show", "7").stdout
    assert "slowest 30s to 35s: p50 13 ms, p95 26 ms, p99 234 ms at 10 requests/s" in shown
    assert "most failures 45s to 50s: 5.00 % of requests" in shown
    assert "+24.5 to +35.5" in shown
    assert "baseline run 5, 2h older (pinned); reference run 2" in shown


def test_baseline_that_cannot_be_read_costs_only_its_band(gate, server):
    server.detail(**FULL).error("GET", "/history/5", 400, "Run history not found")
    result = gate("history", "show", "7")
    assert "run 5, is not drawn: Run history not found" in result.stderr
    assert "p95: this run" in result.stdout
    assert "baseline ⠔⠔" not in result.stdout


def test_calls_of_the_response_script_and_its_requests_are_told(gate, server):
    script = {"ok": 1174, "errors": 2, "skipped": 0, "messages": {"Error: once": 1, "Error: no": 2}}
    script["notes"] = ["initScript wrote: ready"]
    requests = {"sent": 37, "completed": 37, "errors": 20, "refused": 5, "dropped": 0}
    stats = {"scriptStats": json.dumps(script), "secondaryStats": json.dumps(requests)}
    server.detail(autoCompareBaselineRunId=None, **stats)
    shown = gate("history", "show", "7").stdout
    assert "  response script 1,174 returned, 2 failed, 0 left out; such as Error: no" in shown
    assert "  script note initScript wrote: ready" in shown
    assert "  requests of the script 37 sent, 20 errors, 5 refused, 0 dropped" in shown


def test_duet_draws_both_sides_from_one_answer(gate, server):
    server.detail(**FULL, against=other_side(), autoCompareBaselineRunId=None)
    shown = gate("history", "show", "7").stdout
    assert "requests/s of the other target" in shown
    assert "other target ⠔⠔" in shown
    assert "https://old.shop.example/checkout" in shown


@pytest.mark.parametrize(
    "found",
    [
        {"rpsSeries": "[1, 2, 3]"},
        {"rpsSeries": json.dumps([{"time": 2.5, "value": 4}, {"time": 7.5, "value": 5}])},
        {"latencySeries": json.dumps([{"t": 5, "p95Ms": 4}])},
        {"rpsSeries": json.dumps([{"t": 5, "rps": 4}, {"t": "x"}, None, 7, [1]])},
    ],
)
def test_series_of_other_shapes_are_drawn_as_far_as_they_can_be_read(gate, server, found):
    changes = {"autoCompareBaselineRunId": None, **found}
    server.detail(**changes)
    assert braille(gate("history", "show", "7").stdout)


@pytest.mark.parametrize(
    "found",
    [
        {"rpsSeries": None, "latencySeries": None},
        {"rpsSeries": "no json"},
        {"rpsSeries": '{"a": 1}'},
        {"rpsSeries": json.dumps([{"t": -1, "rps": 4}, {"t": 1e300, "rps": 1e300}, {"rps": -4}])},
        {"latencySeries": json.dumps([{"t": 2.5, "p95": "fast"}])},
    ],
)
def test_series_that_cannot_be_read_are_not_drawn(gate, server, found):
    server.detail(**found)
    result = gate("history", "show", "7")
    assert result.exit_code == 0
    assert not braille(result.stdout)
    assert "600 requests" in result.stdout


def test_failures_are_told_apart_from_responses(gate, server):
    server.detail(responseCodes=json.dumps({"200": 590, "TimeoutError": 10}))
    shown = gate("history", "show", "7").stdout
    assert "responses 200 × 590" in shown
    assert "failures TimeoutError × 10" in shown


def test_json_asks_for_one_row_only(gate, server):
    server.detail(**FULL)
    data = gate("history", "show", "7", "--json").json["data"]
    assert data["autoCompareSnapshot"]["baselineChoice"] == "pinned"
    assert len(data["rpsSeries"]) == 12


def test_what_is_not_judged_is_said_and_marked(gate, server):
    judged = {"totalRequests": 1100, "totalErrors": 10}
    server.detail(**FULL, totalRequests=1200, totalErrors=60, warmupSeconds=5, judged=judged)
    server.answer("GET", "/history/5", detail(5))
    shown = gate("history", "show", "7").stdout
    assert "the first 5 s are not judged: 100 of 1,200 requests and 50 of 60 errors" in shown
    assert "┄" in shown


@pytest.mark.parametrize(
    ("p95", "planned", "hint"),
    [
        ([90, 40, 41, 40, 42, 40, 41, 40], [20] * 8, "the first 5 s were 2.2 times as slow"),
        ([90, 80, 41, 40, 42, 40, 41, 40], [20] * 8, "the first 10 s were 2.2 times as slow"),
        ([90, 80, 70, 40, 42, 40, 41, 40], [20] * 8, None),  # more than a quarter
        ([90, 40, 41, 95, 42, 40, 41, 40], [20] * 8, None),  # not the slowest
        ([90, 40, 41, 40, 42, 40, 41, 40], [40] + [20] * 7, None),  # under a higher load
        ([4, 2, 2, 2, 2, 2, 2, 2], [20] * 8, None),  # too quick to matter
        ([42, 40, 41, 40, 42, 40, 41, 40], [20] * 8, None),
        ([90, 40, 41], [20] * 3, None),
    ],
)
def test_slow_beginning_suggests_a_warm_up(gate, server, p95, planned, hint):
    times = [2.5 + 5 * n for n in range(len(p95))]
    found = {
        "rpsSeries": json.dumps(
            [{"t": t, "rps": rate, "planned": rate} for t, rate in zip(times, planned, strict=True)]
        ),
        "latencySeries": json.dumps(
            [{"t": t, "p95": value} for t, value in zip(times, p95, strict=True)]
        ),
    }
    server.detail(autoCompareBaselineRunId=None, warmupSeconds=0, **found)
    shown = gate("history", "show", "7").stdout
    assert ("`warmup: " in shown) == (hint is not None)
    assert hint is None or f"{hint} as usual in this run (p95): `warmup: " in shown


def test_server_that_has_no_warm_up_gets_no_advice_about_it(gate, server):
    slow = [{"t": 2.5 + 5 * n, "p95": 20 if n else 90} for n in range(8)]
    server.detail(autoCompareBaselineRunId=None, latencySeries=json.dumps(slow))
    assert "warmup" not in gate("history", "show", "7").stdout


@pytest.mark.parametrize("verdict", ["PASS", "FAIL"])
def test_absolute_limits_are_shown_in_their_unit(gate, server, verdict):
    limit = comparison(
        metric="p95[60s..90s]", unit="ms", value=512.0, baseline=None, change=None, ciLow=None,
        ciHigh=None, pValue=None, warn=None, fail=800.0, verdict=verdict, than="limit",
    )  # fmt: skip
    server.detail(autoCompareSnapshot=verdict_snapshot(limit), autoCompareBaselineRunId=None)
    shown = gate("history", "show", "7").stdout
    row = next(line for line in shown.splitlines() if "p95[60s..90s] (limit)" in line)
    assert "- / 800 ms" in row
    assert verdict in row


def test_time_that_tasks_waited_for_a_cpu_is_shown(gate, server):
    server.detail(cpuPressure=0.312, autoCompareBaselineRunId=None)
    shown = gate("history", "show", "7").stdout
    assert "CPU pressure 31.20 %, the share of the time in which some task waited" in shown


@pytest.mark.parametrize(
    ("detects", "note"),
    [
        ({"p95": {"warn": 12.3, "fail": 22.4}}, "blind below +12 % at p95; fails from +22 %\n"),
        ({"p95": {"warn": 12.3, "fail": None}}, "blind below +12 % at p95\n"),
        ({"p95": {"warn": None, "fail": 22.4}}, "blind below +22 % at p95\n"),
    ],
)
def test_run_says_which_rise_it_would_have_missed(gate, server, detects, note):
    server.detail(autoCompareSnapshot=verdict_snapshot(canDetect=detects, baseline=None))
    assert f"  note: {note}" in gate("history", "show", "7").stdout


@pytest.mark.parametrize(
    "detects",
    [None, {}, 7, {"p95": None}, {"p95": {"warn": None, "fail": None}}, {"p50": {"warn": 5.0}}],
)
def test_run_that_does_not_know_what_it_misses_says_nothing(gate, server, detects):
    server.detail(autoCompareSnapshot=verdict_snapshot(canDetect=detects))
    assert "blind" not in gate("history", "show", "7").stdout


def step(name, requests=600, errors=0, p95=20.0):
    return {
        "name": name,
        "totalRequests": requests,
        "totalErrors": errors,
        "responseCodes": {"200": requests - errors, "503": errors},
        "latencyQuantiles": {"p50": p95 / 2, "p95": p95, "p99": 2 * p95},
    }


def test_steps_are_listed_the_worst_first_and_not_all(gate, server):
    judged = [
        {"name": "/login", "verdict": "PASS", "comparisons": [comparison("p95", change=1.0)]},
        {"name": "/cart", "verdict": "FAIL", "comparisons": [comparison("p95", change=80.0)]},
        {"name": "/gone", "verdict": "WARN", "comparisons": []},
    ]
    others = [step(f"/{number}", p95=30.0 + number) for number in range(12)]
    server.detail(
        steps=[step("/login"), step("/cart", errors=6, p95=36.0), *others],
        autoCompareSnapshot=verdict_snapshot(comparison(), steps=judged),
    )
    lines = gate("history", "show", "7").stdout.splitlines()
    table = lines[next(n for n, line in enumerate(lines) if line.strip().startswith("STEP ")) :]
    assert table[1].split() == [
        *("/cart", "600", "6", "18", "ms", "36", "ms", "72", "ms", "+80.0", "%", "FAIL")
    ]
    assert table[2].split() == ["/gone", "-", "-", "-", "-", "-", "-", "WARN"]
    assert table[3].split()[0] == "/login"
    assert [line.split()[0] for line in table[4:11]] == [f"/{n}" for n in range(11, 4, -1)]
    assert table[11] == "  and 5 more steps (--json and reports have all)"


@pytest.mark.parametrize("steps", [None, 5, "x", [5, None, {}], [{"name": 5}], {"name": "x"}])
def test_steps_that_are_none_are_left_out(gate, server, steps):
    server.detail(steps=steps, autoCompareSnapshot=verdict_snapshot(comparison(), steps=steps))
    assert "STEP" not in gate("history", "show", "7").stdout
