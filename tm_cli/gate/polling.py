"""When to look again. Pure; all values are seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tm_cli.gate.model import Phase, Progress
from tm_cli.runtime.clock import Clock
from tm_cli.values.durations import format_duration

SELDOM = 30.0
WATCHED = 5.0
CLOSE_BY = 1.0
USUAL = 5.0
"""The API contract's interval, for runs that say nothing of their time."""

LONG = 20.0
"""With less than this left, nothing is worth a look before the end."""

QUICKEST = 0.2
SLOWEST = 5.0
GROWTH = 0.15
"""Each pause is this part of what has been waited already, so that lateness stays in proportion."""

BURST = 6
"""How much quicker than its share one of many runs may ask while its end is due."""

REPLACEMENT_GRACE = 3.0
"""A run that ended just before it was replaced still gets its row: look that long for it."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to look.

    A fixed `interval`, or None for what the run's own clock suggests: seldom in the middle, at
    most every `steady` seconds, and right at the expected end. `share` is the pause that each of
    several runs must keep on average so that all stay inside one budget of requests.
    """

    interval: float | None = None
    steady: float = SELDOM
    share: float = 0.0


def needs_first_look(duration: float | None, pace: Pace) -> bool:
    """Whether to look right after the start: not where nobody watches and the end is known."""
    return pace.interval is not None or pace.steady <= USUAL or not duration


def pause_before_look(progress: Progress | None, pace: Pace, *, overdue: float = 0.0) -> float:
    """Return the pause before the next look at a run that is still going.

    `overdue` is how long ago the run should have ended by its own clock. The first look comes
    right at the expected end, the next ones quickly and then ever slower.
    """
    if pace.interval is not None:
        return pace.interval
    if progress is None or progress.remaining is None or progress.phase is Phase.PAUSED:
        return max(min(pace.steady, USUAL), pace.share)
    if progress.remaining <= 0:
        return max(_growing(overdue), pace.share / BURST)
    return max(_within(progress.remaining, pace), QUICKEST)


def _within(remaining: float, pace: Pace) -> float:
    """Halve what is left while it is long, and then wait for the end."""
    is_watched = pace.steady <= USUAL
    halfway = remaining / 2 if remaining > LONG and not is_watched else remaining
    return min(max(min(halfway, pace.steady), pace.share), remaining)


def pause_before_scan(waited: float, pace: Pace) -> float:
    """Return the pause before the next scan, `waited` seconds after the run has ended."""
    return max(_growing(waited), pace.share / BURST)


def _growing(waited: float) -> float:
    return min(max(waited * GROWTH, QUICKEST), SLOWEST)


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
