"""Samples of metrics, and what they say about a run."""

from __future__ import annotations

import math
import threading
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean

from tm_cli.gate.model import TargetMetric
from tm_cli.gate.target_metrics import RESTARTS

MOST_POINTS = 120
"""Points of a course; more are not seen in a report."""


@dataclass(slots=True)
class _Samples:
    unit: str
    times: array[float] = field(default_factory=lambda: array("d"))
    values: array[float] = field(default_factory=lambda: array("d"))


class Recording:
    """Samples by the monotonic clock, taken in one thread and read in another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samples: dict[str, _Samples] = {}
        self._problems: dict[str, str] = {}

    def take(self, name: str, unit: str, at: float, value: float) -> None:
        with self._lock:
            samples = self._samples.setdefault(name, _Samples(unit))
            samples.times.append(at)
            samples.values.append(value)

    def note_problem(self, name: str, problem: str) -> None:
        """Keep why there was no value."""
        with self._lock:
            self._problems[name] = problem

    @property
    def problems(self) -> dict[str, str]:
        """The last problem of each metric that had one."""
        with self._lock:
            return dict(self._problems)

    def during(
        self, begin: float, end: float, *, zero: float | None = None
    ) -> dict[str, TargetMetric]:
        """Return each metric between two moments; `zero` is second 0 of the run, else `begin`."""
        found = {}
        with self._lock:
            for name, samples in self._samples.items():
                first = bisect_left(samples.times, begin)
                last = bisect_right(samples.times, end)
                times, values = samples.times[first:last], list(samples.values[first:last])
                if not values:
                    continue
                if name == RESTARTS:
                    before = samples.values[first - 1] if first else values[0]
                    values = [value - before for value in values]
                moments = [at - (begin if zero is None else zero) for at in times]
                gap = _longest_gap(times, begin, end)
                found[name] = _summary(name, samples.unit, moments, values, end - begin, gap)
        return found


def _summary(
    name: str, unit: str, times: Sequence[float], values: list[float], seconds: float, gap: float
) -> TargetMetric:
    ordered = sorted(values)
    return TargetMetric(
        name,
        unit,
        mean=fmean(values),
        p95=ordered[math.ceil(0.95 * len(ordered)) - 1],
        min=ordered[0],
        max=ordered[-1],
        last=values[-1],
        seconds=round(seconds, 3),
        gap=round(gap, 3),
        course=tuple(_thinned(times, values)),
    )


def _thinned(times: Sequence[float], values: Sequence[float]) -> list[tuple[float, float]]:
    """Return the means of groups of neighbours."""
    size = math.ceil(len(values) / MOST_POINTS)
    return [
        (
            round(fmean(times[place : place + size]), 2),
            round(fmean(values[place : place + size]), 3),
        )
        for place in range(0, len(values), size)
    ]


def _longest_gap(times: Sequence[float], begin: float, end: float) -> float:
    edges = [begin, *times, end]
    return max(after - before for before, after in pairwise(edges))
