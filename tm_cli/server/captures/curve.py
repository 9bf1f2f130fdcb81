"""When captured requests came, as the curve of a profile."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

SHORTEST = 10
"""Seconds of a profile."""
_MOST_BINS = 3600
_LEAST_BINS = 20
"""With fewer requests there are fewer, so that the curve is not one of single requests."""
_MOST_SHOWN = 60

Points = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The times of requests in seconds, in their order; there is at least one."""

    times: Sequence[float]

    @property
    def span(self) -> float:
        """Seconds between the first and the last one."""
        return self.times[-1] - self.times[0]

    @property
    def seconds(self) -> int:
        """The whole seconds in which they came."""
        return math.floor(self.span) + 1

    @property
    def mean(self) -> float:
        return len(self.times) / max(self.span, 1.0)

    @property
    def peak(self) -> int:
        """The most requests in one second."""
        return max(self._counts(1).values())

    def rates(self, most: int) -> tuple[int, list[float]]:
        """Rates in stretches of equal length, at most `most` of them, and that length."""
        width = -(-self.seconds // most)
        counts = self._counts(width)
        return width, [counts[index] / width for index in range(-(-self.seconds // width))]

    def shown(self, origin: float) -> Points:
        """Middles of stretches, counted from `origin`, with the rate in each."""
        width, rates = self.rates(_MOST_SHOWN)
        begin = self.times[0] - origin
        return [
            (round(begin + (at + 0.5) * width, 3), round(rate, 3)) for at, rate in enumerate(rates)
        ]

    def profile(self) -> tuple[int, Points]:
        """Duration and points of a curve with as many requests, by straight lines.

        A curve that is shorter than a profile is followed by nothing.
        """
        width, rates = self.rates(min(_MOST_BINS, max(_LEAST_BINS, len(self.times))))
        end = width * len(rates)
        middles = [((at + 0.5) * width, rate) for at, rate in enumerate(rates)]
        points = [(0.0, rates[0]), *middles, (float(end), rates[-1])]
        if end >= SHORTEST:
            return end, points
        return SHORTEST, [*points, (end + 0.001, 0.0), (float(SHORTEST), 0.0)]

    def _counts(self, width: int) -> Counter[int]:
        begin = self.times[0]
        return Counter(int((time - begin) // width) for time in self.times)
