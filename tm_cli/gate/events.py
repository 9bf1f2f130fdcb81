"""What happens during a gate, for progress and reports."""

from __future__ import annotations

from dataclasses import dataclass

from tm_cli.gate.model import Progress, Result, Run
from tm_cli.gate.policy import Decision

NEWS_PAUSE = 1.0
"""Least seconds between two polls, however many changes are announced."""

FIRST_NEWS_PAUSES = (0.1, 0.2, 0.2, 1.5)
"""The same after the first polls of a single run, which may be over in less than a second."""


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The run exists, or was attached to."""

    run: Run


@dataclass(frozen=True, slots=True)
class Observed:
    """A poll of the run."""

    progress: Progress


@dataclass(frozen=True, slots=True)
class Unobserved:
    """A poll that showed nothing; `pause` seconds, at least, until the next one."""

    problem: str
    pause: float


@dataclass(frozen=True, slots=True)
class Broken:
    """The run broke a live limit and is being stopped."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The run is over; its record is searched now."""

    progress: Progress


@dataclass(frozen=True, slots=True)
class Awaited:
    """The record or its verdict is not there yet."""

    reason: str


@dataclass(frozen=True, slots=True)
class RunAttempt:
    """One run of a subject, what was decided about it, and the baseline that was read for that."""

    decision: Decision
    run: Run | None
    result: Result | None
    baseline: Result | None = None


@dataclass(frozen=True, slots=True)
class Repeated:
    """A run would fail the gate; another one follows to confirm it."""

    attempt: RunAttempt
    left: int


@dataclass(frozen=True, slots=True)
class Decided:
    """The last event of every gate.

    `baseline` is the run it was compared with, where that was read. `earlier` are the runs that
    this one confirmed or contradicted. An `abandoned` run was stopped
    because another one had failed already; it does not count.
    """

    decision: Decision
    run: Run | None
    result: Result | None
    earlier: tuple[RunAttempt, ...] = ()
    abandoned: bool = False
    baseline: Result | None = None


Event = RunStarted | Observed | Unobserved | Broken | Ended | Awaited | Repeated | Decided


@dataclass(frozen=True, slots=True)
class Pause:
    """Not an event: nothing is to be done for this many seconds.

    News of the run may end it sooner, but not before `at_least`.
    """

    seconds: float
    at_least: float = NEWS_PAUSE


Step = Event | Pause
