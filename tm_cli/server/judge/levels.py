"""Where a number of a service changed for good: change points in the runs that passed.

Every metric has levels of its own, because a change may improve the median and leave the tail as it
was: what the median had been no longer counts, what the tail has been still does.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tm_cli.server.judge.facts import ERROR_CLASSES, RunFacts
from tm_cli.server.judge.statistics.bootstrap import (
    ASSUMED,
    ASSUMED_RUNS,
    CLUSTERING,
    ResponseTimes,
)
from tm_cli.server.judge.statistics.distributions import student_cdf
from tm_cli.server.judge.thresholds import QUANTILES

ERRORS = ("errors", *(f"errors_{name}" for name in ERROR_CLASSES))
METRICS = (*QUANTILES, *ERRORS)

SELDOM, RARELY = 0.01, 0.001
"""How often chance alone may look like a change of level somewhere in the history.

A present level that is found too easily leaves less to excuse a run by. A best level that is found
too easily makes a lucky run the measure of all others, so it takes more.
"""

_MAX_SEARCHED = 60  # runs in which a segment is searched: there are half their square of them


@dataclass(frozen=True, slots=True)
class Levels:
    """The levels of each metric in the runs that passed, oldest first.

    `assumed`: by metric, the variance within a level until there are enough runs.
    """

    passed: Sequence[RunFacts]
    assumed: Mapping[str, float]

    def present(self, metric: str) -> Sequence[RunFacts]:
        levels = self.divided(metric, SELDOM)
        return levels[-1] if levels else ()

    def best(self, metric: str) -> RunFacts | None:
        """The first run of the best level, None if the oldest level is the best.

        A level that is worse than an older one starts nothing new: otherwise a regression that was
        let through once would be the norm.
        """
        levels = self.divided(metric, RARELY)
        if len(levels) < 2:
            return None
        scale = _scale(metric)
        means = [statistics.fmean(map(scale, level)) for level in levels]
        best = means.index(min(means))
        return levels[best][0] if best else None

    def divided(self, metric: str, chance: float) -> list[Sequence[RunFacts]]:
        """All levels, oldest first; runs without this metric are left out."""
        scale = _scale(metric)
        known = [run for run in self.passed if not math.isnan(scale(run))]
        cuts = change_points([scale(run) for run in known], self.assumed[metric], chance)
        edges = itertools.pairwise([0, *cuts, len(known)])
        return [known[start:end] for start, end in edges if start < end]


def find_levels(run: RunFacts, passed: Sequence[RunFacts]) -> Levels:
    """The levels in the runs that passed, oldest first.

    `run`, the one that is judged, gives the variance that its number of requests alone explains.
    """
    return Levels(passed, _variances(run))


def change_points(values: Sequence[float], assumed: float, chance: float) -> list[int]:
    """Where the mean of `values` changes: the indexes at which a new level begins.

    The best cut is the one that explains most of the variance. It counts if Student's test finds
    both sides different, allowing for as many tests as there are cuts. If it does not, the best
    segment within is tried, because a level that ended again may hide behind what is alike on both
    sides of it. Then each part is looked at in the same way. `assumed`: variance of one value
    within a level; it weighs as much as `ASSUMED_RUNS` values, so that a level of a single run can
    be detected as well. `chance`: how often values of one level may be cut.
    """
    if not values or min(values) == max(values):
        return []
    cuts = _best_cut(values, assumed, chance) or _best_segment(values, assumed, chance)
    if not cuts:
        return []
    found = []
    for start, end in itertools.pairwise([0, *cuts, len(values)]):
        found += [start] if start else []
        found += [start + k for k in change_points(values[start:end], assumed, chance)]
    return found


def _best_cut(values: Sequence[float], assumed: float, chance: float) -> list[int]:
    sums, count = _sums(values), len(values)
    cut = max(range(1, count), key=lambda k: _explained(sums, 0, k))
    p_value = _p_value(values[:cut], values[cut:], assumed) * (count - 1)
    return [cut] if p_value < chance else []


def _best_segment(values: Sequence[float], assumed: float, chance: float) -> list[int]:
    """Circular binary segmentation (Olshen and others, 2004), of the newest values.

    A single value between others is an outlier, not a level, even next to one that is like them.
    """
    skipped = max(len(values) - _MAX_SEARCHED, 0)
    values = values[skipped:]
    sums, count = _sums(values), len(values)
    segments = [(i, j) for i in range(1, count - 1) for j in range(i + 2, count)]
    if not segments:
        return []
    start, end = max(segments, key=lambda pair: _explained(sums, *pair))
    outside = [*values[:start], *values[end:]]
    inside = values[start:end]
    here, there = statistics.fmean(inside), statistics.fmean(outside)
    if any(abs(value - there) < abs(value - here) for value in inside):
        return []
    p_value = _p_value(outside, inside, assumed) * len(segments)
    return [skipped + start, skipped + end] if p_value < chance else []


def _sums(values: Sequence[float]) -> list[float]:
    return list(itertools.accumulate(values, initial=0.0))


def _explained(sums: Sequence[float], start: int, end: int) -> float:
    """How much of the variance goes away if the values from `start` to `end` have their own mean.

    `sums`: of the first 0, 1, 2, ... values.
    """
    inside, outside = end - start, len(sums) - 1 - (end - start)
    total = sums[end] - sums[start]
    apart = total / inside - (sums[-1] - total) / outside
    return apart**2 * inside * outside / (inside + outside)


def _p_value(left: Sequence[float], right: Sequence[float], assumed: float) -> float:
    """How often the means of two samples of one level differ so much."""
    squares = sorted([*_squares(left), *_squares(right)])
    # the furthest is left out: one odd run must not hide a change of all others
    freedom = max(len(squares) - 3, 0) + ASSUMED_RUNS
    variance = (math.fsum(squares[:-1]) + ASSUMED_RUNS * assumed) / freedom
    deviation = math.sqrt(variance * (1 / len(left) + 1 / len(right)))
    apart = abs(statistics.fmean(left) - statistics.fmean(right))
    return 2 * (1 - student_cdf(apart / deviation, freedom))


def _squares(values: Sequence[float]) -> list[float]:
    mean = statistics.fmean(values)
    return [(value - mean) ** 2 for value in values]


def _scale(metric: str) -> Callable[[RunFacts], float]:
    """The metric on a scale on which its variance does not depend on its size; NaN is unknown."""
    if metric in QUANTILES:
        return lambda run: math.log(run.quantiles_ms.get(metric) or math.nan)
    return lambda run: _arcsine(_errors(run, metric), run.completed)


def _errors(run: RunFacts, metric: str) -> int:
    name = metric.removeprefix("errors_")
    return run.errors if name == "errors" else run.error_classes.get(name, 0)


def _arcsine(count: int, requests: int) -> float:
    """The transformation of Anscombe (1948), also for no errors at all."""
    return math.asin(math.sqrt((min(count, requests) + 0.375) / (requests + 0.75)))


def _variances(run: RunFacts) -> dict[str, float]:
    """The assumed variance of each metric until there is enough history."""
    sample, spread = ResponseTimes(run.blocks), max(run.assumed_spread or 0.0, ASSUMED)
    of_errors = _ERRORS_TOGETHER / (4 * max(run.completed, 1))
    found = dict.fromkeys(ERRORS, of_errors)
    for name, share in QUANTILES.items():
        by_requests = sample.standard_error(share) if sample.requests else 0.0
        found[name] = spread**2 + CLUSTERING * by_requests**2
    return found


_ERRORS_TOGETHER = (
    4.0  # errors come in incidents, which carry less information than as many independent errors
)
