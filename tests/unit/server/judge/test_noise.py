"""Whether a change is more than chance; the rates over many runs are in benchmarks/verdict.py."""

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
from tm_cli.server.judge.bootstrap import (
    ASSUMED,
    Chance,
    ResponseTimes,
    between_runs,
    chances,
    noise,
)
from tm_cli.server.judge.latency import compare_response_times
from tm_cli.server.judge.thresholds import Thresholds

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


BASELINE = played(CALM, seed=1)


def verdict(run: RunFacts, baseline: RunFacts = BASELINE) -> str:
    return judge(run, BaselineChoice(baseline, SelectedBy.NEWEST_PASSING)).verdict


def test_a_slower_version_fails_however_calm_the_machine() -> None:
    assert verdict(played([1.25] * 12, seed=2)) == "FAIL"


def test_an_improvement_is_named() -> None:
    [p95] = [item for item in compared(played([0.7] * 12, seed=2)) if item.metric == "p95"]
    assert p95.severity.name == "PASS"
    assert p95.reason.endswith("; an improvement")
    [p95] = [item for item in compared(played([0.99] * 12, seed=2)) if item.metric == "p95"]
    assert p95.reason.endswith(", limit +15 %")


def test_a_rise_that_one_bad_stretch_explains_does_not_count() -> None:
    run = played([1.0] * 11 + [1.4], seed=3)
    rise = run.quantiles_ms["p95"] / BASELINE.quantiles_ms["p95"] - 1
    assert rise > 0.05
    [p95] = [item for item in compared(run) if item.metric == "p95"]
    assert p95.severity.name == "PASS"
    assert p95.reason.endswith("no more than chance")


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
        assert sample.quantile(0.5, {1: 2}) == 20
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

    def test_is_that_of_one_run_so_that_two_runs_differ_by_more(self) -> None:
        """Medians of hosted runners spread by 2.66 %, so those of two runs by 3.8 %."""
        between = between_runs([], self.WITHIN)
        assert noise(Chance(0.0, 11), between).deviation == pytest.approx(0.0266 * 2**0.5, rel=0.03)

    def test_counts_twice_between_two_runs_and_not_at_all_in_an_ab_run(self) -> None:
        between = Chance(0.0004, 8)
        assert noise(self.WITHIN, between).deviation == pytest.approx(0.03)
        assert noise(self.WITHIN, None).deviation == pytest.approx(0.01)
