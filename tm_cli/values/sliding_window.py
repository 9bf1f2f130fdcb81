"""At most so many events in any period of a fixed length."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

MINUTE = 60.0


class SlidingWindow:
    """Admits `limit` events in any `seconds`; the caller waits or refuses when `delay` is not 0.

    With `evenly`, the events of a burst count as spread over the time: so does a server that
    estimates a sliding window from two fixed ones.
    """

    def __init__(
        self,
        limit: int,
        monotonic: Callable[[], float],
        *,
        seconds: float = MINUTE,
        evenly: bool = False,
    ) -> None:
        self.limit = limit
        self._monotonic = monotonic
        self._seconds = seconds
        self._evenly = evenly
        self._counted: deque[float] = deque()

    def delay(self) -> float:
        """Return the seconds until one more event fits; 0 when it fits now."""
        now = self._monotonic()
        while self._counted and now - self._counted[0] >= self._seconds:
            self._counted.popleft()
        excess = len(self._counted) + 1 - self.limit
        return 0.0 if excess <= 0 else self._counted[excess - 1] + self._seconds - now

    def count(self) -> None:
        """Count an event that happens now."""
        now = self._monotonic()
        if self._evenly and self._counted:
            now = max(now, self._counted[-1] + self._seconds / self.limit)
        self._counted.append(now)
