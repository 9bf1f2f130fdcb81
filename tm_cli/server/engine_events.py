"""What the engine says, parsed once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tm_cli.server.instants import read_time


@dataclass(frozen=True, slots=True)
class Bucket:
    """Five seconds of a run, counted by due time; `index` k covers curve seconds [5k, 5k+5).

    `side` tells the two targets of a duet apart: 0 is the profile's own, 1 the one it is set
    against. Everywhere else it is 0.
    """

    index: int
    planned: int
    sent: int
    completed: int
    codes: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    response: str = ""
    service: str = ""
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    side: int = 0

    @property
    def errors(self) -> int:
        """Failures, and answers from 400 on."""
        refused = sum(count for code, count in self.codes.items() if int(code) >= 400)
        return refused + sum(self.failures.values())


@dataclass(frozen=True, slots=True)
class Ready:
    """An engine that was told to hold waits for `go`."""


@dataclass(frozen=True, slots=True)
class Started:
    """Curve second 0."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Flags:
    """What makes a run's numbers doubtful."""

    generator_saturated: bool = False
    downstream_saturated: bool = False
    flaky_dispatch: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """About once a second; `elapsed` is curve time, pauses excluded."""

    elapsed: float
    sent: int
    flags: Flags


@dataclass(frozen=True, slots=True)
class Paused:
    """Dispatch stands still."""

    elapsed: float


@dataclass(frozen=True, slots=True)
class Resumed:
    """Dispatch goes on."""

    elapsed: float


@dataclass(frozen=True, slots=True)
class Finished:
    """The last word of an engine; `completed_curve` is False after a stop."""

    completed_curve: bool
    elapsed: float
    planned: int
    sent: int
    completed: int
    shortfall: int
    flags: Flags


@dataclass(frozen=True, slots=True)
class Failed:
    """The engine gave up."""

    message: str


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence for the history row; no engine says it, those who lead several engines do."""

    text: str


@dataclass(frozen=True, slots=True)
class Addresses:
    """How many requests each address of a side's target has got so far."""

    side: int
    requests: dict[str, int]


Event = (
    Ready | Started | Progress | Addresses | Bucket | Paused | Resumed | Finished | Failed | Note
)


def parse_event(line: bytes) -> Event | None:
    """Return the event of one line, None for a kind unknown here; ValueError for anything else."""
    try:
        data = json.loads(line)
        read = _READERS.get(data["event"])
        return read(data) if read else None
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the engine sent a line without sense: {line[:200]!r}") from error


def _bucket(data: dict[str, Any]) -> Bucket:
    return Bucket(
        index=int(data["index"]),
        planned=int(data["planned"]),
        sent=int(data["sent"]),
        completed=int(data["completed"]),
        codes={str(int(code)): int(count) for code, count in data["codes"].items()},
        failures={str(name): int(count) for name, count in data["failures"].items()},
        response=str(data["response"]),
        service=str(data["service"]),
        p50_ms=data["p50_ms"],
        p95_ms=data["p95_ms"],
        p99_ms=data["p99_ms"],
        side=_side(data),
    )


def _side(data: dict[str, Any]) -> int:
    return 1 if int(data.get("side", 0)) else 0


def _finished(data: dict[str, Any]) -> Finished:
    return Finished(
        completed_curve=data["outcome"] == "completed",
        elapsed=float(data["elapsed"]),
        planned=int(data["planned"]),
        sent=int(data["sent"]),
        completed=int(data["completed"]),
        shortfall=int(data["shortfall"]),
        flags=_flags(data),
    )


def _flags(data: dict[str, Any]) -> Flags:
    return Flags(
        generator_saturated=data["generator_saturated"] is True,
        downstream_saturated=data["downstream_saturated"] is True,
        flaky_dispatch=data["flaky_dispatch"] is True,
    )


_READERS: dict[str, Callable[[dict[str, Any]], Event]] = {
    "ready": lambda data: Ready(),
    "started": lambda data: Started(read_time(data["at"])),
    "progress": lambda data: Progress(float(data["elapsed"]), int(data["sent"]), _flags(data)),
    "addresses": lambda data: Addresses(
        _side(data), {str(name): int(count) for name, count in data["requests"].items()}
    ),
    "bucket": _bucket,
    "paused": lambda data: Paused(float(data["elapsed"])),
    "resumed": lambda data: Resumed(float(data["elapsed"])),
    "finished": _finished,
    "failed": lambda data: Failed(str(data["message"])),
}
