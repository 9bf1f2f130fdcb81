"""Whether a change is more than chance; the rates over many runs are in benchmarks/verdict.py."""

import itertools
import random
import statistics
from collections import Counter
from dataclasses import replace

import pytest

from tm_cli.server.judge import (
    BaselineChoice,
    RunFacts,
    SelectedBy,
    choose_baseline,
    judge,
    judge_ab_run,
)
from tm_cli.server.judge.facts import BlockCounts
from tm_cli.server.judge.latency import compare_response_times
from tm_cli.server.judge.statistics.bootstrap import (
    ASSUMED,
    Chance,
    ResponseTimes,
    between_runs,
    chances,
    noise,
)
from tm_cli.server.judge.thresholds import QUANTILES, Thresholds

Factors = list[float]
CALM: Factors = [1.0] * 12
SHARES = {"p50": 0.5, "p95": 0.95}


def played(factors: Factors, *, seed: int, per_block: int = 1000, median: float = 40.0) -> RunFacts:
    """A run whose blocks are slower by these factors."""
    rng = random.Random(seed)
    blocks = [
        Counter(
            round(1000 * median * factor * rng.lognormvariate(0, 0.3)) for _ in range(per_block)
        )
        for factor in factors
    ]
    together = sorted(sum(blocks, Counter()).elements())
    count = len(together)
    return RunFacts(
        history_id=seed,
        verdict="PASS",
        fingerprint="same",
        planned=count,
        sent=count,
        completed=count,
        errors=0,
        quantiles_ms={
            name: together[int(share * count)] / 1000
            for name, share in {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}.items()
        },
        generator_saturated=False,
        blocks=[sorted(block.items()) for block in blocks],
        seconds=60.0,
    )


def joined(parts: list[RunFacts], history_id: int) -> RunFacts:
    """One run of which each part is a block."""
    together = sorted(
        itertools.chain.from_iterable(
            itertools.repeat(micros, count)
            for part in parts
            for block in part.blocks
            for micros, count in block
        )
    )
    count = len(together)
    return replace(
        parts[0],
        history_id=history_id,
        planned=count,
        sent=count,
        completed=count,
        quantiles_ms={
            name: together[int(share * count)] / 1000 for name, share in QUANTILES.items()
        },
        blocks=[block for part in parts for block in part.blocks],
    )


BASELINE = played(CALM, seed=1)


def verdict(run: RunFacts, baseline: RunFacts = BASELINE) -> str:
    return judge(run, BaselineChoice(baseline, SelectedBy.NEWEST_PASSING)).verdict


def test_a_slower_version_fails_however_calm_the_machine() -> None:
    assert verdict(played([1.25] * 12, seed=2)) == "FAIL"


def test_an_improvement_is_named() -> None:
    [p95] = [item for item in compared(played([0.7] * 12, seed=2)) if item.metric == "p95"]
    assert p95.severity.name == "PASS"
    assert p95.reason.endswith("; improved")
    assert p95.document()["improved"] is True
    [p95] = [item for item in compared(played([0.99] * 12, seed=2)) if item.metric == "p95"]
    assert p95.reason.endswith(", limit +15 %")


def test_a_rise_that_one_bad_stretch_explains_does_not_count() -> None:
    run = played([1.0] * 11 + [1.4], seed=3)
    rise = run.quantiles_ms["p95"] / BASELINE.quantiles_ms["p95"] - 1
    assert rise > 0.05
    [p95] = [item for item in compared(run) if item.metric == "p95"]
    assert p95.severity.name == "PASS"
    assert "no more than chance; cannot exclude +" in p95.reason


def test_the_same_rise_all_along_the_run_does() -> None:
    [p95] = [item for item in compared(played([1.2] * 12, seed=4)) if item.metric == "p95"]
    assert p95.severity.name == "FAIL"
    assert p95.low is not None
    assert p95.high is not None
    assert p95.low < 20 < p95.high


def compared(run: RunFacts, **options):
    return list(compare_response_times(run, BASELINE, Thresholds(), than="baseline", **options))


def test_a_peak_that_both_runs_have_is_no_noise() -> None:
    peak = [1.0, 1.0, 1.5, 2.0, 3.0, 4.0, 4.0, 3.0, 2.0, 1.5, 1.0, 1.0]
    baseline, slower = played(peak, seed=5), played([1.25 * factor for factor in peak], seed=6)
    assert verdict(slower, baseline) == "FAIL"
    assert verdict(played(peak, seed=7), baseline) == "PASS"


