"""Whether `tm plan` tells the truth: predicted and simulated power of the embedded server's judge.

    python benchmarks/power.py [--quick]

For each noise, several runs of one version are drawn over the noise of `noise.py`, and the judge's
own planner says which rise of p95 a pair of such runs, or an A/B run, detects. Then pairs with just
this rise are drawn and judged. At the end, unchanged runs are judged after a calibration of few
runs, which may have been lucky. Exits 1 when a share is off by more than the tolerance.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from statistics import fmean, stdev

from noise import NOISES, Noise, Target, play, slowness
from shares import wilson

from tm_cli.server.judge import RunFacts
from tm_cli.server.judge.evidence import find_evidence
from tm_cli.server.judge.findings import BASELINE, LIKELY, SURE, Severity
from tm_cli.server.judge.latency import compare_response_times
from tm_cli.server.judge.power import (
    POWER_OF_FAIL,
    POWER_OF_WARN,
    Load,
    Question,
    find_variation,
)
from tm_cli.server.judge.statistics.bootstrap import ASSUMED, Chance, between_runs
from tm_cli.server.judge.statistics.bootstrap import noise as combined
from tm_cli.server.judge.statistics.distributions import student_quantile
from tm_cli.server.judge.thresholds import Thresholds
from tm_cli.server.runs.noise import assumed_spread

NAMES = ("calm", "hosted", "hosted mix")
LOADS = (Load(50, 60), Load(200, 60), Load(200, 60, is_ab_run=True))
METRIC, KNOWN, HISTORIES = "p95", range(1, 11), 10
SPREADS, CALIBRATED_BY, UNCHANGED = (0.005, 0.0266, 0.04), (0, 3, 5, 20), 10_000
WITHIN = 0.006**2  # variance within two runs of a minute at 200/s
TOLERANCE = 7.0
"""Points below the prediction; above it a plan is only too cautious."""


@dataclass(frozen=True, slots=True)
class Case:
    """Pairs of runs that differ by what is detected as `wanted` in a share of `power`."""

    noise: Noise
    load: Load
    wanted: Severity
    power: float


@cache
def history(number: int, noise: Noise, rate: float, seconds: float) -> tuple[RunFacts, ...]:
    """Runs of one version that have passed, oldest first."""
    rng = random.Random(f"history {number}")  # noqa: S311
    runs = [play(Target(), slowness(round(seconds), noise, rng), rate, noise, rng) for _ in KNOWN]
    return tuple(replace(run, history_id=at) for at, run in zip(KNOWN, runs, strict=True))


@cache
def predicted(number: int, case: Case) -> float | None:
    """The rise in percent that the planner promises to be detected, from one of the histories."""
    load, limits = case.load, Thresholds()
    runs = history(number, case.noise, load.rate, load.seconds)
    known = find_evidence(runs[-2], runs[-1], limits, BASELINE, runs, runs, False, False)
    variation = find_variation(runs[-4:], METRIC, known[METRIC].between())
    question = Question(0, case.power, limits.quantiles[METRIC], limits.floor(METRIC), 0)
    detects = question.detects(variation, *variation.chances(load))
    return detects.warn if case.wanted is Severity.WARN else detects.fail


def trial(seed: int, case: Case) -> tuple[float, bool]:
    """The rise that is promised, and whether it is detected in a pair of runs."""
    rng, number, load = random.Random(seed), seed % HISTORIES, case.load  # noqa: S311
    rise = predicted(number, case)
    if rise is None:
        return 0.0, True
    factors = [slowness(round(load.seconds), case.noise, rng) for _ in range(2)]
    rate = load.per_side / load.seconds
    before = play(Target(), factors[0], rate, case.noise, rng)
    target, under = Target(slower=1 + rise / 100), factors[not load.is_ab_run]
    now = replace(play(target, under, rate, case.noise, rng), history_id=len(KNOWN) + 2)
    passed = [*history(number, case.noise, load.rate, load.seconds)]
    before = replace(before, history_id=len(KNOWN) + 1)
    if load.is_ab_run:
        found = [*judged_pair(now, before, is_paired=True)]
    else:
        found = [*judged_pair(now, before, passed=[*passed, before])]
    [severity] = [item.severity for item in found if item.metric == METRIC]
    return rise, severity >= case.wanted


judged_pair = partial(compare_response_times, thresholds=Thresholds(), than=BASELINE)


def cases() -> Iterator[tuple[str, Case]]:
    for name in NAMES:
        noise = NOISES[name]
        for load in LOADS:
            yield name, Case(noise, load, Severity.WARN, POWER_OF_WARN)
            yield name, Case(noise, load, Severity.FAIL, POWER_OF_FAIL)


critical = cache(student_quantile)


def calibrated(spread: float, runs: int, trials: int, rng: random.Random) -> tuple[float, float]:
    """Percent of unchanged runs that are WARN or FAIL, and FAIL, after a calibration of `runs`."""
    within, hits = Chance(WITHIN, 15), [0, 0]
    for _ in range(trials):
        seen = stdev(rng.gauss(0, spread) for _ in range(runs)) if runs else 0.0
        assumed = assumed_spread(seen, runs) if runs else ASSUMED
        known = combined(within, between_runs([], within, assumed))
        change = rng.gauss(0, math.sqrt(2 * spread**2 + WITHIN)) / known.deviation
        for place, (limit, doubt) in enumerate(((1.05, LIKELY), (1.15, SURE))):
            by_chance = critical(1 - doubt, round(known.freedom, 1))
            hits[place] += change > max(math.log(limit) / known.deviation, by_chance)
    return 100 * hits[0] / trials, 100 * hits[1] / trials


def report_calibrations(trials: int) -> bool:
    """Print how often unchanged runs look slower; a calibration must not add more than 1 %."""
    rng, met = random.Random(1), True  # noqa: S311
    for spread in SPREADS:
        shares = {runs: calibrated(spread, runs, trials, rng) for runs in CALIBRATED_BY}
        shown = ", ".join(
            f"{runs} runs {warn:.1f} and {fail:.2f} %" for runs, (warn, fail) in shares.items()
        )
        good = max(warn for warn, _ in shares.values()) <= shares[0][0] + 1
        met &= good
        print(
            f"a true spread of {100 * spread:g} %, unchanged, WARN or FAIL and FAIL alone: {shown}"
        )
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a fifth of the trials")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    trials = 60 if arguments.quick else 300
    met = True
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for name, case in cases():
            first = arguments.seed * 1_000_000
            seeds = range(first, first + trials)
            found = list(pool.map(partial(trial, case=case), seeds, chunksize=trials // 10))
            hits, load = sum(is_seen for _, is_seen in found), case.load
            rise = fmean(rise for rise, _ in found)
            low, high = wilson(hits, trials)
            good = high >= 100 * case.power - TOLERANCE
            met &= good
            kind = "A/B run" if load.is_ab_run else "two runs"
            seen = "FAIL" if case.wanted is Severity.FAIL else "WARN or FAIL"
            print(
                f"{name}, {load.rate:g}/s for {load.seconds:g} s, {kind}: +{rise:.1f} % is {seen} "
                f"in {100 * hits / trials:.1f} % ({low:.1f} to {high:.1f}), "
                f"predicted {100 * case.power:g} %: {'met' if good else 'MISSED'}",
                flush=True,
            )
    met &= report_calibrations(UNCHANGED)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
