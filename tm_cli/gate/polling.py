"""When to look again. Pure; all values are seconds."""

from __future__ import annotations

from dataclasses import dataclass

from tm_cli.gate.evidence import Phase, Progress

SELDOM = 30.0
WATCHED = 5.0
CLOSE_BY = 1.0
LOOKS_PER_RUN = 6

QUICKEST = 0.1
GROWTH = 1.5
SLOWEST = 5.0

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


def pause_before_look(progress: Progress | None, pace: Pace, *, overdue: int = 0) -> float:
    """Return the pause before the next look at a run that is still going.

    `overdue` counts the looks since the run should have ended: the first one comes right at the
    expected end, the next ones quickly and then ever slower.
    """
    if pace.interval is not None:
        return pace.interval
    steady = max(min(pace.steady, SLOWEST), pace.share)
    if progress is None or progress.remaining is None or progress.phase is Phase.PAUSED:
        return steady
    if progress.remaining <= 0:
        return max(_growing(overdue - 1), pace.share / LOOKS_PER_RUN)
    if progress.duration is not None and pace.steady > SLOWEST:
        steady = min(max(progress.duration / LOOKS_PER_RUN, steady), max(pace.steady, pace.share))
    return max(min(progress.remaining, steady), QUICKEST)


def pause_before_scan(attempt: int, pace: Pace) -> float:
    """Return the pause after the failed scan `attempt` (from 0): short, then growing."""
    return max(_growing(attempt), pace.share / LOOKS_PER_RUN)


def _growing(attempt: int) -> float:
    return min(QUICKEST * GROWTH ** min(max(attempt, 0), 50), SLOWEST)