def test_in_an_ab_run_the_weather_cancels() -> None:
    rng = random.Random(8)
    weather = [rng.uniform(1.0, 2.0) for _ in range(12)]
    other, same, slower = (
        played([factor * slowness for factor in weather], seed=seed)
        for seed, slowness in ((9, 1.0), (10, 1.0), (11, 1.12))
    )
    assert judge_ab_run(same, other).verdict == "PASS"
    assert judge_ab_run(slower, other).verdict == "WARN"
    [duet] = [
        c for c in judge_ab_run(slower, other).snapshot["comparisons"] if c["metric"] == "p95"
    ]
    two = judge(slower, BaselineChoice(other, SelectedBy.NEWEST_PASSING)).snapshot["comparisons"]
    [runs] = [c for c in two if c["metric"] == "p95"]
    assert duet["ciHigh"] - duet["ciLow"] < (runs["ciHigh"] - runs["ciLow"]) / 1.5


def test_what_is_too_noisy_to_be_judged_is_a_warning() -> None:
    wild = [played([1.0, 4.0] * 6, seed=13), played([4.0, 1.0] * 6, seed=14)]
    judgement = judge(wild[0], BaselineChoice(wild[1], SelectedBy.NEWEST_PASSING))
    assert judgement.verdict == "WARN"
    assert any("too noisy to be judged" in reason for reason in judgement.reasons)


def test_a_noisy_first_run_is_the_measure_only_until_there_is_a_calm_one() -> None:
    before: list[RunFacts] = []
    seen = []
    for number, factors in enumerate(([1.0, 8.0] * 6, CALM, CALM, CALM), 1):
        run = replace(played(factors, seed=number), history_id=number, verdict=None)
        judgement = judge(run, choose_baseline(run, before))
        before.append(replace(run, verdict=judgement.verdict))
        seen.append((judgement.verdict, judgement.baseline_id))
    assert seen == [("NO_BASELINE", None), ("WARN", 1), ("PASS", 2), ("PASS", 3)]


def test_the_same_runs_always_get_the_same_verdict() -> None:
    run = played([1.1] * 12, seed=15)
    assert judge(run, BaselineChoice(BASELINE)) == judge(run, BaselineChoice(BASELINE))


def test_a_rise_within_what_passing_runs_differ_by_does_not_count() -> None:
    run = played([1.12] * 12, seed=16)
    passed = [replace(BASELINE, quantiles_ms=scaled(f)) for f in (0.9, 1.1, 0.92, 1.12, 0.9)]
    assert worst(compared(run)) == "WARN"
    assert worst(compared(run, passed=passed)) == "PASS"


def test_a_run_must_stand_out_from_the_middle_of_those_that_passed() -> None:
    run = played([1.10] * 12, seed=17)
    passed = [*(replace(BASELINE, quantiles_ms=scaled(1.07)) for _ in range(8)), BASELINE]
    assert worst(compared(run)) == "WARN"
    assert worst(compared(run, passed=passed)) == "PASS"
    [p95] = [item for item in compared(run, passed=passed) if item.metric == "p95"]
    assert "no more than chance compared with the mean of the last 9 runs, " in p95.reason


def test_but_where_the_newest_would_fail_it_the_mean_leaves_a_warning() -> None:
    """Gained in two steps and lost at once: the mean of the three runs lies half way."""
    run = played([1.18] * 12, seed=17)
    passed = [*(replace(BASELINE, quantiles_ms=scaled(f)) for f in (1.18, 1.1)), BASELINE]
    [p95] = [item for item in compared(run, passed=passed) if item.metric == "p95"]
    assert p95.severity.name == "WARN"
    assert p95.reason.endswith(
        ", limit +5 %; no failure: it could be chance compared with the mean of the last 3 runs, "
        "71.4 ms"
    )
    assert p95.document()["significant"]


def test_from_a_baseline_that_the_user_has_chosen_nothing_else_distracts() -> None:
    run = played([1.10] * 12, seed=17)
    passed = [*(replace(BASELINE, quantiles_ms=scaled(1.07)) for _ in range(8)), BASELINE]
    assert worst(compared(run, passed=passed, is_named=True)) == "WARN"


