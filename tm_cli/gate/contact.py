"""Whether the server still answers, so that nobody claims to know what it did not say."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tm_cli.clock import Clock
from tm_cli.durations import format_duration

T = TypeVar("T")

USUAL_DELAY = 2.0
"""Seconds that an answer may take without any doubt."""


class Contact:
    """Remembers since when the server owes an answer."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asked_at: float | None = None
        self._has_failed = False

    def ask(self, question: Callable[[], T]) -> T:
        """Return the answer; an error that `question` raises is none."""
        if self._asked_at is None:
            self._asked_at = self._clock.monotonic()
        answer = question()
        self._asked_at, self._has_failed = None, False
        return answer

    def fail(self) -> None:
        """Note that what came was no answer."""
        self._has_failed = True

    @property
    def silence(self) -> str | None:
        """How long there has been no answer, as a clause; None while nothing is wrong."""
        if self._asked_at is None:
            return None
        seconds = self._clock.monotonic() - self._asked_at
        if seconds < USUAL_DELAY and not self._has_failed:
            return None
        since = f" for {format_duration(int(seconds))}" if seconds >= 1 else ""
        return f"the server has not answered{since}"
