"""What one trial of benchmarks/verdict.py plays: runs, their history, and the product's own judge.

Every trial has a seed of its own. Earlier runs are stored with their verdicts, as the server does.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from noise import Noise, Shape, Target, judged, play, slowness
from sequential import play_one

from tm_cli.server.judge import (
    BaselineSelection,
    Judgement,
    RunFacts,
    SelectedBy,
    Thresholds,
    choose_baseline,
    judge,
    judge_ab_run,
)


@dataclass(frozen=True, slots=True)
class Load:
    """The curve of all runs of a trial: constant."""

    rate: float = 200.0
    seconds: int = 60


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the judge says of one run; the interval is that of the p95 change in percent.

    `played`: the part of the curve after which it was known, in percent.
    """

    verdict: str
    blamed: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    is_blind: bool = False
    played: float = 100.0


Trial = Sequence[Outcome]
"""One outcome, or those of the runs of a chain."""

NORMAL, SLOW = Target(), Target(slower=1 / 0.6)
BEFORE_IMPROVEMENT = 10


class Project:
    """The runs of one profile, each on another machine."""

    def __init__(self, seed: int, noise: Noise, load: Load) -> None:
        self._rng = random.Random(seed)  # noqa: S311
        self._noise, self._load = noise, load
        self._runs: list[RunFacts] = []
        self._pinned: RunFacts | None = None

    def pass_runs(self, targets: Sequence[Target]) -> None:
        """Earlier runs that all have passed, whatever the judge would say of them."""
        for target in targets:
            self._runs.append(replace(self._play(target), verdict="PASS"))

    def pin_newest(self) -> None:
        self._pinned = self._runs[-1]

    def next(self, target: Target) -> Outcome:
        """One more run, judged as the server does it."""
        run = self._play(target)
        selection = None
        if pinned := self._pinned:
            selection = BaselineSelection(SelectedBy.PINNED, pinned.history_id, pinned)
        judgement = judge(run, choose_baseline(run, self._runs, selection))
        excludes = judgement.snapshot["excludesFail"]
        self._runs.append(replace(run, verdict=judgement.verdict, excludes_fail=excludes))
        return _outcome(judgement)

    def duet(self, target: Target) -> Outcome:
        """Both versions in one run: as long as two runs, with as many requests."""
        factors = slowness(2 * self._load.seconds, self._noise, self._rng)
        now, before = (
            play(version, factors, self._load.rate / 2, self._noise, self._rng)
            for version in (target, NORMAL)
        )
        return _outcome(judge_ab_run(judged(now, 2), before))

    def _play(self, target: Target) -> RunFacts:
        factors = slowness(self._load.seconds, self._noise, self._rng)
        run = play(target, factors, self._load.rate, self._noise, self._rng)
        return judged(run, len(self._runs) + 1)


def _outcome(judgement: Judgement) -> Outcome:
    found = judgement.snapshot["comparisons"]
    blamed = tuple(item["metric"] for item in found if item["verdict"] == judgement.verdict)
    p95: dict[str, Any] = next((item for item in found if item["metric"] == "p95"), {})
    is_blind = judgement.verdict == "WARN" and all(
        "too noisy to be judged" in item["reason"] for item in found if item["verdict"] == "WARN"
    )
    return Outcome(judgement.verdict, blamed, p95.get("ciLow"), p95.get("ciHigh"), is_blind)


def one_more(
    seed: int, *, noise: Noise, load: Load, target: Target = NORMAL, before: int = 1
) -> Trial:
    """A run of `target` after so many of the old version."""
    project = Project(seed, noise, load)
    project.pass_runs([NORMAL] * before)
    return [project.next(target)]


def duet(seed: int, *, noise: Noise, load: Load, target: Target = NORMAL) -> Trial:
    return [Project(seed, noise, load).duet(target)]


