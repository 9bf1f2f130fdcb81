"""The engine's events and their parser."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import MISSING, asdict, dataclass, field, fields
from datetime import datetime
from typing import Annotated, Any, Protocol

from pydantic import BeforeValidator, Field, PlainValidator, TypeAdapter

from tm_cli.server.engine.job import EngineJob
from tm_cli.server.engine.saturation import Flags
from tm_cli.server.validation import (
    Count,
    Counts,
    Measure,
    Seconds,
    StatusCounts,
    Text,
    check_encoded,
    read_time,
    refuse_constant,
)

_MAX_INDEX = 10**8
_FIRST_YEAR = 1000  # earlier ones have fewer digits
_MAX_MESSAGE = 2000
_MAX_STEPS = 1000
_MAX_STEP_NAME = 1000
MOST_CONSOLE_LINES = 20
_MAX_CONSOLE_LINE = 500


BucketIndex = Annotated[Count, Field(le=_MAX_INDEX)]
Side = Annotated[Count, Field(le=1)]
Share = Annotated[Measure, Field(le=1)]


def _instant(value: Any) -> datetime:
    instant = read_time(value)
    if instant.year < _FIRST_YEAR:
        raise ValueError("such a year cannot be written down")
    return instant


@dataclass(frozen=True, slots=True)
class EngineBucket:
    """Five seconds of a run, counted by due time; `index` k covers curve seconds [5k, 5k+5).

    `side` is the target in an A/B run: 0 is the profile's own, 1 the one it is compared
    with. Otherwise it is 0.
    """

    index: BucketIndex
    planned: Count
    sent: Count
    completed: Count
    codes: StatusCounts = field(default_factory=dict)
    failures: Counts = field(default_factory=dict)
    response: Text = ""
    service: Text = ""
    p50_ms: Measure | None = None
    p95_ms: Measure | None = None
    p99_ms: Measure | None = None
    side: Side = 0

    @property
    def errors(self) -> int:
        """Failures, and responses of status 400 and above."""
        return errors_of(self.codes, self.failures)


def errors_of(codes: dict[str, int], failures: dict[str, int]) -> int:
    refused = sum(count for code, count in codes.items() if int(code) >= 400)
    return refused + sum(failures.values())


@dataclass(frozen=True, slots=True)
class EngineReady:
    """An engine on `hold` waits for `go`."""


@dataclass(frozen=True, slots=True)
class EngineStarted:
    """Curve second 0."""

    at: Annotated[datetime, PlainValidator(_instant)]


@dataclass(frozen=True, slots=True)
class EngineProgress:
    """About once a second; `elapsed` is curve time, pauses excluded."""

    elapsed: Seconds
    sent: Count
    flags: Flags


@dataclass(frozen=True, slots=True)
class EnginePaused:
    """Dispatch is paused."""

    elapsed: Seconds


@dataclass(frozen=True, slots=True)
class EngineResumed:
    """Dispatch continues."""

    elapsed: Seconds


@dataclass(frozen=True, slots=True)
class EngineFinished:
    """The final event of an engine; `completed_curve` is False after a stop.

    `steps` is how many steps were played. `cpu_pressure`: the share of the time in which some task
    waited for a CPU; None if unknown.
    """

    completed_curve: bool
    elapsed: Seconds
    planned: Count
    sent: Count
    completed: Count
    shortfall: Count
    flags: Flags
    cpu_pressure: Share | None = None
    steps: Count = 0


Message = Annotated[Text, BeforeValidator(lambda value: str(value)[:_MAX_MESSAGE])]


@dataclass(frozen=True, slots=True)
class EngineWaiting:
    """The target is not ready, so no load is sent yet."""

    reason: Message


@dataclass(frozen=True, slots=True)
class EngineFailed:
    """The engine gave up.

    `ends_run`: it is one of several workers, and what it has found is true of the whole run.
    """

    message: Message
    ends_run: bool = False


@dataclass(frozen=True, slots=True)
class RunNote:
    """A note for the history row, from the master of several engines."""

    text: Message


@dataclass(frozen=True, slots=True)
class MasterListening:
    """The first event of a master: workers may connect to this port."""

    port: Annotated[Count, Field(ge=1, le=65535)]


@dataclass(frozen=True, slots=True)
class WorkerDropped:
    """The master has given a worker up, so that it may be ended."""

    worker: Message


@dataclass(frozen=True, slots=True)
class AddressCounts:
    """How many requests each address of a side's target has got so far."""

    side: Side
    requests: Counts


@dataclass(frozen=True, slots=True)
class TransferCounts:
    """Of a side's target so far: bytes of bodies by status, and requests that were sent again.

    `protocol` is how the target is spoken to where that is not HTTP/1.1.
    """

    side: Side
    bodies: StatusCounts
    repeated: Count
    protocol: Annotated[Text, Field(max_length=20)] = ""


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


StepName = Annotated[Text, Field(min_length=1, max_length=_MAX_STEP_NAME)]


@dataclass(frozen=True, slots=True)
class StepBucket:
    """One step in a bucket: how often it was played, with which results and response times.

    There may be a histogram of each worker: to add them up is left to where their sum is needed.
    """

    completed: Count
    codes: StatusCounts = field(default_factory=dict)
    failures: Counts = field(default_factory=dict)
    response: Annotated[tuple[Text, ...], BeforeValidator(_several)] = ()

    @property
    def errors(self) -> int:
        return errors_of(self.codes, self.failures)


@dataclass(frozen=True, slots=True)
class EngineSteps:
    """The newest counts of some steps of a bucket; those of its other steps stay as they are."""

    index: BucketIndex
    steps: Annotated[dict[StepName, StepBucket], Field(max_length=_MAX_STEPS)]
    side: Side = 0


