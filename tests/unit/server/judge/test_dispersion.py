"""Errors that come in incidents, and statuses that come in groups."""

import random
from dataclasses import replace

import pytest

from tm_cli.server.judge import BaselineChoice, Judgement, RunFacts, SelectedBy, judge
from tm_cli.server.judge.facts import BlockCounts
from tm_cli.server.judge.statistics.dispersion import burst, dispersion, follows_load

FLAT = [1000] * 12
PEAK = [200, 400, 600, 800, 1000, 1200, 1200, 1000, 800, 600, 400, 200]


def blocks(counts: list[int], requests: list[int], metric: str) -> list[BlockCounts]:
    return [
        BlockCounts(5.0 * k, 5.0 * k + 5, requests[k], {"errors": counts[k], metric: counts[k]})
        for k in range(len(counts))
    ]


def failed(counts: list[int], requests: list[int] = FLAT, history_id: int = 2) -> RunFacts:
    """A run with so many errors in each stretch of five seconds."""
    total, errors = sum(requests), sum(counts)
    return RunFacts(
        history_id=history_id,
        verdict="PASS",
        fingerprint="same",
        planned=total,
        sent=total,
        completed=total,
        errors=errors,
        error_classes={"5xx": errors},
        quantiles_ms={"p50": 100.0, "p95": 200.0, "p99": 400.0, "p99.9": 800.0},
        generator_saturated=False,
        block_counts=blocks(counts, requests, "errors_5xx"),
        seconds=60.0,
    )


def judged(now: list[int], before: list[int], requests: list[int] = FLAT) -> Judgement:
    choice = BaselineChoice(failed(before, requests, 1), SelectedBy.NEWEST_PASSING)
    return judge(failed(now, requests), choice)


NONE = [0] * 12
EVERYWHERE = [6, 4, 7, 5, 6, 5, 4, 8, 5, 6, 7, 5]


@pytest.mark.parametrize(
    ("now", "before", "verdict"),
    [
        pytest.param(EVERYWHERE, NONE, "FAIL", id="everywhere"),
        pytest.param([0, 1, 0, 0, 1, 58, 0, 0, 1, 0, 0, 0], NONE, "WARN", id="an-incident"),
        pytest.param([58, 0, 0, 0, 58, 0, 0, 0, 0, 58, 0, 0], NONE, "WARN", id="three-incidents"),
        pytest.param([0, 0, 0, 10, 10, 10, 0, 0, 0, 0, 0, 0], NONE, "WARN", id="a-new-small-one"),
        pytest.param([0, 0, 30, 0, 0, 0, 0, 0, 0, 0, 0, 0], [1] + [0] * 11, "WARN", id="unusual"),
        pytest.param([0, 0, 30, 0, 0, 0, 0, 0, 0, 0, 0, 0], NONE, "WARN", id="however-short"),
        pytest.param([0, 0, 60, 0, 0, 30, 0, 0, 0, 0, 0, 0], [0] * 11 + [60], "PASS", id="usual"),
        pytest.param([0] * 10 + [1000, 1000], NONE, "FAIL", id="an-outage-of-ten-seconds"),
        pytest.param([0] * 11 + [600], NONE, "FAIL", id="an-outage-that-does-not-end"),
        pytest.param([0] * 10 + [600, 0], NONE, "WARN", id="an-outage-that-ends"),
        pytest.param([0] * 8 + [500] * 4, NONE, "FAIL", id="half-of-the-instances-went-away"),
        pytest.param([0] * 6 + [12] * 6, NONE, "FAIL", id="from-half-time-on"),
        pytest.param(EVERYWHERE, EVERYWHERE, "PASS", id="the-same"),
    ],
)
def test_errors_are_judged_by_how_they_are_distributed(now, before, verdict) -> None:
    assert judged(now, before).verdict == verdict


def test_a_burst_is_told_with_its_time() -> None:
    reason = judged([0, 1, 0, 0, 1, 58, 0, 0, 1, 0, 0, 0], NONE).reasons[0]
    assert reason == (
        "errors 0.51 % (61 of 12000), baseline 0.00 %, +0.51 points, limit +0.2 points; "
        "58 of 61 in one stretch (0:25 to 0:30)"
    )


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ([0, 0, 0, 9, 9, 0], "18 of 18 in one stretch (0:15 to 0:25)"),
        ([0, 0, 0, 0, 0, 9], "9 of 9 in one stretch (0:25 to 0:30)"),
        ([9, 0, 0, 0, 0, 9], None),
        ([1, 1, 1, 1, 1, 1], None),
        ([0, 0, 0, 0, 0, 0], None),
    ],
)
def test_a_burst_is_a_short_part_with_nearly_all_of_them(counts, told) -> None:
    assert burst("errors", failed(counts, FLAT[:6])) == told


