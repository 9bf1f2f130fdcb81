"""A budget of requests per minute, shared by everything that one process sends to a server."""

from __future__ import annotations

from tm_cli.api.errors import NotReached
from tm_cli.clock import Clock
from tm_cli.values.sliding_window import SlidingWindow

DEFAULT_PER_MINUTE = 60
"""Requests in a minute that an account has unless its server says otherwise (section 4)."""


class RequestBudget:
    """At most `per_minute` requests in any sixty seconds, counted as the server counts them."""

    def __init__(self, clock: Clock, per_minute: int = DEFAULT_PER_MINUTE) -> None:
        self._clock = clock
        self._window = SlidingWindow(per_minute, clock.monotonic)

    @property
    def per_minute(self) -> int:
        """Requests that fit into a minute; it may be changed at any time."""
        return self._window.limit

    @per_minute.setter
    def per_minute(self, requests: int) -> None:
        self._window.limit = requests

    def take(self, *, deadline: float | None = None) -> None:
        """Wait until one more request fits, and count it.

        Raises NotReached at the deadline when none fits before it.
        """
        delay, now = self._window.delay(), self._clock.monotonic()
        if deadline is not None and now + delay > deadline and delay > 0:
            self._clock.sleep(max(deadline - now, 0.0))
            raise NotReached(
                f"{self.per_minute} requests have been sent in this minute, which is the limit",
                maybe_sent=False,
            )
        if delay > 0:
            self._clock.sleep(delay)
        self._window.count()
