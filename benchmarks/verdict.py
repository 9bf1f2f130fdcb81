"""How often the embedded server's verdict is wrong: the judge on simulated runs, with seeds.

    python benchmarks/verdict.py [--quick]

Every trial draws two runs, or the two sides of a duet, over the noise of `noise.py`, and asks the
product's own judge. The rates come with their 95 % intervals (Wilson); the bars are the product's
promises in docs/verdicts.md. Exits 1 when one is missed.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from noise import Noise, Target, judged, play, weather
from shares import may_be_at_least, may_be_at_most, wilson

from tm_cli.server.judge import (
    BaselineChoice,
    Judgement,
    RunFacts,
    SelectedBy,
    choose_baseline,
    judge,
    judge_ab_run,
)

SECONDS, RATE = 60, 200.0
FEW = (5.0, 10.0, 20.0, 50.0)  # requests per second of the small runs among the unchanged ones
NOISE = Noise()
PASSED_BEFORE = 5
BEFORE, IMPROVED = 10, 0.6


@dataclass(frozen=True, slots=True)
class Trial:
    """What one trial has brought; the interval is that of the p95 change in percent."""

    verdict: str
    blamed: tuple[str, ...]
    low: float | None
    high: float | None


def two_runs(seed: int, *, target: Target, few: bool = False, history: int = 0) -> Trial:
    """A run of the old version, then one of `target`, on one machine after the other."""
    rng = random.Random(seed)  # noqa: S311
    rate = rng.choice(FEW) if few and rng.random() < 0.25 else RATE
    draw = partial(_run, rate=rate, rng=rng)
    passed = [draw(Target()) for _ in range(history)]
    baseline, now = draw(Target()), judged(draw(target), 2)
    choice = BaselineChoice(baseline, SelectedBy.NEWEST_PASSING, passed=(*passed, baseline))
    return _trial(judge(now, choice))


def in_a_row(seed: int, *, runs: int = 10) -> Trial:
    """The last of several unchanged runs, each judged as the server does, reference included."""
    rng = random.Random(seed)  # noqa: S311
    before: list[RunFacts] = []
    for number in range(1, runs + 1):
        run = judged(_run(Target(), rate=RATE, rng=rng), number)
        judgement = judge(run, choose_baseline(run, before))
        before.append(replace(run, verdict=judgement.verdict))
    return _trial(judgement)


def after_an_improvement(seed: int, *, better: int, target: Target) -> Trial:
    """Ten runs of a slow version, `better` of one that takes 40 % less time, then one of `target`.

    All of them have passed; the last one is judged as the server does it.
    """
    rng = random.Random(seed)  # noqa: S311
    versions = [Target(slower=1 / IMPROVED)] * BEFORE + [Target()] * better
    before = [
        replace(_run(version, rate=RATE, rng=rng), history_id=number)
        for number, version in enumerate(versions, 1)
    ]
    now = judged(_run(target, rate=RATE, rng=rng), len(before) + 1)
    return _trial(judge(now, choose_baseline(now, before)))


def duet(seed: int, *, target: Target, seconds: int = 2 * SECONDS) -> Trial:
    """Both versions in one run: by default as long as two runs, with as many requests."""
    rng = random.Random(seed)  # noqa: S311
    factors = weather(seconds, NOISE, rng)
    now = play(target, factors, RATE / 2, NOISE, rng)
    return _trial(judge_ab_run(now, play(Target(), factors, RATE / 2, NOISE, rng)))


def _run(target: Target, *, rate: float, rng: random.Random) -> Any:
    return play(target, weather(SECONDS, NOISE, rng), rate, NOISE, rng)


def _trial(judgement: Judgement) -> Trial:
    found = judgement.snapshot["comparisons"]
    blamed = tuple(item["metric"] for item in found if item["verdict"] == judgement.verdict)
    p95 = next(item for item in found if item["metric"] == "p95")
    return Trial(judgement.verdict, blamed, p95["ciLow"], p95["ciHigh"])


@dataclass(frozen=True, slots=True)
class Bar:
    """At least or at most this share of the trials has one of these verdicts.

    It is missed by what chance would bring in less than 1 % of cases.
    """

    verdicts: tuple[str, ...]
    percent: float
    at_least: bool = True

    def is_met(self, hits: int, trials: int) -> bool:
        may_be = may_be_at_least if self.at_least else may_be_at_most
        return may_be(self.percent, hits, trials)


@dataclass(frozen=True, slots=True)
class Scenario:
    """So many trials of one kind, and what they must show."""

    name: str
    play: Callable[[int], Trial]
    trials: int
    bars: Sequence[Bar]
    true_change: float | None = 0.0


RATHER_NEVER = (Bar(("FAIL",), 1.0, at_least=False), Bar(("WARN",), 5.0, at_least=False))
SLOWER = {"everything": Target(slower=1.25), "the slowest tenth": Target(tail=1.25)}
LEAST_FOUND = {"everything": 95.0, "the slowest tenth": 90.0}  # percent, by two runs
A_BIT_SLOWER = {"everything": Target(slower=1.10), "the slowest tenth": Target(tail=1.10)}


def scenarios(pairs: int, changed: int) -> Iterator[Scenario]:
    """Everything that is simulated."""
    same = Target()
    yield Scenario("unchanged", partial(two_runs, target=same, few=True), pairs, RATHER_NEVER)
    yield Scenario(
        f"unchanged, after {PASSED_BEFORE} more runs",
        partial(two_runs, target=same, few=True, history=PASSED_BEFORE),
        changed,
        RATHER_NEVER,
    )
    yield Scenario("unchanged, duet", partial(duet, target=same), changed, RATHER_NEVER)
    short = partial(duet, target=same, seconds=SECONDS)
    yield Scenario("unchanged, duet of half the length", short, changed, RATHER_NEVER)
    row = partial(in_a_row, runs=10)
    yield Scenario("unchanged, the last of ten in a row", row, changed // 2, RATHER_NEVER)
    for what, target in SLOWER.items():
        bars = (Bar(("FAIL",), LEAST_FOUND[what]),)
        yield Scenario(f"{what} 25 % slower", partial(two_runs, target=target), changed, bars, 25.0)
        bars = (Bar(("FAIL",), 95.0),)
        yield Scenario(
            f"{what} 25 % slower, duet", partial(duet, target=target), changed, bars, 25.0
        )
    for what, target in A_BIT_SLOWER.items():
        bars = (Bar(("WARN", "FAIL"), 50.0),)
        yield Scenario(f"{what} 10 % slower", partial(two_runs, target=target), changed, bars, 10.0)
        bars = (Bar(("WARN", "FAIL"), 95.0),)
        yield Scenario(
            f"{what} 10 % slower, duet", partial(duet, target=target), changed, bars, 10.0
        )
    back = Target(slower=1 / IMPROVED)
    for better in (1, 3):
        named = f"after {BEFORE} runs and {better} that were 40 % faster"
        trial = partial(after_an_improvement, better=better)
        never = partial(trial, target=same)
        yield Scenario(f"unchanged, {named}", never, max(changed // 10, 20), RATHER_NEVER)
        lost = (Bar(("FAIL",), 95.0),)
        back_again = partial(trial, target=back)
        yield Scenario(
            f"as slow as before, {named}", back_again, max(changed // 10, 20), lost, None
        )
        slower = partial(trial, target=SLOWER["everything"])
        yield Scenario(
            f"everything 25 % slower, {named}", slower, max(changed // 10, 20), lost, 25.0
        )
    errors = partial(two_runs, target=Target(errors=0.01))
    yield Scenario("errors 0.1 % to 1 %", errors, changed, (Bar(("WARN", "FAIL"), 95.0),))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the trials")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    pairs, changed = (200, 50) if arguments.quick else (2000, 500)
    print(f"{SECONDS} s at {RATE:g}/s; {NOISE}; seed {arguments.seed}\n")
    widths: dict[str, float] = {}
    met = True
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for scenario in scenarios(pairs, changed):
            first = arguments.seed * 1_000_000
            seeds = range(first, first + scenario.trials)
            trials = list(pool.map(scenario.play, seeds, chunksize=10))
            met &= report(scenario, trials)
            widths[scenario.name] = median_width(trials)
    narrower = widths["unchanged"] / widths["unchanged, duet"]
    is_narrow = narrower >= 3
    print(
        f"interval of the p95 change: {widths['unchanged']:.1f} points wide for two runs, ", end=""
    )
    print(f"{widths['unchanged, duet']:.1f} for a duet: {narrower:.1f} x narrower", end="")
    print(f" (bar 3.0: {'met' if is_narrow else 'MISSED'})")
    return 0 if met and is_narrow else 1


def report(scenario: Scenario, trials: Sequence[Trial]) -> bool:
    """Print one scenario; whether it meets its bars."""
    counts = Counter(trial.verdict for trial in trials)
    shares = "  ".join(f"{name} {100 * counts[name] / len(trials):.1f} %" for name in counts)
    blamed = Counter(
        metric for trial in trials if trial.verdict != "PASS" for metric in trial.blamed
    )
    print(f"{scenario.name}: {len(trials)} trials: {shares}; blamed {dict(blamed.most_common(5))}")
    print(f"    interval holds the true p95 change: {coverage(scenario, trials)}")
    met = True
    for bar in scenario.bars:
        hits = sum(counts[verdict] for verdict in bar.verdicts)
        share = 100 * hits / len(trials)
        low, high = wilson(hits, len(trials))
        side, good = ("at least" if bar.at_least else "at most"), bar.is_met(hits, len(trials))
        met &= good
        print(
            f"    {' or '.join(bar.verdicts)} {share:.2f} % ({low:.1f} to {high:.1f}),"
            f" {side} {bar.percent:g} %: {'met' if good else 'MISSED'}"
        )
    return met


def coverage(scenario: Scenario, trials: Sequence[Trial]) -> str:
    known = [(t.low, t.high) for t in trials if t.low is not None and t.high is not None]
    true = scenario.true_change
    if true is None or not known:
        return "-"
    return f"{100 * sum(low <= true <= high for low, high in known) / len(known):.1f} %"


def median_width(trials: Sequence[Trial]) -> float:
    widths = sorted(t.high - t.low for t in trials if t.low is not None and t.high is not None)
    return widths[len(widths) // 2]


if __name__ == "__main__":
    sys.exit(main())