def test_whether_a_run_sees_anything_is_asked_once() -> None:
    wild = [played([1.0, 4.0] * 6, seed=13), played([4.0, 1.0] * 6, seed=14)]
    noisy = {
        than: [
            f.metric for f in compare_response_times(*wild, Thresholds(), than=than) if f.severity
        ]
        for than in ("baseline", "reference")
    }
    assert noisy == {"baseline": ["p50"], "reference": []}


def scaled(factor: float) -> dict[str, float]:
    return {name: factor * value for name, value in BASELINE.quantiles_ms.items()}


def worst(findings) -> str:
    return max(finding.severity for finding in findings).name


def test_without_histograms_the_limits_decide_alone() -> None:
    run = replace(played([1.25] * 12, seed=18), blocks=())
    [p95] = [item for item in compared(run) if item.metric == "p95"]
    assert (p95.severity.name, p95.p_value, p95.noise) == ("FAIL", None, None)


def test_a_chain_of_small_slides_is_seen_although_each_step_passes() -> None:
    """Every run is 4 % slower than the one before it; only the first one that passed shows it."""
    before: list[RunFacts] = []
    verdicts = []
    for number in range(1, 9):
        run = replace(played([1.04**number] * 12, seed=number), history_id=number, verdict=None)
        judgement = judge(run, choose_baseline(run, before))
        before.append(replace(run, verdict=judgement.verdict, blocks=run.blocks))
        verdicts.append(judgement.verdict)
    assert verdicts[:3] == ["NO_BASELINE", "PASS", "PASS"]
    assert verdicts[-1] == "FAIL"
    assert any("the first that passed" in reason for reason in judgement.reasons)


def cached(seed: int, *, misses: float, slower: float = 1.0, per_block: int = 1000) -> RunFacts:
    """A run whose cache answers in 5 ms and misses in 80 ms."""
    rng = random.Random(seed)
    blocks = []
    for _ in range(12):
        times = [
            (80 if rng.random() < misses else 5) * slower * rng.lognormvariate(0, 0.3)
            for _ in range(per_block)
        ]
        blocks.append(Counter(round(time, 1) for time in times))
    ordered = sorted(sum(blocks, Counter()).elements())
    return replace(
        BASELINE,
        history_id=seed,
        quantiles_ms={name: ordered[int(p * len(ordered))] for name, p in QUANTILES.items()},
        blocks=[sorted((round(1000 * t), n) for t, n in block.items()) for block in blocks],
    )


class TestAQuantileBetweenTwoModes:
    @pytest.mark.parametrize("misses", [0.05, 0.5])
    def test_does_not_fail_or_warn_an_unchanged_run(self, misses: float) -> None:
        found = Counter(
            verdict(cached(2 * k, misses=misses), cached(2 * k + 1, misses=misses))
            for k in range(1, 21)
        )
        assert found["FAIL"] == 0
        assert found["WARN"] <= 3

    @pytest.mark.parametrize(
        "change", [{"misses": 0.09}, {"misses": 0.05, "slower": 1.3}], ids=["misses", "everything"]
    )
    def test_fails_one_that_is_slower(self, change) -> None:
        found = [
            verdict(cached(2 * k, **change), cached(2 * k + 1, misses=0.05)) for k in range(1, 6)
        ]
        assert found == ["FAIL"] * 5

    def test_is_told_with_the_shares_that_decided(self) -> None:
        run, baseline = cached(4, misses=0.09), cached(5, misses=0.05)
        [p95] = [
            item
            for item in compare_response_times(run, baseline, Thresholds(), than="baseline")
            if item.metric == "p95"
        ]
        assert p95.reason.startswith("p95 76.9 ms, baseline 12.9 ms, +496.1 %, limit +15 %; ")
        assert p95.reason.endswith(" % of the requests took longer than 12.9 ms, baseline 5.0 %")
        assert (p95.low, p95.high, p95.excludes_fail) == (None, None, True)
        assert p95.p_value is not None
        assert p95.p_value < 0.003

    def test_stays_too_noisy_where_there_are_too_few_slow_requests(self) -> None:
        few = [cached(seed, misses=0.05, per_block=60) for seed in (1, 2)]
        assert verdict(*few) == "WARN"