def test_errors_that_come_with_the_load_are_no_incident() -> None:
    at_the_peak = [0, 0, 0, 0, 20, 25, 25, 20, 0, 0, 0, 0]
    assert judged(at_the_peak, NONE, PEAK).verdict == "FAIL"
    elsewhere = [0, 0, 0, 0, 0, 0, 0, 0, 20, 25, 25, 20]
    assert judged(elsewhere, NONE, PEAK).verdict == "WARN"


def test_on_a_flat_curve_nothing_follows_the_load() -> None:
    requests = [1000 + k for k in range(12)]
    assert not follows_load(requests, range(12))
    assert follows_load([100 * (k + 1) for k in range(12)], range(12))
    assert not follows_load([], [])


def test_the_dispersion_of_independent_errors_is_one_and_of_incidents_their_size() -> None:
    rng = random.Random(1)
    independent = [
        failed([sum(rng.random() < 0.01 for _ in range(1000)) for _ in FLAT]) for _ in range(2)
    ]
    assert dispersion("errors", *independent) < 1.6
    incidents = [failed([60 * (rng.random() < 0.2) for _ in FLAT]) for _ in range(2)]
    assert 30 < dispersion("errors", *incidents) < 90


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(failed(NONE), id="no-errors"),
        pytest.param(failed(FLAT), id="nothing-else"),
        pytest.param(replace(failed(EVERYWHERE), block_counts=[]), id="of-an-older-server"),
        pytest.param(failed([5], [1000]), id="one-stretch"),
    ],
)
def test_where_nothing_is_known_of_the_distribution_errors_are_independent(run: RunFacts) -> None:
    assert dispersion("errors", run, run) == 1.0


def shares_of_verdicts(size: int) -> dict[str, float]:
    """Of 200 pairs of runs with 1 % errors, in incidents of this size on average."""
    rng = random.Random(size)

    def drawn() -> list[int]:
        failures = [False] * 3000
        position = 0.0
        while (position := position + rng.expovariate(0.01 / size)) < len(failures):
            length = round(rng.expovariate(1 / size)) + 1
            start = int(position)
            failures[start : start + length] = [True] * len(failures[start : start + length])
        return [sum(failures[250 * k : 250 * (k + 1)]) for k in range(12)]

    found = [judged(drawn(), drawn(), [250] * 12).verdict for _ in range(200)]
    return {verdict: found.count(verdict) / len(found) for verdict in ("WARN", "FAIL")}


@pytest.mark.parametrize(("size", "warnings"), [(1, 0.05), (20, 0.45), (60, 0.4)])
def test_unchanged_errors_that_come_in_incidents_do_not_fail(size: int, warnings: float) -> None:
    found = shares_of_verdicts(size)
    assert found["FAIL"] <= 0.015
    assert found["WARN"] <= warnings


def grouped(history_id: int, counts: list[int]) -> RunFacts:
    """A run with so many 304 in each stretch, and otherwise 200."""
    run = replace(failed(NONE, FLAT, history_id), block_counts=blocks(counts, FLAT, "status_304"))
    return replace(run, statuses={"200": run.completed - sum(counts), "304": sum(counts)})


@pytest.mark.parametrize(
    ("now", "before", "verdict"),
    [
        pytest.param([300] + [0] * 11, [0] * 11 + [100], "PASS", id="grouped-in-both"),
        pytest.param([300] + [0] * 11, [0] * 11 + [30], "WARN", id="hardly-before"),
        pytest.param([300] + [0] * 11, NONE, "WARN", id="new"),
        pytest.param([25] * 12, [2] * 12, "WARN", id="everywhere"),
        pytest.param([1000] * 3 + [0] * 9, [0] * 11 + [30], "WARN", id="a-quarter-of-all"),
    ],
)
def test_a_status_that_comes_in_groups_is_a_warning_only_if_it_is_new_or_large(
    now, before, verdict
) -> None:
    choice = BaselineChoice(grouped(1, before), SelectedBy.NEWEST_PASSING)
    assert judge(grouped(2, now), choice).verdict == verdict
