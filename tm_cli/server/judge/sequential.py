"""Whether the verdict of a run is known before its end.

Every few seconds the judge looks at the stretch of the curve that the run has behind it, compared
with the same stretch of its baseline. A verdict is known when the whole run would have it as well,
whatever chance does to the rest: stochastic curtailment (Lan, Simon and Halperin, "Stochastically
curtailed tests in long-term clinical trials", 1982). So the verdict is that of the ordinary rule,
with its error rates; what stopping early adds is `WRONG`, spent over the looks in proportion to the
requests (Lan and DeMets, 1983). A run that is never decided needs no correction.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tm_cli.server.judge.baseline import BaselineChoice
from tm_cli.server.judge.facts import RunFacts, StepFacts
from tm_cli.server.judge.findings import REFERENCE
from tm_cli.server.judge.limits import LIMIT
from tm_cli.server.judge.statistics.bootstrap import ResponseTimes, chances
from tm_cli.server.judge.statistics.distributions import student_quantile
from tm_cli.server.judge.thresholds import QUANTILES, Thresholds
from tm_cli.server.judge.verdict import Judgement, judge_by
from tm_cli.values.load.curve import Curve
from tm_cli.values.thresholds import OF_STRETCHES, split_key

Known = Literal["PASS", "FAIL"]

WRONG = 0.01
"""How often, over all looks, the whole run would have had another verdict than the early one."""

WANDER = 0.14
"""How far the logarithm of a machine's speed may be off in the first stretch of a run.

