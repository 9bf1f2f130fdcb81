"""When to poll again; all values are seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tm_cli.gate.model import Phase, Progress
from tm_cli.runtime.clock import Clock
from tm_cli.values.durations import format_duration

POLL_UNATTENDED = 30.0
POLL_INTERACTIVE = 5.0
POLL_LOOPBACK = 1.0
POLL_DEFAULT = 5.0
"""The API contract's interval, for runs that do not say how long they take."""

POLL_EARLY = 2.0
"""For runs that may end before their time."""

LONG = 20.0
"""With less than this left, no poll is due before the expected end."""

QUICKEST = 0.2
SLOWEST = 5.0
GROWTH = 0.15
"""Each pause is this part of what has been waited already, so that lateness stays in proportion."""

BURST = 6
"""How much more often than its budget interval a run may be polled while its end is due."""

REPLACEMENT_GRACE = 3.0
"""A run that ended just before it was replaced still gets its row: search that long for it."""


@dataclass(frozen=True, slots=True)
class PollingPolicy:
    """How often to poll.

    A fixed `interval`, or None for what the run's own clock suggests: seldom in the middle, at
    most every `max_interval` seconds, and right at the expected end. `budget_interval` is the pause
    that each of several runs must keep on average so that all stay inside one budget of requests.
    """

    interval: float | None = None
    max_interval: float = POLL_UNATTENDED
    budget_interval: float = 0.0


def needs_first_poll(duration: float | None, policy: PollingPolicy) -> bool:
    """Whether to poll right after the start: not when unattended and the end is known."""
    return policy.interval is not None or policy.max_interval <= POLL_DEFAULT or not duration


def pause_before_poll(
    progress: Progress | None, policy: PollingPolicy, *, overdue: float = 0.0
) -> float:
    """Return the pause before the next poll of a run that is still running.

    `overdue` is how long ago the run should have ended by its own clock. The first poll comes
    right at the expected end, the next ones quickly and then ever slower.
    """
    if policy.interval is not None:
        return policy.interval
    if progress is None or progress.remaining is None or progress.phase is Phase.PAUSED:
        return max(min(policy.max_interval, POLL_DEFAULT), policy.budget_interval)
    if progress.remaining <= 0:
        return max(_growing(overdue), policy.budget_interval / BURST)
    pause = _within(progress.remaining, policy)
    if progress.may_end_early:
        pause = min(pause, max(POLL_EARLY, policy.budget_interval))
    return max(pause, QUICKEST)


def _within(remaining: float, policy: PollingPolicy) -> float:
    """Halve what is left while it is long, and then wait for the end."""
    is_watched = policy.max_interval <= POLL_DEFAULT
    halfway = remaining / 2 if remaining > LONG and not is_watched else remaining
    return min(max(min(halfway, policy.max_interval), policy.budget_interval), remaining)


def pause_before_scan(waited: float, policy: PollingPolicy) -> float:
    """Return the pause before the next scan, `waited` seconds after the run has ended."""
    return max(_growing(waited), policy.budget_interval / BURST)


def _growing(waited: float) -> float:
    return min(max(waited * GROWTH, QUICKEST), SLOWEST)


T = TypeVar("T")

TOLERATED_DELAY = 2.0
"""Seconds that an answer may take before it counts as overdue."""


class ResponseTracker:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asked_at: float | None = None
        self.problem: str | None = None

    def track(self, request: Callable[[], T]) -> T:
        """Return the answer to `request`; an error that it raises is not an answer."""
        if self._asked_at is None:
            self._asked_at = self._clock.monotonic()
        answer = request()
        self._asked_at = self.problem = None
        return answer

    def fail(self, problem: str) -> None:
        """Take an error for a missing answer."""
        self.problem = problem

    @property
    def overdue(self) -> str | None:
        """How long there has been no answer, as a clause; None while nothing is wrong."""
        if self._asked_at is None:
            return None
        seconds = self._clock.monotonic() - self._asked_at
        if seconds < TOLERATED_DELAY and self.problem is None:
            return None
        since = f" for {format_duration(int(seconds))}" if seconds >= 1 else ""
        return f"the server has not answered{since}"
