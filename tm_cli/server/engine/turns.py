"""Keeps a target that sends without end from taking the processor from the other requests."""

import time
from typing import ClassVar

import gevent

_TURN = 64  # steps in a row; the others have waited a tenth of a millisecond by then
_AT_ONCE = 4096.0  # steps that a response may take as quickly as it can: 13 MiB, or 2,048 chunks
_PER_SECOND = 250_000.0  # steps of all larger responses together: 800 MB/s


class CpuBudget:
    """The processor time of one response, in steps of one or two microseconds.

    Reading waits only for a target that is slower than this process, and only waiting lets other
    greenlets run. So a response yields now and then, and a very large one that comes very quickly
    is read more slowly: all of those together leave half of the processor to the others.
    """

    _large: ClassVar[int] = 0  # responses under way that have used up what they may take at once

    def __init__(self) -> None:
        self._in_a_row = 0
        self._left = _AT_ONCE
        self._since = time.monotonic()
        self._is_large = False

    def spend(self, steps: int) -> None:
        """Account for work, and yield to other greenlets after enough in a row."""
        self._in_a_row += steps
        if self._in_a_row >= _TURN:
            self._left -= self._in_a_row
            self._in_a_row = 0
            gevent.sleep(self._break())

    def end(self) -> None:
        if self._is_large:
            CpuBudget._large -= 1

    def _break(self) -> float:
        """Seconds until this response may continue."""
        now, since = time.monotonic(), self._since
        self._since = now
        pace = _PER_SECOND / max(1, CpuBudget._large)
        self._left = min(_AT_ONCE, self._left + (now - since) * pace)
        if self._left >= 0:
            return 0
        if not self._is_large:
            self._is_large = True
            CpuBudget._large += 1
        return -self._left / pace
