"""How soon a run is decided, and whether its verdict is that of the whole run.

    python benchmarks/sequential.py [--quick]

Every trial plays a whole run over the noise of `noise.py`, shows it to the sequential test block by
block, as the embedded server does, and compares what that said first with the verdict of the whole
run. Exits 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from noise import NOISES, ORDINARY, Noise, Target, judged, play, slowness
from shares import may_be_at_least, may_be_at_most, wilson

from tm_cli.server.judge import (
    BaselineChoice,
    RunFacts,
    SelectedBy,
    Thresholds,
)
from tm_cli.server.judge.facts import BlockCounts
from tm_cli.server.judge.sequential import SequentialTest, interim
from tm_cli.server.judge.statistics.bootstrap import ResponseTimes
from tm_cli.server.judge.thresholds import QUANTILES
from tm_cli.server.judge.verdict import judge_by
from tm_cli.values.load.curve import Curve

HOSTED = NOISES["hosted"]
RATE = 200.0
MOST_BLOCKS = 40


@dataclass(frozen=True, slots=True)
class Trial:
    """The verdict of the sequential form and of the whole run, and the share that decided."""

    verdict: str
    whole: str
    share: float
    is_early: bool


def play_one(
    seed: int,
    *,
    target: Target,
    seconds: int,
    is_duet: bool = False,
    history: int = 0,
    noise: Noise = HOSTED,
) -> Trial:
    """A run of the old version, then one of `target`, or both in one run."""
    rng = random.Random(seed)  # noqa: S311
    if is_duet:
        factors = slowness(seconds, noise, rng)
        now = play(target, factors, RATE / 2, noise, rng)
        return decided(now, play(Target(), factors, RATE / 2, noise, rng))

    def draw(version: Target) -> RunFacts:
        return joined(play(version, slowness(seconds, noise, rng), RATE, noise, rng))

    passed = [replace(draw(Target()), history_id=number) for number in range(1, history + 2)]
    choice = BaselineChoice(passed[-1], SelectedBy.NEWEST_PASSING, passed=tuple(passed))
    return decided(judged(draw(target), history + 2), choice)


def joined(run: RunFacts) -> RunFacts:
    """At most as many blocks as the server has."""
    size = -(-len(run.blocks) // MOST_BLOCKS)
    blocks, counts = [], []
    for start in range(0, len(run.blocks), size):
        times: Counter[int] = Counter()
        for block in run.blocks[start : start + size]:
            times.update(dict(block))
        blocks.append(sorted(times.items()))
        counts.append(_together(run.block_counts[start : start + size]))
    return replace(run, blocks=blocks, block_counts=counts)


def _together(parts: Sequence[BlockCounts]) -> BlockCounts:
    counts: Counter[str] = Counter()
    for part in parts:
        counts.update(part.counts)
    return BlockCounts(parts[0].start, parts[-1].end, sum(part.completed for part in parts), counts)


def decided(run: RunFacts, other: BaselineChoice | RunFacts) -> Trial:
    thresholds, test, total = Thresholds(), SequentialTest(), len(run.blocks)
    whole = judge_by(run, other).verdict
    curve = Curve([(0.0, RATE), (run.seconds, RATE)], run.seconds, "LINEAR")
    for blocks in range(1, total):
        end = run.seconds * blocks / total
        seen = interim(curve, 0.0, end, blocks=blocks, total=total)
        if not seen.permits:
            continue
        against = cut(other, blocks) if isinstance(other, RunFacts) else _cut_choice(other, blocks)
        if found := test.look(cut(run, blocks), against, thresholds, seen):
            return Trial(found, whole, end / run.seconds, is_early=True)
    return Trial(whole, whole, 1.0, is_early=False)


def _cut_choice(choice: BaselineChoice, blocks: int) -> BaselineChoice:
    return replace(choice, baseline=choice.baseline and cut(choice.baseline, blocks))


def cut(run: RunFacts, blocks: int) -> RunFacts:
    """The first blocks of a run."""
    first = run.blocks[:blocks]
    times = ResponseTimes(first)
    seen = _together(run.block_counts[:blocks])
    errors = seen.counts["errors"]
    return replace(
        run,
        blocks=first,
        block_counts=run.block_counts[:blocks],
        planned=times.requests,
        sent=times.requests,
        completed=times.requests,
        errors=errors,
        error_classes={"5xx": errors},
        quantiles_ms={name: times.quantile(part) / 1000 for name, part in QUANTILES.items()},
        seconds=run.seconds * blocks / len(run.blocks),
    )


@dataclass(frozen=True, slots=True)
class Scenario:
    """So many trials, and what they must show; shares in percent, `soon` of the curve."""

    name: str
    play: Callable[[int], Trial]
    trials: int
    soon: float | None = None
    most_fail: float | None = None
    most_warn: float | None = None
    least_fail: float | None = None


def scenarios(trials: int) -> Iterator[Scenario]:
    """Everything that is simulated."""
    lengths = ((60, False, trials), (300, False, trials // 4), (120, True, trials // 2))
    for seconds, is_duet, count in lengths:
        what = f"{'duet' if is_duet else 'two runs'} of {seconds} s"
        one = partial(play_one, seconds=seconds, is_duet=is_duet)
        same = partial(one, target=Target())
        yield Scenario(f"{what}, unchanged", same, count, 2 / 3, 1.0, 5.0)
        half = partial(one, target=Target(slower=1.5))
        yield Scenario(f"{what}, 50 % slower", half, count // 2, 1 / 3, least_fail=99.0)
        for slower in (1.1, 1.25):
            change = partial(one, target=Target(slower=slower))
            least = 95.0 if slower > 1.2 else None
            name = f"{what}, {100 * slower - 100:.0f} % slower"
            yield Scenario(name, change, count // 2, least_fail=least)
        tail = partial(one, target=Target(tail=1.25))
        yield Scenario(f"{what}, slowest tenth 25 % slower", tail, count // 2)
        errors = partial(one, target=Target(errors=0.01))
        yield Scenario(f"{what}, errors 0.1 % to 1 %", errors, count // 2)
    for name, noise in NOISES.items():
        most = (1.0, 5.0) if name in ORDINARY else (3.0, None)
        for is_duet in (False, True):
            form = "duet of 120 s" if is_duet else "two runs of 60 s"
            same = partial(
                play_one,
                target=Target(),
                seconds=120 if is_duet else 60,
                is_duet=is_duet,
                noise=noise,
            )
            yield Scenario(f"{name}: {form}, unchanged", same, trials // 4, None, *most)
    row = partial(play_one, target=Target(), seconds=60, history=5)
    yield Scenario("two runs of 60 s, unchanged, after 5 more", row, trials // 2, 2 / 3, 1.0, 5.0)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the trials")
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="scenarios with this in their name")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    trials = arguments.trials // 10 if arguments.quick else arguments.trials
    met = True
    with ProcessPoolExecutor(arguments.processes) as pool:
        for scenario in scenarios(trials):
            if arguments.only not in scenario.name:
                continue
            first = arguments.seed * 1_000_000
            seeds = range(first, first + scenario.trials)
            met &= report(scenario, list(pool.map(scenario.play, seeds, chunksize=5)))
    return 0 if met else 1


def report(scenario: Scenario, trials: Sequence[Trial]) -> bool:
    """Print one scenario; whether it meets its bars."""
    count = len(trials)
    median = statistics.median(trial.share for trial in trials)
    forms = (Counter(t.verdict for t in trials), Counter(t.whole for t in trials))
    early = Counter(t.verdict for t in trials if t.is_early)
    other = Counter(f"{t.verdict} instead of {t.whole}" for t in trials if t.verdict != t.whole)
    print(f"{scenario.name}: {count} trials, median {100 * median:.0f} % of the run")
    for name, form in zip(("stopping early", "whole runs"), forms, strict=True):
        print(f"    {name}: {', '.join(f'{k} {100 * v / count:.1f} %' for k, v in form.items())}")
    print(f"    early: {dict(early)}; differs: {dict(other)}")
    met = scenario.soon is None or median <= scenario.soon + 0.001
    hits = forms[0]
    for verdict, most in (("FAIL", scenario.most_fail), ("WARN", scenario.most_warn)):
        if most is not None:
            met &= may_be_at_most(most, hits[verdict], count)
    if scenario.least_fail is not None:
        met &= may_be_at_least(scenario.least_fail, hits["FAIL"], count)
    low, high = wilson(sum(other.values()), count)
    print(
        f"    another verdict {low:.1f} to {high:.1f} %; {'met' if met else 'MISSED'}", flush=True
    )
    return met


if __name__ == "__main__":
    sys.exit(main())
