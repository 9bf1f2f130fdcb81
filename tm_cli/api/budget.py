"""A budget of requests per minute, shared by everything that one process sends to a server."""

from __future__ import annotations

from collections import deque

from tm_cli.api.errors import NotReached
from tm_cli.clock import Clock

WINDOW = 60.0
USUAL = 60
"""Requests in a minute that an account has unless its server says otherwise (section 4)."""


class RequestBudget:
    """At most `per_minute` requests in any sixty seconds, by a sliding window as the server's."""

    def __init__(self, clock: Clock, per_minute: int = USUAL) -> None:
        self.per_minute = per_minute
        self._clock = clock
        self._sent: deque[float] = deque()

    def take(self, *, deadline: float | None = None) -> None:
        """Wait until one more request fits, and count it.

        Raises NotReached at the deadline when none fits before it.
        """
        now = self._clock.monotonic()
        while self._sent and now - self._sent[0] >= WINDOW:
            self._sent.popleft()
        excess = len(self._sent) + 1 - self.per_minute
        if excess > 0:
            self._wait_until(self._sent[excess - 1] + WINDOW, deadline)
        self._sent.append(self._clock.monotonic())

    def _wait_until(self, moment: float, deadline: float | None) -> None:
        now = self._clock.monotonic()
        if deadline is None or moment <= deadline:
            self._clock.sleep(max(moment - now, 0.0))
            return
        self._clock.sleep(max(deadline - now, 0.0))
        raise NotReached(
            f"{self.per_minute} requests have been sent in this minute, which is the limit",
            maybe_sent=False,
        )
