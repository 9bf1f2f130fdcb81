"""The planned load: a rate over time, and exactly when each request of it is due.

Request number k (from 0) is due when the area under the rate reaches k + 1/2. So the number of
requests planned before any second is the area rounded to the nearest integer: nothing drifts, and
the total is within one request of the integral whatever the shape.
"""

import itertools
import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from tm_cli import curve_pieces as pieces
from tm_cli.curve_pieces import Piece, Point

Interpolation = Literal["SPLINE", "LINEAR"]

# Within a step, 10 ms or a quarter of a request, whichever is longer, the rate counts as constant.
_STEPS_PER_REQUEST = 4
_STEP = 0.01
# Points closer than this (seconds) are a jump; a spline through them would overshoot wildly.
_JUMP = 0.001


class Curve:
    """Requests per second over `duration` seconds, through points (second, requests per second).

    Before the first and after the last point their rates hold. Two points of equal x, or nearly
    so, are a jump. A spline that dips below zero is held at zero, and nothing exceeds `max_rate`.
    With `loop` the curve repeats without end.
    """

    def __init__(
        self,
        points: Sequence[Point],
        duration: float,
        interpolation: Interpolation = "SPLINE",
        *,
        loop: bool = False,
        max_rate: float | None = None,
    ) -> None:
        self.duration = duration
        self.loop = loop
        self._pieces = _pieces(points, duration, interpolation, max_rate)
        self._starts = [piece.start for piece in self._pieces]
        # area before each piece, and at last the area of the whole curve
        self._areas = [0.0, *itertools.accumulate(p.area(p.end) for p in self._pieces)]

    def rate(self, second: float) -> float:
        """Requests per second planned at this second of the run; 0 after its end."""
        _cycle, second = self._within_cycle(second)
        if second >= self.duration or second < 0:
            return 0.0
        return self._pieces[bisect_right(self._starts, second) - 1].rate(second)

    def expected(self, second: float) -> float:
        """The area under the rate from the start of the run to this second, in requests."""
        cycle, second = self._within_cycle(second)
        whole = cycle * self._areas[-1]
        if second <= 0:
            return whole
        if second >= self.duration:
            return whole + self._areas[-1]
        index = bisect_right(self._starts, second) - 1
        return whole + self._areas[index] + self._pieces[index].area(second)

    def planned_before(self, second: float) -> int:
        """How many requests are due before this second."""
        return max(0, math.ceil(self.expected(second) - 0.5))

    def planned_between(self, start: float, end: float) -> int:
        """How many requests are due in start <= second < end."""
        return self.planned_before(end) - self.planned_before(start)

    def arrivals(self) -> Iterator[float]:
        """The second at which each request is due, ascending; endless if the curve loops."""
        number = 0
        for cycle in itertools.count() if self.loop and self._areas[-1] > 0 else (0,):
            before = cycle * self._areas[-1]
            for piece, area in zip(self._pieces, self._areas, strict=False):
                for second in _arrivals(piece, before + area, number):
                    yield cycle * self.duration + second
                    number += 1

    def _within_cycle(self, second: float) -> tuple[int, float]:
        if not self.loop:
            return 0, second
        cycle, rest = divmod(second, self.duration)
        return int(cycle), rest


def _arrivals(piece: Piece, before: float, number: int) -> Iterator[float]:
    """When the requests from `number` on are due, given the area before the piece."""
    width, steps = piece.end - piece.start, _steps(piece)
    low, area_low = piece.start, before
    for step in range(1, steps + 1):
        high = piece.start + width * step / steps
        area_high = before + piece.area(high)
        while number + 0.5 < area_high:
            share = (number + 0.5 - area_low) / (area_high - area_low)
            yield low + (high - low) * min(max(share, 0.0), 1.0)
            number += 1
        low, area_low = high, area_high


def _steps(piece: Piece) -> int:
    """Few steps where few requests are due, so that looking for the next one stays quick."""
    if piece.is_constant:
        return 1
    by_time = (piece.end - piece.start) / _STEP
    by_requests = piece.area(piece.end) * _STEPS_PER_REQUEST
    return max(1, math.ceil(min(by_time, by_requests)))


def _pieces(
    points: Sequence[Point], duration: float, interpolation: Interpolation, max_rate: float | None
) -> list[Piece]:
    """The whole curve from 0 to its duration, without gaps."""
    ordered = sorted(points, key=lambda point: point[0])  # stable: the order of a jump is kept
    through: Callable[[Sequence[Point]], Iterator[Piece]]
    through = pieces.natural_spline if interpolation == "SPLINE" else pieces.linear
    parts = list(_continuous(ordered))
    (first_x, first_y), (last_x, last_y) = parts[0][0], parts[-1][-1]
    raw = [
        Piece(0.0, first_x, 0.0, first_y),
        *(piece for part in parts for piece in through(part)),
        Piece(last_x, max(duration, last_x), last_x, last_y),
    ]
    ceiling = math.inf if max_rate is None else max_rate
    return [
        part
        for piece in raw
        if (inside := _until(piece, duration)) is not None
        for part in pieces.clipped(inside, ceiling)
    ]


def _continuous(points: Sequence[Point]) -> Iterator[list[Point]]:
    """The points in runs of clearly growing x, cut at every jump."""
    run = [points[0]]
    for x, y in points[1:]:
        if x - run[-1][0] < _JUMP:
            yield run
            run = [(run[-1][0], y)]
        else:
            run.append((x, y))
    yield run


def _until(piece: Piece, duration: float) -> Piece | None:
    end = min(piece.end, duration)
    if end <= piece.start:
        return None
    return Piece(piece.start, end, piece.origin, piece.c0, piece.c1, piece.c2, piece.c3)