Machines are slow for a while: a stretch of 15 seconds does not show that. Both sides of an A/B run
share it.
"""

FEWEST_BLOCKS = 3
RENEWED_AFTER = 10
"""So many runs in a row may pass early; the next one becomes a new baseline."""

_SEEN = {"PASS": 1.0, "FAIL": 0.25}
"""Seconds that must have been seen of any rate, or a higher one, for each that is still to come."""


@dataclass(frozen=True, slots=True)
class Interim:
    """How far a run is: at second `end`, with `share` of its requests in `blocks` of `total`.

    `permits`: the verdicts that its curve lets be known by now.
    """

    end: float
    share: float
    blocks: int
    total: int
    permits: frozenset[str]


def interim(curve: Curve, begin: float, end: float, *, blocks: int, total: int) -> Interim:
    """What is known at second `end` of a curve that is judged from second `begin` on.

    So many `blocks` of the `total` cover that.
    """
    planned = curve.planned_before(curve.duration) - curve.planned_before(begin)
    share = (curve.planned_before(end) - curve.planned_before(begin)) / planned if planned else 0.0
    rates = _rates(curve)
    first, seen = (round(len(rates) * second / curve.duration) for second in (begin, end))
    permits = [
        name for name, part in _SEEN.items() if _covers(rates[first:seen], rates[seen:], part)
    ]
    if blocks < FEWEST_BLOCKS or not share:
        permits = []
    return Interim(end, share, blocks, total, frozenset(permits))


_SAMPLES = 600
_ALIKE = 0.99  # a spline through equal points is not quite flat


def _rates(curve: Curve) -> list[float]:
    step = curve.duration / _SAMPLES
    return [curve.rate((index + 0.5) * step) for index in range(_SAMPLES)]


def _covers(seen: Sequence[float], rest: Sequence[float], part: float) -> bool:
    """Whether every rate that is to come, or a higher one, has been seen for long enough."""
    ascending = sorted(seen)
    return all(
        len(ascending) - bisect_left(ascending, rate * _ALIKE) >= part * still
        for still, rate in enumerate(sorted(rest, reverse=True), 1)
    )


@dataclass(slots=True)
class SequentialTest:
    """The looks at one run; remembers how much of `WRONG` is spent for each verdict."""

    spent: dict[str, float] = field(default_factory=dict)

    def look(
        self,
        run: RunFacts,
        other: BaselineChoice | RunFacts,
        thresholds: Thresholds,
        seen: Interim,
    ) -> Known | None:
        """The verdict if it is known.

        `other`: what the run is compared with, over the same stretch; of an A/B run, its other
        side. Thresholds of a stretch of the curve count once it is over, and until then nothing
        passes.
        """
        every = thresholds.stretches
        ends = {key: item.stretch.end for key, item in every.items()}
        over = {key: every[key] for key, end in ends.items() if end is not None and end <= seen.end}
        thresholds = replace(thresholds, stretches=over)
        now = judge_by(run, other, thresholds)
        for name in ("FAIL", "PASS"):
            if name not in seen.permits or (name == "PASS" and over != every):
                continue
            chance = WRONG * (seen.share - self.spent.get(name, 0.0))
            self.spent[name] = seen.share
            if now.verdict == name and _is_known(name, now, run, other, thresholds, seen, chance):
                return name
        return None


def _is_known(
    name: Known,
    now: Judgement,
    run: RunFacts,
    other: BaselineChoice | RunFacts,
    thresholds: Thresholds,
    seen: Interim,
    chance: float,
) -> bool:
    baseline = other.baseline if isinstance(other, BaselineChoice) else other
    if name == "PASS" and (_is_due(other) or not _excludes_failure(now)):
        return False
    worse = 1.0 if name == "PASS" else -1.0
    slack = WANDER * (1 - seen.share) if name == "FAIL" and other is not baseline else 0.0
    whole = _shifted(run, baseline or _even(run), seen, worse, chance, slack)
    at_the_end = judge_by(whole, _whole_other(other, seen), thresholds)
    if at_the_end.verdict != name:
        return False
    return (
        _fails_by_responses(at_the_end) if name == "FAIL" else _judged(now) >= _judged(at_the_end)
    )


def _is_due(other: BaselineChoice | RunFacts) -> bool:
    """Whether the run is to become a baseline, for which it must be a whole one."""
    if isinstance(other, RunFacts) or other.baseline is None or other.is_named:
        return False
    newer = [run for run in other.passed if run.history_id > other.baseline.history_id]
    return len(newer) >= RENEWED_AFTER


def _even(run: RunFacts) -> RunFacts:
    """What to compare a run with that has no baseline: as if all its blocks were alike."""
    times: Counter[int] = Counter()
    for block in run.blocks:
        times.update(dict(block))
    return replace(run, blocks=[sorted(times.items())] * len(run.blocks), steps={})


def _fails_by_responses(judgement: Judgement) -> bool:
    """Whether response times or errors fail the run; requests that are late may still be sent."""
    found = [*judgement.snapshot["comparisons"], *(item for _, item in _of_steps(judgement))]
    failed = [item["metric"] for item in found if item.get("verdict") == "FAIL"]
    return any(
        split_key(name)[0] in OF_STRETCHES or name.startswith(("errors_", "all_errors"))
        for name in failed
    )


def _judged(judgement: Judgement) -> set[tuple[str, str]]:
    """The quantiles with enough requests, of the run and of its steps."""
    found = [("", item) for item in judgement.snapshot["comparisons"]]
    return {
        (step, item["metric"])
        for step, item in [*found, *_of_steps(judgement)]
        if item.get("verdict") is not None and item["metric"] in QUANTILES
    }


def _of_steps(judgement: Judgement) -> Iterator[tuple[str, dict[str, Any]]]:
    for step in judgement.snapshot.get("steps", ()):
        for item in step["comparisons"]:
            yield step["name"], item


_NO_BASELINE = (REFERENCE, LIMIT)  # what decides without an interval around the baseline


def _excludes_failure(judgement: Judgement) -> bool:
    """Whether no quantile may have risen by as much as should fail, and none has improved.

    An improvement on a baseline starts a new level, which deserves a whole run.
    """
    for item in judgement.snapshot["comparisons"]:
        name = item["metric"]
        if name not in QUANTILES or item["verdict"] is None or item["than"] in _NO_BASELINE:
            continue
        high, fail = item["ciHigh"], item["fail"]
        if high is None or (fail is not None and high >= fail):
            return False
    for step in judgement.snapshot.get("steps", ()):
        if step["hasThresholds"] and any(
            item.get("excludesFail") is False for item in step["comparisons"]
        ):
            return False
    is_ab_run = judgement.snapshot["method"] == "duet"
    return is_ab_run or not judgement.snapshot["improved"]


def _whole(run: RunFacts, seen: Interim) -> RunFacts:
    """The whole run, if its rest is like the stretch that was seen."""

    def all_of(count: int) -> int:
        return round(count / seen.share)

    return replace(
        run,
        planned=all_of(run.planned),
        sent=all_of(run.sent),
        completed=all_of(run.completed),
        errors=all_of(run.errors),
        error_classes={name: all_of(count) for name, count in run.error_classes.items()},
        statuses={name: all_of(count) for name, count in run.statuses.items()},
        addresses={name: all_of(count) for name, count in run.addresses.items()},
        repeated=all_of(run.repeated),
        blocks=_Repeated(run.blocks, seen.total),
        block_counts=_Repeated(run.block_counts, seen.total),
        seconds=run.seconds * seen.total / seen.blocks,
        steps=StepFacts(run.steps, lambda name: _whole(run.steps[name], seen)),
    )


class _Repeated(Sequence[Any]):
    """So many blocks, those given again and again; packed ones stay so until they are asked for."""

    def __init__(self, blocks: Sequence[Any], total: int) -> None:
        self._blocks = blocks
        self._places = range(total if blocks else 0)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[place] for place in self._places[index]]
        return self._blocks[self._places[index] % len(self._blocks)]

    def __len__(self) -> int:
        return len(self._places)


def _whole_other(other: BaselineChoice | RunFacts, seen: Interim) -> BaselineChoice | RunFacts:
    if isinstance(other, RunFacts):
        return _whole(other, seen)
    baseline, reference = (run and _whole(run, seen) for run in (other.baseline, other.reference))
    improved = {name: _whole(run, seen) for name, run in other.improved.items()}
    return replace(other, baseline=baseline, reference=reference, improved=improved)


def _shifted(
    run: RunFacts,
    baseline: RunFacts,
    seen: Interim,
    worse: float,
    chance: float,
    slack: float,
) -> RunFacts:
    """The whole run, as much worse (1) or better (-1) as chance makes its rest.

    A mean of all requests differs from that of the first ones by what the variance of these, times
    the share of the rest, allows for, and by `slack`.
    """
    whole = _whole(run, seen)
    within = chances(ResponseTimes(run.blocks), ResponseTimes(baseline.blocks), QUANTILES)
    rest = 1 - seen.share
    quantiles = dict(whole.quantiles_ms)
    for name, known in within.items():
        if name in quantiles:
            margin = student_quantile(1 - chance, known.freedom) * math.sqrt(known.variance * rest)
            quantiles[name] *= math.exp(worse * (margin + slack))
    far = student_quantile(1 - chance, 1000.0)
    errors = _counted(whole.errors, run.errors, seen, worse * far)
    classes = {
        name: _counted(count, run.error_classes[name], seen, worse * far)
        for name, count in whole.error_classes.items()
    }

    def shifted(name: str) -> RunFacts:
        step = run.steps[name]
        there = baseline.steps.get(name) or _even(step)
        return _shifted(step, there, seen, worse, chance, slack)

    return replace(
        whole,
        quantiles_ms=quantiles,
        errors=errors,
        error_classes=classes,
        steps=StepFacts(run.steps, shifted),
    )


def _counted(whole: int, seen_count: int, seen: Interim, far: float) -> int:
    margin = far * math.sqrt((seen_count + 1) * (1 - seen.share)) / seen.share
    return max(0, round(whole + margin))
