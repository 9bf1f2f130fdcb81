"""How many requests a minute: a sliding window."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

WINDOW = 60.0


class SlidingWindow:
    """Admits at most `limit` requests in any 60 seconds; refused ones do not count."""

    def __init__(self, limit: int, monotonic: Callable[[], float]) -> None:
        self._limit = limit
        self._monotonic = monotonic
        self._admitted: deque[float] = deque()

    def admit(self) -> int | None:
        """Count a request and return None, or return after how many whole seconds to come back."""
        now = self._monotonic()
        while self._admitted and self._admitted[0] <= now - WINDOW:
            self._admitted.popleft()
        if len(self._admitted) < self._limit:
            self._admitted.append(now)
            return None
        return max(1, math.ceil(self._admitted[0] + WINDOW - now))
