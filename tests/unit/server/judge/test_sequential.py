"""Verdicts that are known before the end of a run."""

import random
from collections import Counter
from dataclasses import replace
from functools import cache

import pytest

from tm_cli.server.judge import (
    BaselineChoice,
    RunFacts,
    SelectedBy,
    Thresholds,
    judge_ab_run,
)
from tm_cli.server.judge.sequential import SequentialTest, interim
from tm_cli.server.judge.statistics.bootstrap import ResponseTimes
from tm_cli.server.judge.thresholds import QUANTILES
from tm_cli.values.load.curve import Curve

BLOCKS, PER_BLOCK = 12, 1000
FLAT = Curve([(0, 100), (60, 100)], 60, "LINEAR")


@cache
def response_times(factor: float, seed: int, wander: float) -> list[list[tuple[int, int]]]:
    """Response times of about 40 ms in microseconds, with their numbers, by block."""
    rng = random.Random(seed)
    found = []
    for _ in range(BLOCKS):
        slow = 40_000 * factor * (1 + rng.gauss(0, wander))
        times = (round(slow * rng.lognormvariate(0, 0.3), -2) for _ in range(PER_BLOCK))
        found.append(sorted(Counter(map(int, times)).items()))
    return found


def played(
    factor: float = 1.0,
    *,
    seed: int = 1,
    blocks: int = BLOCKS,
    errors: int = 0,
    wander: float = 0.01,
    history_id: int = 1,
    **fields: object,
) -> RunFacts:
    """The first blocks of a run of 12."""
    found = response_times(factor, seed, wander)[:blocks]
    sample, count = ResponseTimes(found), blocks * PER_BLOCK
    facts = {
        "history_id": history_id,
        "verdict": "PASS",
        "fingerprint": "same",
        "planned": count,
        "sent": count,
        "completed": count,
        "errors": errors,
        "error_classes": {"5xx": errors},
        "statuses": {"200": count - errors},
        "quantiles_ms": {name: sample.quantile(share) / 1000 for name, share in QUANTILES.items()},
        "generator_saturated": False,
        "blocks": found,
        "seconds": 5.0 * blocks,
    }
    return RunFacts(**{**facts, **fields})  # type: ignore[arg-type]


def looks(
    factor: float = 1.0,
    *,
    passed: tuple[RunFacts, ...] = (),
    gate: dict[str, object] | None = None,
    **how: object,
) -> tuple[str | None, int]:
    """The verdict of the first look that knows it, and the blocks that it took."""
    test = SequentialTest()
    for blocks in range(1, BLOCKS):
        seen = interim(FLAT, 0.0, 5.0 * blocks, blocks=blocks, total=BLOCKS)
        run = played(factor, seed=2, blocks=blocks, history_id=99, **how)  # type: ignore[arg-type]
        baseline = played(blocks=blocks, stretches=how.get("stretches", {}))
        choice = BaselineChoice(baseline, SelectedBy.NEWEST_PASSING, passed=(baseline, *passed))
        if known := test.look(run, choice, Thresholds().changed(gate), seen):
            return known, blocks
    return None, BLOCKS


def test_a_run_that_is_half_as_slow_again_is_decided_in_a_third_of_its_time() -> None:
    assert looks(1.5) == ("FAIL", 3)


def test_an_unchanged_run_is_decided_in_two_thirds_of_its_time_but_not_before_half() -> None:
    known, blocks = looks()
    assert known == "PASS"
    assert 6 <= blocks <= 8


@pytest.mark.parametrize(("limit", "known"), [(400, "PASS"), (65.5, None), (40, "FAIL")])
def test_an_absolute_limit_decides_if_chance_cannot_cross_it(
    limit: float, known: str | None
) -> None:
    assert looks(gate={"p95": {"failMs": limit}})[0] == known


def test_what_is_between_the_limits_is_not_decided() -> None:
    assert looks(1.11) == (None, BLOCKS)


def test_errors_decide_as_well() -> None:
    assert looks(errors=100) == ("FAIL", 3)


@pytest.mark.parametrize(
    "flaw",
    [
        pytest.param({"generator_saturated": True}, id="saturated"),
        pytest.param({"notes": ("a worker was lost",)}, id="lost-worker"),
        pytest.param({"sent": 200, "planned": 6000}, id="shortfall"),
        pytest.param({"statuses": {"200": 0, "302": 500}}, id="redirects"),
    ],
)
def test_a_run_that_could_not_pass_is_not_passed_early(flaw: dict[str, object]) -> None:
    assert looks(**flaw)[0] != "PASS"


@pytest.mark.parametrize(("requests", "known"), [(900, None), (1000, "PASS")])
def test_a_quantile_that_only_the_whole_run_could_judge_prevents_an_early_pass(
    requests: int, known: str | None
) -> None:
    counts = dict.fromkeys(("completed", "sent", "planned"), requests)  # p99 takes 1,000
    now = played(seed=2, blocks=6, statuses={"200": requests}, **counts)
    seen = interim(FLAT, 0.0, 30.0, blocks=6, total=BLOCKS)
    before = replace(now, blocks=played(blocks=6).blocks)
    assert SequentialTest().look(now, before, Thresholds(), seen) == known


def test_a_noisy_run_that_cannot_exclude_the_limit_is_not_passed_early() -> None:
    assert looks(wander=0.3)[0] is None