SLOW_FOR_A_WHILE = [1.0] * 4 + [1.5] * 5 + [1.0] * 3


class TestASlowStretch:
    def test_is_a_warning_that_says_when(self) -> None:
        counts = [BlockCounts(5.0 * k, 5.0 * k + 5, 1000, {}) for k in range(12)]
        run = replace(played(SLOW_FOR_A_WHILE, seed=3), block_counts=counts)
        judgement = judge(run, BaselineChoice(BASELINE, SelectedBy.NEWEST_PASSING))
        assert judgement.verdict == "WARN"
        assert any("no failure: it is mostly from 0:20 to 0:" in text for text in judgement.reasons)

    def test_a_wander_is_a_warning(self) -> None:
        wander = [1.0, 1.05, 1.1, 1.2, 1.35, 1.5, 1.5, 1.45, 1.4, 1.35, 1.3, 1.2]
        assert verdict(played(wander, seed=3)) == "WARN"

    def test_that_both_runs_have_is_no_excuse(self) -> None:
        slower = played([1.3 * factor for factor in SLOW_FOR_A_WHILE], seed=3)
        assert verdict(slower, played(SLOW_FOR_A_WHILE, seed=4)) == "FAIL"

    def test_at_the_peak_of_the_curve_is_no_excuse(self) -> None:
        """A version that has become slow under load."""
        requests = [300, 500, 800, 1200, 1700, 2000, 2000, 1700, 1200, 800, 500, 300]
        slow = [1.0, 1.0, 1.0, 1.1, 1.4, 1.6, 1.6, 1.4, 1.1, 1.0, 1.0, 1.0]

        def of_the_curve(factors: Factors, seed: int) -> RunFacts:
            parts = [
                played([factor], seed=seed + k, per_block=count)
                for k, (factor, count) in enumerate(zip(factors, requests, strict=True))
            ]
            return joined(parts, seed)

        assert verdict(of_the_curve(slow, 100), of_the_curve(CALM, 200)) == "FAIL"

    def test_nor_is_it_one_for_a_rise_all_along(self) -> None:
        assert verdict(played([1.4 * factor for factor in SLOW_FOR_A_WHILE], seed=3)) == "FAIL"


class TestAPassThatCannotTell:
    SMALL = tuple(played([1.0, 1.3] * 3, seed=seed, per_block=60) for seed in (22, 21))

    def test_says_what_it_cannot_exclude(self) -> None:
        judgement = judge(self.SMALL[0], BaselineChoice(self.SMALL[1], SelectedBy.NEWEST_PASSING))
        assert judgement.verdict == "PASS"
        assert judgement.snapshot["excludesFail"] is False
        [p95] = [item for item in judgement.snapshot["comparisons"] if item["metric"] == "p95"]
        assert p95["excludesFail"] is False
        assert judgement.reasons[-1].endswith(f"; cannot exclude {p95['ciHigh']:+.0f} %")

    def test_does_not_when_it_can(self) -> None:
        same = played(CALM, seed=2)
        judgement = judge(same, BaselineChoice(BASELINE, SelectedBy.NEWEST_PASSING))
        assert judgement.snapshot["excludesFail"] is True
        assert not any("cannot exclude" in reason for reason in judgement.reasons)

    def test_excludes_whatever_is_under_the_floor(self) -> None:
        limits = Thresholds().changed({"floorMs": 100})
        choice = BaselineChoice(self.SMALL[1], SelectedBy.NEWEST_PASSING)
        assert judge(self.SMALL[0], choice, limits).snapshot["excludesFail"] is True