@dataclass(frozen=True, slots=True)
class FollowUpCounts:
    """Requests that a response script has asked for, so far.

    `refused` are those that it may not ask for, `dropped` those that were too many, or too late.
    """

    sent: Count = 0
    completed: Count = 0
    refused: Count = 0
    dropped: Count = 0
    codes: StatusCounts = field(default_factory=dict)
    failures: Counts = field(default_factory=dict)
    response: Annotated[tuple[Text, ...], BeforeValidator(_several)] = ()


ConsoleLine = Annotated[Text, BeforeValidator(lambda value: str(value)[:_MAX_CONSOLE_LINE])]


@dataclass(frozen=True, slots=True)
class ScriptCounts:
    """Calls of a response script so far; `skipped` are responses that it was not called for."""

    ok: Count = 0
    errors: Count = 0
    skipped: Count = 0
    messages: Counts = field(default_factory=dict)
    console: Annotated[tuple[ConsoleLine, ...], Field(max_length=MOST_CONSOLE_LINES)] = ()
    follow_ups: FollowUpCounts = field(default_factory=FollowUpCounts)


@dataclass(slots=True)
class LatestCounts:
    """The newest of what is counted of a whole run: requests by address and transfers, by side."""

    addresses: dict[int, dict[str, int]] = field(default_factory=dict)
    transfers: dict[int, TransferCounts] = field(default_factory=dict)
    script: ScriptCounts | None = None

    def take(self, counts: AddressCounts | TransferCounts | ScriptCounts) -> None:
        match counts:
            case AddressCounts():
                self.addresses[counts.side] = counts.requests
            case TransferCounts():
                self.transfers[counts.side] = counts
            case ScriptCounts():
                self.script = counts


EngineEvent = (
    EngineReady
    | EngineWaiting
    | EngineStarted
    | EngineProgress
    | AddressCounts
    | TransferCounts
    | EngineBucket
    | EngineSteps
    | ScriptCounts
    | EnginePaused
    | EngineResumed
    | EngineFinished
    | EngineFailed
    | RunNote
    | MasterListening
    | WorkerDropped
)


_KINDS: dict[str, type[EngineEvent]] = {
    "ready": EngineReady,
    "waiting": EngineWaiting,
    "started": EngineStarted,
    "progress": EngineProgress,
    "addresses": AddressCounts,
    "transfers": TransferCounts,
    "bucket": EngineBucket,
    "steps": EngineSteps,
    "scripts": ScriptCounts,
    "paused": EnginePaused,
    "resumed": EngineResumed,
    "finished": EngineFinished,
    "failed": EngineFailed,
    "note": RunNote,
    "listening": MasterListening,
    "dropped": WorkerDropped,
}
_ADAPTERS: dict[str, TypeAdapter[EngineEvent]] = {
    name: TypeAdapter(kind) for name, kind in _KINDS.items()
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_FLAGS = [flag.name for flag in fields(Flags)]


def parse_event(line: bytes) -> EngineEvent | None:
    """Return the event of one line, None for a kind unknown here; ValueError for anything else."""
    try:
        event = _event(json.loads(line, parse_constant=refuse_constant))
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"the engine sent an invalid line: {line[:200]!r}") from error
    if isinstance(event, EngineBucket):
        check_encoded(event.response)
        check_encoded(event.service)
    if isinstance(event, EngineSteps):
        for step in event.steps.values():
            for text in step.response:
                check_encoded(text)
    if isinstance(event, ScriptCounts):
        for text in event.follow_ups.response:
            check_encoded(text)
    return event


def _event(data: dict[str, Any]) -> EngineEvent | None:
    kind = _KINDS.get(data["event"])
    if kind is None:
        return None
    if "outcome" in data:
        data["completed_curve"] = data["outcome"] == "completed"
    if data.keys() >= set(_FLAGS):
        data["flags"] = Flags(*(data[name] is True for name in _FLAGS))
    if kind is EngineFinished:
        data = {"cpu_pressure": None, "steps": 0} | data  # an older agent does not tell
    required = {
        part.name
        for part in fields(kind)
        if part.default is MISSING and part.default_factory is MISSING
    }
    if missing := required - data.keys():
        raise KeyError(*missing)
    return _ADAPTERS[data["event"]].validate_python(data)


def event_fields(event: EngineEvent) -> tuple[str, dict[str, Any]]:
    """The name and the fields of an event, as `parse_event` reads them."""
    values = asdict(event)
    if "completed_curve" in values:
        values["outcome"] = "completed" if values.pop("completed_curve") else "stopped"
    values |= values.pop("flags", {})
    if isinstance(at := values.get("at"), datetime):
        values["at"] = at.isoformat()
    return _NAMES[type(event)], values


class RunningEngine(Protocol):
    """Has its job already; nothing here waits except `events` and `close`."""

    def send(self, command: str, **details: object) -> None: ...

    def events(self, *, patience: float) -> AsyncIterator[EngineEvent]:
        """Its events until it ends.

        Raises ValueError for an invalid event, TimeoutError after `patience` seconds without one.
        """
        ...

    async def close(self) -> int:
        """End it if it has not ended, and return its exit code."""
        ...

    def hang_up(self) -> None:
        """Close its input, which means: stop at once."""
        ...

    def kill(self) -> None: ...

    @property
    def last_error(self) -> str | None:
        """The last error outside of its events."""
        ...


Launch = Callable[[str, EngineJob], Awaitable[RunningEngine]]
"""Starts what generates load in a region for a job; OSError when that is impossible."""
