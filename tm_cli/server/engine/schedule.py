"""Which requests of the curve a worker sends, and to which target of an A/B run.

All workers number the requests of the whole curve alike. A share is a rule on those numbers, so
that workers send each request once without talking to each other.
"""

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from tm_cli.values.load.curve import Curve
from tm_cli.values.thresholds import STRETCH_SECONDS

_BLOCK = 128  # requests whose sides are drawn at once
_EVENS = int("1" * (_BLOCK // 2), 4)  # every other bit


class Sides:
    """Draws the order within each pair of requests 2j and 2j + 1: one goes to each side.

    The order depends on `seed` and the numbers alone, so that all workers agree about it.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._block = -1
        self._drawn = 0

    def of(self, number: int) -> int:
        """The side, 0 or 1, of a request; quick when asked in ascending order."""
        block, bit = divmod(number, _BLOCK)
        if block != self._block:
            self._block, self._drawn = block, self._draw(block)
        return self._drawn >> bit & 1

    def count(self, numbers: range, side: int) -> int:
        if not numbers:
            return 0
        blocks = range(numbers.start // _BLOCK, (numbers.stop - 1) // _BLOCK + 1)
        ones = sum(self._ones(block, numbers) for block in blocks)
        return ones if side else len(numbers) - ones

    def _ones(self, block: int, numbers: range) -> int:
        start = numbers.start - block * _BLOCK
        stop = min(numbers.stop - block * _BLOCK, _BLOCK)
        within = (1 << stop) - (1 << max(start, 0))
        return (self._draw(block) & within & _every(numbers.step, start % numbers.step)).bit_count()

    def _draw(self, block: int) -> int:
        digest = hashlib.blake2b(b"%d:%d" % (self._seed, block), digest_size=_BLOCK // 16).digest()
        coins = int.from_bytes(digest, "big")
        firsts = int(f"{coins:b}", 4)  # read with base 4, the coins land on every other bit
        return firsts | (firsts ^ _EVENS) << 1


@cache
def _every(step: int, first: int) -> int:
    return sum(1 << bit for bit in range(first, _BLOCK, step))


BUCKET_SECONDS = float(STRETCH_SECONDS)
"""Requests are counted in buckets of so many seconds of the curve."""


@dataclass(frozen=True, slots=True)
class Share:
    """The requests whose number leaves `index` when divided by `count`."""

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ValueError(f"invalid share: {self.index} of {self.count}")


WHOLE = Share()


class RequestPlan:
    """The requests of a curve, this worker's share of them, and the sides of an A/B run.

    Requests are decided about in the order of their numbers, those before `decided` for good.
    """

    def __init__(self, curve: Curve, share: Share = WHOLE, sides: Sides | None = None) -> None:
        self.curve = curve
        self.decided = 0
        self.end = sys.maxsize
        """The number from which on nothing is sent."""
        self._sides = sides
        self._stretches = [(0, share)]  # each from a number on
        self._enter_stretch(0)

    @property
    def sides(self) -> range:
        """One side, or the two of an A/B run."""
        return range(2 if self._sides else 1)

    def takes(self, number: int) -> bool:
        """Decide whether this worker sends the next request."""
        self.decided = number + 1
        if number >= self._stretch_end:
            self._enter_stretch(number)
        return number % self._count == self._index

    def side(self, number: int) -> int:
        return self._sides.of(number) if self._sides else 0

    def change(self, share: Share, second: float) -> None:
        """Change the share from this second of the curve, or the first undecided request, on."""
        first = max(self.curve.planned_before(second), self.decided)
        kept = [stretch for stretch in self._stretches if stretch[0] < first]
        self._stretches = [*kept, (first, share)]
        self._enter_stretch(self.decided)

    def finish(self, second: float) -> None:
        """Plan nothing from this second of the curve, or the first undecided request, on."""
        self.end = max(self.curve.planned_before(second), self.decided)

    def count(self, first: int, beyond: int, side: int | None = None) -> int:
        """How many requests first <= number < beyond this worker sends, on one side or on all."""
        shared = self._shared(first, beyond)
        if side is None or self._sides is None:
            return sum(map(len, shared))
        return sum(self._sides.count(numbers, side) for numbers in shared)

    def planned_before(self, second: float) -> int:
        """How many of this worker's requests are due before this second of the curve."""
        return self.count(0, self.curve.planned_before(second))

    def _shared(self, first: int, beyond: int) -> Iterator[range]:
        ends = [start for start, _ in self._stretches[1:]] + [sys.maxsize]
        for (start, share), end in zip(self._stretches, ends, strict=True):
            low, high = max(first, start), min(beyond, end, self.end)
            if low < high:
                yield range(low + (share.index - low) % share.count, high, share.count)

    def _enter_stretch(self, number: int) -> None:
        """Cache the share that holds for this number, and until which number it holds."""
        self._stretch_end = sys.maxsize
        for start, share in self._stretches:
            if start > number:
                self._stretch_end = start
                break
            self._index, self._count = share.index, share.count