class TestTheFloorOfAQuickService:
    """Of 0.7 ms at p95: 2 ms would hide that it takes three times as long."""

    @staticmethod
    def quick(seed: int, slower: float = 1.0) -> RunFacts:
        return played([slower] * 12, seed=seed, median=0.43)

    def test_is_said(self) -> None:
        [p95] = [
            item
            for item in compare_response_times(
                self.quick(3, 2.5), self.quick(1), Thresholds(), than="baseline"
            )
            if item.metric == "p95"
        ]
        assert p95.severity.name == "PASS"
        assert "; a rise under the floor of 2 ms, +2" in p95.reason

    @pytest.mark.parametrize(("runs", "verdict"), [(4, "PASS"), (5, "FAIL")])
    def test_shrinks_once_little_noise_was_seen(self, runs: int, verdict: str) -> None:
        passed = [replace(self.quick(k), history_id=k) for k in range(1, runs + 1)]
        run = replace(self.quick(9, 1.5), verdict=None)
        assert judge(run, choose_baseline(run, passed)).verdict == verdict

    def test_that_the_user_has_set_stays(self) -> None:
        passed = [replace(self.quick(k), history_id=k) for k in range(1, 6)]
        run = replace(self.quick(9, 1.5), verdict=None)
        limits = Thresholds().changed({"floorMs": 2})
        assert judge(run, choose_baseline(run, passed), limits).verdict == "PASS"

    def test_does_not_shrink_where_there_is_much_noise(self) -> None:
        passed = [replace(self.quick(k), history_id=k) for k in range(1, 6)]
        passed = [
            replace(run, quantiles_ms={k: f * v for k, v in run.quantiles_ms.items()})
            for run, f in zip(passed, (1, 1.3, 1, 1.3, 1), strict=True)
        ]
        run = replace(self.quick(9, 1.5), verdict=None)
        assert judge(run, choose_baseline(run, passed)).verdict == "PASS"


class TestResampling:
    def test_finds_the_deviation_that_repetition_shows(self) -> None:
        """The estimate of one pair agrees with what many pairs really do, within a third."""
        pairs = [(played(CALM, seed=2 * k), played(CALM, seed=2 * k + 1)) for k in range(100, 130)]
        changes = [a.quantiles_ms["p95"] / b.quantiles_ms["p95"] - 1 for a, b in pairs]
        guesses = [
            chances(ResponseTimes(a.blocks), ResponseTimes(b.blocks), SHARES)["p95"].variance
            for a, b in pairs[:10]
        ]
        seen = statistics.pstdev(changes)
        assert statistics.fmean(guesses) ** 0.5 == pytest.approx(seen, rel=0.34)

    def test_quantiles_are_those_of_all_blocks_together(self) -> None:
        sample = ResponseTimes([[(10, 90)], [(20, 10)]])
        assert [sample.quantile(share) for share in (0.5, 0.9, 0.91, 1.0)] == [10, 10, 20, 20]
        assert sample.quantile(0.5, [0, 2]) == 20
        assert sample.requests == 100

    @pytest.mark.parametrize("blocks", [[], [[]], [[], []]])
    def test_of_nothing_there_is_no_chance(self, blocks) -> None:
        assert chances(ResponseTimes(blocks), ResponseTimes([[(1, 1)]]), SHARES) == {}
        assert ResponseTimes(blocks).quantile(0.5) == 0.0


class TestTheSpreadBetweenRuns:
    WITHIN = Chance(0.0001, 11)

    def test_is_assumed_until_runs_have_passed(self) -> None:
        for values in ([], [40.0]):
            assert between_runs(values, self.WITHIN).variance == pytest.approx(ASSUMED**2)

    def test_is_learned_from_them(self) -> None:
        calm = between_runs([40.0] * 10, self.WITHIN).variance
        wild = between_runs([40.0, 44.0] * 5, self.WITHIN).variance
        assert calm < ASSUMED**2 < wild

    def test_leaves_a_slow_drift_out(self) -> None:
        drifting = [40.0 * 1.001**k for k in range(10)]
        assert between_runs(drifting, self.WITHIN).variance < ASSUMED**2

    def test_counts_a_step_to_a_run_that_did_not_pass_as_noise_at_most(self) -> None:
        bad = between_runs([40.0, 60.0] * 5, self.WITHIN, bad=range(1, 10, 2), most=0.14)
        assert bad.variance < between_runs([40.0, 47.0] * 5, self.WITHIN).variance

    def test_is_that_of_one_run_so_that_two_runs_differ_by_more(self) -> None:
        """Medians of hosted runners spread by 2.66 %, so those of two runs by 3.8 %."""
        between = between_runs([], self.WITHIN)
        assert noise(Chance(0.0, 11), between).deviation == pytest.approx(0.0266 * 2**0.5, rel=0.03)

    def test_counts_twice_between_two_runs_and_not_at_all_in_an_ab_run(self) -> None:
        between = Chance(0.0004, 8)
        assert noise(self.WITHIN, between).deviation == pytest.approx(0.03)
        assert noise(self.WITHIN, None).deviation == pytest.approx(0.01)
