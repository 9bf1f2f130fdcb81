"""Which of the two targets each request of an A/B run goes to."""

import hashlib
from functools import cache

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
