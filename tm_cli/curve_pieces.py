"""Stretches of the curve on which the rate is one cubic polynomial."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

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
