"""Tracks how long the server has not answered, for messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tm_cli.clock import Clock
from tm_cli.durations import format_duration

T = TypeVar("T")

TOLERATED_DELAY = 2.0
"""Seconds that an answer may take before it counts as overdue."""


class ResponseTracker:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asked_at: float | None = None
        self._has_failed = False

    def track(self, request: Callable[[], T]) -> T:
        """Return the answer to `request`; an error that it raises is no answer."""
        if self._asked_at is None:
            self._asked_at = self._clock.monotonic()
        answer = request()
        self._asked_at, self._has_failed = None, False
        return answer

    def fail(self) -> None:
        """Take an error for a missing answer."""
        self._has_failed = True

    @property
    def overdue(self) -> str | None:
        """How long there has been no answer, as a clause; None while nothing is wrong."""
        if self._asked_at is None:
            return None
        seconds = self._clock.monotonic() - self._asked_at
        if seconds < TOLERATED_DELAY and not self._has_failed:
            return None
        since = f" for {format_duration(int(seconds))}" if seconds >= 1 else ""
        return f"the server has not answered{since}"