def test_an_improvement_takes_the_whole_run_to_become_a_baseline() -> None:
    assert looks(0.6) == (None, BLOCKS)


def test_after_ten_early_passes_the_baseline_is_renewed() -> None:
    nine = tuple(played(seed=3, history_id=number) for number in range(2, 11))
    assert looks(passed=nine)[0] == "PASS"
    assert looks(passed=(*nine, replace(nine[0], history_id=11))) == (None, BLOCKS)


@pytest.mark.parametrize(("key", "known"), [("p95[30s..60s]", None), ("p95[0s..30s]", "PASS")])
def test_a_stretch_with_thresholds_of_its_own_must_be_over(key: str, known: str | None) -> None:
    gate = {key: {"fail": 20}}
    (item,) = Thresholds().changed(gate).stretches.values()
    measured = {item.stretch: played(seed=2, blocks=6)}
    assert looks(gate=gate, stretches=measured)[0] == known


def test_both_sides_of_an_ab_run_decide_it() -> None:
    seen = interim(FLAT, 0.0, 30.0, blocks=6, total=BLOCKS)
    now, before = played(seed=2, blocks=6), played(blocks=6)
    assert SequentialTest().look(now, before, Thresholds(), seen) == "PASS"
    slow = played(1.5, seed=2, blocks=6)
    assert SequentialTest().look(slow, before, Thresholds(), seen) == "FAIL"


def permitted(*points: tuple[float, float], second: float) -> set[str]:
    curve = Curve(points, 60, "LINEAR")
    return set(interim(curve, 0.0, second, blocks=int(second / 5), total=BLOCKS).permits)


def test_on_a_constant_curve_half_of_it_permits_a_pass_and_a_fifth_a_failure() -> None:
    flat = (0.0, 100.0), (60.0, 100.0)
    assert permitted(*flat, second=10) == set()
    assert permitted(*flat, second=15) == {"FAIL"}
    assert permitted(*flat, second=25) == {"FAIL"}
    assert permitted(*flat, second=30) == {"FAIL", "PASS"}


def test_a_curve_that_rises_to_its_end_is_never_decided_early() -> None:
    assert permitted((0, 10), (60, 200), second=55) == set()


def test_a_peak_must_have_been_seen_for_as_long_as_it_is_still_to_last() -> None:
    steps = (0.0, 50.0), (30.0, 50.0), (30.1, 200.0), (60.0, 200.0)
    assert permitted(*steps, second=30) == set()
    assert permitted(*steps, second=40) == {"FAIL"}
    assert permitted(*steps, second=50) == {"FAIL", "PASS"}


def test_what_follows_the_peak_need_not_be_seen() -> None:
    assert permitted((0, 200), (20, 200), (20.1, 50), (60, 50), second=30) == {"FAIL", "PASS"}


def test_chance_is_spent_over_the_looks_and_never_exceeds_its_sum() -> None:
    test = SequentialTest()
    for blocks in range(3, BLOCKS):
        seen = interim(FLAT, 0.0, 5.0 * blocks, blocks=blocks, total=BLOCKS)
        test.look(played(1.11, seed=2, blocks=blocks), played(blocks=blocks), Thresholds(), seen)
        assert set(test.spent.values()) == {seen.share}
    assert max(test.spent.values()) < 1


def test_an_improvement_decides_an_ab_run_which_is_no_baseline() -> None:
    seen = interim(FLAT, 0.0, 30.0, blocks=6, total=BLOCKS)
    now, before = played(0.6, seed=2, blocks=6), played(blocks=6)
    assert SequentialTest().look(now, before, Thresholds(), seen) == "PASS"


def test_a_rise_that_a_slow_machine_could_make_takes_longer_except_in_an_ab_run() -> None:
    known, blocks = looks(1.3)
    assert (known, blocks > 4) == ("FAIL", True)
    seen = interim(FLAT, 0.0, 20.0, blocks=4, total=BLOCKS)
    now, before = played(1.3, seed=2, blocks=4), played(blocks=4)
    assert SequentialTest().look(now, before, Thresholds(), seen) == "FAIL"


@pytest.mark.parametrize(("share", "known"), [(0.999, None), (0.6, "FAIL")])
def test_without_a_baseline_chance_must_not_undo_an_absolute_limit_either(
    share: float, known: str | None
) -> None:
    run = played(seed=2, blocks=3)
    thresholds = Thresholds().changed({"p95": {"failMs": share * run.quantiles_ms["p95"]}})
    seen = interim(FLAT, 0.0, 15.0, blocks=3, total=BLOCKS)
    assert SequentialTest().look(run, BaselineChoice(None), thresholds, seen) == known


def test_requests_that_are_late_may_still_be_sent_so_they_fail_no_run_early() -> None:
    late = {"planned": 6000, "sent": 5500, "completed": 5500, "statuses": {"200": 5500}}
    seen = interim(FLAT, 0.0, 30.0, blocks=6, total=BLOCKS)
    now, before = played(seed=2, blocks=6, **late), played(blocks=6)
    assert judge_ab_run(now, before).verdict == "FAIL"
    assert SequentialTest().look(now, before, Thresholds(), seen) is None


def test_a_curve_without_requests_so_far_decides_nothing() -> None:
    assert permitted((0, 0), (60, 0), second=30) == set()