def chain(seed: int, *, noise: Noise, load: Load, runs: int) -> Trial:
    """Unchanged runs, each judged by those before it; the first has no baseline."""
    project = Project(seed, noise, load)
    return [project.next(NORMAL) for _ in range(runs)][1:]


def after_improvement(
    seed: int, *, noise: Noise, load: Load, better: int, target: Target, is_pinned: bool = False
) -> Trial:
    """Ten runs of a slow version, `better` of one that takes 40 % less time, then one of `target`.

    `is_pinned`: the last of the quick ones is.
    """
    project = Project(seed, noise, load)
    project.pass_runs([SLOW] * BEFORE_IMPROVEMENT + [NORMAL] * better)
    if is_pinned:
        project.pin_newest()
    return [project.next(target)]


def creep(
    seed: int, *, noise: Noise, load: Load, step: float, found_by: float, before: int = 5
) -> Trial:
    """Unchanged runs, then every run is `step` times slower than the one before it.

    FAIL if one fails before the rise has reached `found_by`, else the worst of the verdicts.
    """
    project = Project(seed, noise, load)
    verdicts = [project.next(NORMAL).verdict for _ in range(before)]
    rise = step
    while rise <= found_by and "FAIL" not in verdicts[before:]:
        verdicts.append(project.next(Target(slower=rise)).verdict)
        rise *= step
    return [Outcome(next(name for name in ("FAIL", "WARN", "PASS") if name in verdicts[before:]))]


def errors(
    seed: int, *, incident: float, load: Load, before: float, now: float, machines: float = 0.0
) -> Trial:
    """Errors only: all response times are the same."""
    noise = Noise(Shape(sigma=0.0), machines=machines, incident=incident)
    project = Project(seed, noise, load)
    project.pass_runs([Target(errors=before)])
    return [project.next(Target(errors=now))]


def stopped_early(
    seed: int, *, noise: Noise, seconds: int, target: Target, is_duet: bool = False
) -> Trial:
    """One more run, or a duet, that ends as soon as its verdict is known."""
    found = play_one(seed, noise=noise, seconds=seconds, target=target, is_duet=is_duet)
    return [Outcome(found.verdict, played=100 * found.share)]


STEPS = 10
_MEDIANS = [0.25 * 1.3**number for number in range(STEPS)]  # times that of the shape


def one_step(
    seed: int,
    *,
    noise: Noise,
    load: Load,
    slower: float = 1.0,
    before: int = 1,
    named: bool = False,
) -> Trial:
    """A run whose arrivals are ten steps, of which one is `slower`, after so many unchanged ones.

    `named`: this step has thresholds of its own. The machine of a run is that of all its steps.
    """
    rng = random.Random(seed)  # noqa: S311
    runs = [_journey(noise, load, 1.0, rng, number + 1) for number in range(before)]
    runs = [replace(run, verdict="PASS") for run in runs]
    run = _journey(noise, load, slower, rng, before + 1)
    own = {"steps": {_CHANGED: {"p95": {"fail": 15}}}} if named else {}
    judgement = judge(run, choose_baseline(run, runs), Thresholds().changed(own))
    outcome = _outcome(judgement)
    steps = judgement.snapshot["steps"]
    blamed = [step["name"] for step in steps if step["verdict"] == judgement.verdict]
    return [replace(outcome, blamed=(*outcome.blamed, *blamed))]


_CHANGED = "step 5"


def _journey(
    noise: Noise, load: Load, slower: float, rng: random.Random, history_id: int
) -> RunFacts:
    factors = slowness(load.seconds, noise, rng)
    medians = {
        f"step {number}": median * (slower if f"step {number}" == _CHANGED else 1.0)
        for number, median in enumerate(_MEDIANS)
    }
    steps = {
        name: play(
            Target(slower=median, errors=NORMAL.errors / STEPS), factors, load.rate, noise, rng
        )
        for name, median in medians.items()
    }
    whole = Target(slower=sum(medians.values()))
    return replace(judged(play(whole, factors, load.rate, noise, rng), history_id), steps=steps)
