"""What the engine says, parsed once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from tm_cli.server.histograms import UnreadableHistogram, check_encoded
from tm_cli.server.numbers import (
    count,
    counts,
    maybe_measure,
    refuse_constant,
    seconds,
    status_counts,
)
from tm_cli.server.timestamps import read_time

_LAST_INDEX = 10**8
_FIRST_YEAR = 1000  # earlier ones have fewer digits
_LONGEST_MESSAGE = 2000


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
        data = json.loads(line, parse_constant=refuse_constant)
        read = _READERS.get(data["event"])
        return read(data) if read else None
    except UnreadableHistogram:
        raise
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"the engine sent a line without sense: {line[:200]!r}") from error


def _bucket(data: dict[str, Any]) -> Bucket:
    return Bucket(
        index=_index(data["index"]),
        planned=count(data["planned"]),
        sent=count(data["sent"]),
        completed=count(data["completed"]),
        codes=status_counts(data["codes"]),
        failures=counts(data["failures"]),
        response=_histogram(data["response"]),
        service=_histogram(data["service"]),
        p50_ms=maybe_measure(data["p50_ms"]),
        p95_ms=maybe_measure(data["p95_ms"]),
        p99_ms=maybe_measure(data["p99_ms"]),
        side=_side(data),
    )


def _side(data: dict[str, Any]) -> int:
    side = count(data.get("side", 0))
    if side > 1:
        raise ValueError("there are two sides")
    return side


def _index(value: object) -> int:
    index = count(value)
    if index > _LAST_INDEX:
        raise ValueError("no run has so many buckets")
    return index


def _histogram(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a histogram is not a text")
    check_encoded(value)
    return value


def _started(data: dict[str, Any]) -> Started:
    at = read_time(data["at"])
    if at.year < _FIRST_YEAR:
        raise ValueError("such a year cannot be written down")
    return Started(at)


def _finished(data: dict[str, Any]) -> Finished:
    return Finished(
        completed_curve=data["outcome"] == "completed",
        elapsed=seconds(data["elapsed"]),
        planned=count(data["planned"]),
        sent=count(data["sent"]),
        completed=count(data["completed"]),
        shortfall=count(data["shortfall"]),
        flags=_flags(data),
    )


def _failed(data: dict[str, Any]) -> Failed:
    message = str(data["message"])[:_LONGEST_MESSAGE]
    message.encode()  # a lone surrogate could not be sent on
    return Failed(message)


def _flags(data: dict[str, Any]) -> Flags:
    return Flags(
        generator_saturated=data["generator_saturated"] is True,
        downstream_saturated=data["downstream_saturated"] is True,
        flaky_dispatch=data["flaky_dispatch"] is True,
    )


_READERS: dict[str, Callable[[dict[str, Any]], Event]] = {
    "ready": lambda data: Ready(),
    "started": _started,
    "progress": lambda data: Progress(seconds(data["elapsed"]), count(data["sent"]), _flags(data)),
    "addresses": lambda data: Addresses(_side(data), counts(data["requests"])),
    "bucket": _bucket,
    "paused": lambda data: Paused(seconds(data["elapsed"])),
    "resumed": lambda data: Resumed(seconds(data["elapsed"])),
    "finished": _finished,
    "failed": _failed,
}


class RunningEngine(Protocol):
    """Has its job already; nothing here waits except `events` and `close`."""

    def send(self, command: str, **details: object) -> None:
        """Send a command of the engine's protocol."""
        ...

    def events(self, *, patience: float) -> AsyncIterator[Event]:
        """What it says until it is over.

        Raises ValueError when that makes no sense, TimeoutError after `patience` seconds without
        a word.
        """
        ...

    async def close(self) -> int:
        """End it if it has not ended, and return its exit code."""
        ...

    def hang_up(self) -> None:
        """Tell it that nobody is in charge any more, which means: stop at once."""
        ...

    def kill(self) -> None:
        """End it without asking."""
        ...

    @property
    def last_complaint(self) -> str | None:
        """What it last complained about outside of its events."""
        ...


Launch = Callable[[str, Mapping[str, Any]], Awaitable[RunningEngine]]
"""Starts what generates load in a region for a job; OSError when that is impossible."""
