"""What runs can detect; how true it is on noisy machines is in benchmarks/power.py."""

import random
from dataclasses import replace

import pytest

from tests.unit.server.judge.test_noise import CALM, played
from tm_cli.server.judge import BaselineChoice, RunFacts, SelectedBy, judge, judge_ab_run
from tm_cli.server.judge.findings import BASELINE
from tm_cli.server.judge.latency import compare_response_times
from tm_cli.server.judge.power import (
    Load,
    Question,
    Variation,
    detectable,
    find_variation,
    options,
    smallest_of_two_runs,
)
from tm_cli.server.judge.statistics.bootstrap import ASSUMED, ASSUMED_RUNS, Chance
from tm_cli.server.judge.thresholds import NEVER, Threshold, Thresholds

LIMITS = Threshold(5, 15)
BETWEEN = Chance(ASSUMED**2, ASSUMED_RUNS)
NOTHING = Chance(0.0, 1.0)


def within(deviation: float) -> Chance:
    return Chance(deviation**2, 15)


@pytest.mark.parametrize(
    ("deviation", "between", "warn", "fail"),
    [
        (0.001, None, 5.1, 15.2),  # the limits decide
        (0.01, None, 5.9, 16.9),
        (0.03, None, 9.1, 20.8),
        (0.1, None, 33.3, 62.3),  # chance decides
        (0.001, BETWEEN, 12.2, 22.7),  # machines differ
        (0.03, BETWEEN, 14.9, 26.1),
        (0.1, BETWEEN, 35.6, 66.2),
    ],
)
def test_smallest_rise_is_above_limit_and_chance(deviation, between, warn, fail) -> None:
    found = detectable(within(deviation), between, LIMITS, 0.0)
    assert found.warn == pytest.approx(warn, abs=0.3)
    assert found.fail == pytest.approx(fail, abs=0.3)


def test_floor_hides_what_is_below_it() -> None:
    found = detectable(within(0.001), None, LIMITS, floor=1.0)
    assert (found.warn, found.fail) == (100.2, 100.3)


def test_limit_that_is_switched_off_detects_nothing() -> None:
    found = detectable(within(0.01), None, Threshold(5, NEVER), 0.0)
    assert found.warn is not None
    assert found.fail is None


def test_noise_without_bounds_detects_nothing() -> None:
    found = detectable(within(5.0), None, LIMITS, 0.0)
    assert (found.warn, found.fail) == (None, None)


def test_history_that_is_calm_detects_more_than_one_that_is_unknown() -> None:
    calm = Chance(ASSUMED_RUNS * ASSUMED**2 / (ASSUMED_RUNS + 9), ASSUMED_RUNS + 9)
    known = detectable(within(0.005), calm, LIMITS, 0.0)
    unknown = detectable(within(0.005), BETWEEN, LIMITS, 0.0)
    assert known.warn is not None
    assert unknown.warn is not None
    assert known.warn < 0.7 * unknown.warn


VARIATION = Variation(
    requests=3000,
    seconds=60.0,
    value=40.0,
    sampling=0.0008,
    wander=0.0004,
    between=BETWEEN,
    assumed=ASSUMED,
)
QUESTION = Question(detect=10.0, power=0.95, bound=LIMITS, floor_ms=2.0, fewest=200)
NOW = Load(50, 60)


def by_name(question: Question, variation: Variation = VARIATION, now: Load = NOW, **more):
    found = options(variation, question, now, most_rate=more.get("most_rate", 10_000.0))
    return {option.name: option for option in found}


def test_small_rise_is_seen_by_an_ab_run_alone() -> None:
    found = by_name(QUESTION)
    assert [name for name, option in found.items() if option.is_enough] == [
        "A/B run, another length"
    ]
    best = found["A/B run, another length"]
    assert best.is_cheapest
    assert best.detects.warn is not None
    assert best.detects.warn <= 10
    least = smallest_of_two_runs(VARIATION, QUESTION).warn
    assert least is not None
    assert least > 10


def test_large_rise_is_seen_by_a_shorter_run() -> None:
    found = by_name(replace(QUESTION, detect=30.0))
    assert found["as it is"].is_enough
    assert found["another length"].is_cheapest
    assert found["another length"].load.seconds < 60


def test_shortest_of_two_runs_comes_before_an_ab_run_of_the_same_length() -> None:
    found = by_name(replace(QUESTION, detect=300.0))
    assert found["another length"].is_cheapest
    assert found["A/B run, another length"].load.seconds == found["another length"].load.seconds


