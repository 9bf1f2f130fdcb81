"""The planned load over time: the curve through the points of a profile."""

import itertools
import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Point = tuple[float, float]

_BISECTIONS = 80  # halves any span down to the resolution of a float


@dataclass(frozen=True, slots=True)
class Piece:
    """The rate c0 + c1·u + c2·u² + c3·u³ for start <= second < end, where u = second - origin."""

    start: float
    end: float
    origin: float
    c0: float
    c1: float = 0.0
    c2: float = 0.0
    c3: float = 0.0

    def rate(self, second: float) -> float:
        """Requests per second planned at this second."""
        u = second - self.origin
        return self.c0 + u * (self.c1 + u * (self.c2 + u * self.c3))

    def area(self, second: float) -> float:
        """Requests planned between the start of the piece and this second."""
        return self._primitive(second) - self._primitive(self.start)

    @property
    def is_constant(self) -> bool:
        """True when the rate does not change within the piece."""
        return self.c1 == self.c2 == self.c3 == 0.0

    def _primitive(self, second: float) -> float:
        u = second - self.origin
        return u * (self.c0 + u * (self.c1 / 2 + u * (self.c2 / 3 + u * self.c3 / 4)))


def linear(points: Sequence[Point]) -> Iterator[Piece]:
    """Straight lines through points of strictly growing x."""
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        yield Piece(x0, x1, x0, y0, (y1 - y0) / (x1 - x0))


def natural_spline(points: Sequence[Point]) -> Iterator[Piece]:
    """The cubic spline through points of strictly growing x, without bend at both ends."""
    bends = _second_derivatives(points)
    for i, ((x0, y0), (x1, y1)) in enumerate(itertools.pairwise(points)):
        width = x1 - x0
        slope = (y1 - y0) / width - width * (2 * bends[i] + bends[i + 1]) / 6
        yield Piece(x0, x1, x0, y0, slope, bends[i] / 2, (bends[i + 1] - bends[i]) / (6 * width))


def clipped(piece: Piece, ceiling: float) -> Iterator[Piece]:
    """The piece held between zero and the ceiling, cut where it meets either."""
    cuts = [piece.start, *_crossings(piece, ceiling), piece.end]
    for start, end in itertools.pairwise(cuts):
        if end <= start:
            continue
        middle = piece.rate((start + end) / 2)
        if middle <= 0:
            yield Piece(start, end, start, 0.0)
        elif middle >= ceiling:
            yield Piece(start, end, start, ceiling)
        else:
            yield replace(piece, start=start, end=end)


def _second_derivatives(points: Sequence[Point]) -> list[float]:
    """The spline's second derivative at each point: a tridiagonal system, solved by elimination."""
    count = len(points)
    upper, right = [0.0] * count, [0.0] * count
    for i in range(1, count - 1):
        (x0, y0), (x1, y1), (x2, y2) = points[i - 1 : i + 2]
        before, after = x1 - x0, x2 - x1
        bend = 6 * ((y2 - y1) / after - (y1 - y0) / before)
        pivot = 2 * (before + after) - before * upper[i - 1]
        upper[i] = after / pivot
        right[i] = (bend - before * right[i - 1]) / pivot
    bends = [0.0] * count
    for i in range(count - 2, 0, -1):
        bends[i] = right[i] - upper[i] * bends[i + 1]
    return bends


def _crossings(piece: Piece, ceiling: float) -> list[float]:
    """Seconds at which the piece passes through zero or the ceiling, ascending."""
    spans = [piece.start, *_turning_points(piece), piece.end]
    found = []
    for level in (0.0, ceiling):
        if math.isinf(level):
            continue
        for low, high in itertools.pairwise(spans):
            if (piece.rate(low) < level) != (piece.rate(high) < level):
                found.append(_crossing(piece, level, low, high))
    return sorted(found)


def _turning_points(piece: Piece) -> list[float]:
    """Seconds inside the piece at which the rate changes direction, ascending."""
    a, b, c = 3 * piece.c3, 2 * piece.c2, piece.c1
    square = b * b - 4 * a * c
    if square < 0:
        return []
    # the form that does not subtract nearly equal numbers, also when the piece is hardly cubic
    q = -(b + math.copysign(math.sqrt(square), b)) / 2
    roots = [n / d for n, d in ((q, a), (c, q)) if d != 0]
    return sorted(s for r in roots if piece.start < (s := piece.origin + r) < piece.end)


def _crossing(piece: Piece, level: float, low: float, high: float) -> float:
    rising = piece.rate(low) < level
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if (piece.rate(middle) < level) == rising:
            low = middle
        else:
            high = middle
    return (low + high) / 2


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

    @property
    def highest_rate(self) -> float:
        """The most requests per second that are planned at any time."""
        rates = (
            piece.rate(second)
            for piece in self._pieces
            for second in (piece.start, *_turning_points(piece), piece.end)
        )
        return max(rates, default=0.0)

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
    through = natural_spline if interpolation == "SPLINE" else linear
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
        for part in clipped(inside, ceiling)
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
