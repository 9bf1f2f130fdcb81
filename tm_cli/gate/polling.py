"""When to look again. Pure; all values are seconds."""

from __future__ import annotations

from dataclasses import dataclass

from tm_cli.gate.evidence import Phase, Progress

STEADY = 5.0
"""Between two looks at a run that has a while to go (the API contract's interval)."""

CLOSE_BY = 1.0
"""The same on a server of this machine, whose budget is our own."""

QUICKEST = 0.25
FIRST_SCAN = 0.5
SLOWEST_SCAN = 5.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to look: a fixed `interval`, or None for what the run's own clock suggests."""

    interval: float | None = None
    steady: float = STEADY


def pause_before_look(progress: Progress | None, pace: Pace, *, overdue: int = 0) -> float:
    """Return the pause before the next look at a run that is still going.

    `overdue` counts the looks since the run should have ended: the first one comes right at the
    expected end, the next ones quickly and then ever slower.
    """
    if pace.interval is not None:
        return pace.interval
    remaining = progress.remaining if progress else None
    if remaining is None or progress is None or progress.phase is Phase.PAUSED:
        return pace.steady
    if remaining > 0 or overdue == 0:
        return max(min(remaining, pace.steady), QUICKEST)
    return min(QUICKEST * 2.0 ** min(overdue, 10), pace.steady)


def pause_before_scan(attempt: int) -> float:
    """Return the pause after the failed scan `attempt` (from 0): 0.5 s, doubling, at most 5 s."""
    return min(FIRST_SCAN * 2.0 ** min(attempt, 10), SLOWEST_SCAN)