def test_rate_that_the_server_does_not_send_is_not_proposed() -> None:
    noisy = replace(VARIATION, sampling=0.02, wander=0.0)
    question = replace(QUESTION, detect=25.0)
    assert by_name(question, noisy)["more requests/s"].load.rate > 100
    assert "more requests/s" not in by_name(question, noisy, most_rate=100.0)


def test_limits_that_hide_the_rise_are_lowered_for_all_but_the_present_way() -> None:
    question = replace(QUESTION, detect=4.0)
    lower = question.with_lower_limits(40.0)
    assert (lower.bound, lower.floor_ms) == (Threshold(2.0, 15), 0.8)
    assert question.with_lower_limits(400.0).floor_ms == 2.0
    found = by_name(question)
    assert not found["as it is"].is_enough
    assert found["A/B run, another length"].is_enough
    assert "lower limits" not in by_name(QUESTION)


def test_too_few_requests_detect_nothing() -> None:
    found = by_name(QUESTION, now=Load(6, 60))
    assert found["as it is"].detects.warn is not None
    assert not found["as it is"].is_too_small
    assert found["A/B run"].detects.warn is None, "each side has less than 200 requests"
    assert found["A/B run"].is_too_small


def test_run_in_which_everything_could_be_chance_is_not_enough() -> None:
    found = by_name(replace(QUESTION, detect=900.0), replace(VARIATION, sampling=0.5))
    assert found["as it is"].is_blind
    assert not found["as it is"].is_enough


def test_variation_is_that_of_the_runs() -> None:
    runs = [played(CALM, seed=seed) for seed in (1, 2, 3)]
    calm = find_variation(runs, "p95")
    assert (calm.requests, calm.seconds) == (12_000, 60.0)
    assert calm.wander < calm.sampling
    wild = [played([1.0, 1.5] * 3 + [1.5, 1.0] * 3, seed=4), played(CALM, seed=5)]
    assert find_variation(wild, "p95").wander > 10 * calm.sampling


def test_prediction_holds_where_nothing_but_chance_within_the_runs_varies() -> None:
    """A rise that is predicted to fail in 95 % of the runs does so, give or take 10 points."""
    rng = random.Random(1)
    runs = [played(CALM, seed=seed, per_block=20) for seed in (1, 2, 3)]
    variation = replace(find_variation(runs, "p95"), between=Chance(1e-12, 100))
    rise = QUESTION.detects(variation, *variation.chances(Load(4, 60))).fail
    assert rise is not None
    failed = 0
    for _ in range(40):
        before = played(CALM, seed=rng.randrange(10**6), per_block=20)
        now = played([1 + rise / 100] * 12, seed=rng.randrange(10**6), per_block=20)
        found = judge_ab_run(now, before).snapshot["comparisons"]
        failed += any(item["metric"] == "p95" and item["verdict"] == "FAIL" for item in found)
    assert 34 <= failed <= 40


def test_verdict_says_what_runs_like_these_detect() -> None:
    runs = [played(CALM, seed=seed) for seed in (1, 2)]
    now = replace(runs[1], verdict=None)
    judgement = judge(now, BaselineChoice(runs[0], SelectedBy.NEWEST_PASSING))
    assert set(judgement.snapshot["canDetect"]) == {"p50", "p95", "p99"}
    p95 = judgement.snapshot["canDetect"]["p95"]
    assert 8 < p95["warn"] < 16
    assert 19 < p95["fail"] < 26
    paired = judge_ab_run(now, runs[0]).snapshot["canDetect"]["p95"]
    assert paired["warn"] < p95["warn"]


def test_run_without_a_baseline_does_not_say_what_it_detects() -> None:
    snapshot = judge(played(CALM, seed=1), BaselineChoice(None, reason="none")).snapshot
    assert snapshot["canDetect"] == {}


def noise_of(now: RunFacts, before: RunFacts) -> float:
    found = compare_response_times(now, before, Thresholds(), than=BASELINE)
    [p95] = [item for item in found if item.metric == "p95"]
    assert p95.noise is not None
    return p95.noise


def test_measured_spread_counts_on_the_same_class_of_machine() -> None:
    """Machines of two classes differ by more than two of one class."""
    now = replace(played(CALM, seed=2), runner_class="a")
    before, elsewhere = (replace(played(CALM, seed=1), runner_class=name) for name in "ab")
    usual = noise_of(now, before)
    calm, noisy = (replace(now, assumed_spread=spread) for spread in (0.0135, 0.08))
    assert noise_of(calm, before) < 0.7 * usual
    assert noise_of(calm, elsewhere) == usual
    assert noise_of(noisy, before) == noise_of(noisy, elsewhere) > 2 * usual
