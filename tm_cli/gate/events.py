"""What happens during a gate, for whoever shows or records it."""

from __future__ import annotations

from dataclasses import dataclass

from tm_cli.gate.evidence import Progress, Result, Run
from tm_cli.gate.policy import Decision


@dataclass(frozen=True, slots=True)
class Started:
    """The run exists (or was attached to) and is ours."""

    run: Run


@dataclass(frozen=True, slots=True)
class Observed:
    """A look at the run."""

    progress: Progress


@dataclass(frozen=True, slots=True)
class Unobserved:
    """A look that showed nothing; `pause` seconds until the next one."""

    problem: str
    pause: float


@dataclass(frozen=True, slots=True)
class Ended:
    """The run is over; its record is searched now."""

    progress: Progress


@dataclass(frozen=True, slots=True)
class Awaited:
    """The record or its verdict is not there yet."""

    reason: str


@dataclass(frozen=True, slots=True)
class Decided:
    """The last event of every gate."""

    decision: Decision
    run: Run | None
    result: Result | None


Event = Started | Observed | Unobserved | Ended | Awaited | Decided
