"""A run from its start: state, progress, and how it can end."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum, unique
from typing import Any

from tm_cli.server.engine.saturation import Flags, any_flags
from tm_cli.server.engine.schedule import BUCKET_SECONDS
from tm_cli.server.workers.engine_events import (
    AddressCounts,
    EngineBucket,
    EngineEvent,
    EngineFailed,
    EngineFinished,
    EnginePaused,
    EngineProgress,
    EngineReady,
    EngineResumed,
    EngineStarted,
    EngineWaiting,
    LatestCounts,
    RunNote,
    ScriptCounts,
    TransferCounts,
)


@unique
class RunOutcome(StrEnum):
    """How a run ended; only COMPLETED is ever judged."""

    COMPLETED = "COMPLETED"
    STOPPED = "STOPPED"
    REPLACED = "REPLACED"
    INTERRUPTED = "INTERRUPTED"
    ABORTED = "ABORTED"


NO_TRAITS = {
    "data": "",
    "version of HTTP": "",
    "locustfile": "",
    "journey": "",
    "rate limit": "",
    "scripts": "",
}
"""The traits that only some loads have, as of one that has none of them, such as older runs."""


AtEnd = Callable[[int | None, Mapping[str, Any]], Awaitable[None]]
"""Gets the history id, None if there is no row, and the metrics of a cleanup script."""


@dataclass(frozen=True, slots=True)
class ServerRun:
    """One execution of a profile.

    `traits` are what the fingerprint is made of, by name. `against_url` is the second target of
    an A/B run. `gate` are the thresholds that differ from the defaults, `selected_baseline` how a
    baseline was selected ("asked", "pinned") and its history id. The first `warmup` seconds are
    not judged. `stops_early`: the run ends as soon as its verdict is known. `notes` are those of
    the start, for the run's history row. `at_end` is called when the run is over and judged, unless
    this server ends before.
    """

    run_id: str
    profile_id: int
    profile_name: str
    target_url: str
    region: str
    tags: tuple[str, ...]
    triggered_by: str
    fingerprint: str
    duration: float
    loop: bool
    started_at: datetime
    traits: Mapping[str, str] = field(default_factory=dict)
    against_url: str | None = None
    gate: Mapping[str, Any] = field(default_factory=dict)
    selected_baseline: tuple[str, int] | None = None
    warmup: float = 0.0
    stops_early: bool = False
    notes: tuple[str, ...] = ()
    at_end: AtEnd | None = field(default=None, repr=False, compare=False)

    @property
    def curve_end(self) -> float:
        """The curve second after which nothing is planned; a loop has none."""
        return math.inf if self.loop else self.duration


def middle(index: int) -> float:
    return index * BUCKET_SECONDS + BUCKET_SECONDS / 2


def rate(count: int, index: int, end: float) -> float:
    """`count` per second over the part of the bucket that lies before curve second `end`.

    A part shorter than a second counts as one: a few requests at its very beginning are not a peak.
    """
    part = min(BUCKET_SECONDS, end - index * BUCKET_SECONDS)
    return round(count / max(part, 1.0), 3)


def ratios(bucket: EngineBucket) -> tuple[float, float]:
    """The shares of good (2xx) and bad (4xx, 5xx, failed) outcomes; 0 and 0 without any."""
    if not bucket.completed:
        return 0.0, 0.0
    good = sum(count for code, count in bucket.codes.items() if 200 <= int(code) < 300)
    return round(good / bucket.completed, 6), round(bucket.errors / bucket.completed, 6)


RECENT = 12


class RunState:
    """Counters and recent buckets; histograms are not kept, a long run has many."""

    def __init__(self, duration: float, curve_end: float | None = None) -> None:
        self.duration = duration
        self.curve_end = duration if curve_end is None else curve_end
        self.elapsed = 0.0
        self.sent = 0
        self.flags = Flags()
        """Of the last second."""
        self.flags_so_far = Flags()
        self.notes: list[str] = []
        """Notes for the run's history row."""
        self.counts = LatestCounts()
        self.buckets: dict[int, dict[int, EngineBucket]] = {}  # by index, then by side
        self._settled = 0
        self._codes: Counter[str] = Counter()
        self.finished: EngineFinished | None = None
        self.failure: str | None = None
        self.waiting_for: str | None = None

    def apply(self, event: EngineEvent) -> None:
        match event:
            case EngineReady() | EngineStarted() | EngineWaiting():
                self.waiting_for = event.reason if isinstance(event, EngineWaiting) else None
            case EngineBucket():
                self._take_bucket(replace(event, response="", service=""))
            case EngineProgress():
                self.elapsed, self.sent, self.flags = event.elapsed, event.sent, event.flags
                self.flags_so_far = any_flags([self.flags_so_far, event.flags])
            case AddressCounts() | TransferCounts() | ScriptCounts():
                self.counts.take(event)
            case EnginePaused() | EngineResumed():
                self.elapsed = event.elapsed
            case EngineFinished():
                self.elapsed, self.sent, self.flags = event.elapsed, event.sent, event.flags
                self.finished = event
            case EngineFailed():
                self.failure = event.message
            case RunNote():
                self.notes.append(event.text)

    def finish(self, second: float) -> None:
        """The curve ends at this second, because the verdict is known."""
        self.duration = self.curve_end = second

    def settle(self, patience: float) -> int:
        """Count the buckets from the first one on that are complete.

        That is when all their requests have been answered, or `patience` seconds later.
        """
        while (end := (self._settled + 1) * BUCKET_SECONDS) <= self.elapsed:
            sides = list(self.buckets.get(self._settled, {}).values())  # others may come in
            are_answered = sides and all(
                side.planned == side.sent == side.completed for side in sides
            )
            if not are_answered and self.elapsed < end + patience:
                break
            self._settled += 1
        return self._settled

    def _take_bucket(self, bucket: EngineBucket) -> None:
        """Replace the bucket's older line; a long run has too many to recount."""
        sides = self.buckets.setdefault(bucket.index, {})
        older = sides.get(bucket.side)
        for counts in (older.codes, older.failures) if older else ():
            self._codes.subtract(counts)
        self._codes.update(bucket.codes)
        self._codes.update(bucket.failures)
        sides[bucket.side] = bucket

    def response_codes(self) -> dict[str, int]:
        return dict(+self._codes)

    def counters(self) -> dict[str, Any]:
        recent = [self._bucket_view(index) for index in sorted(self.buckets)[-RECENT:]]
        newest = self._newest_full_enough(recent)
        waiting = {} if self.waiting_for is None else {"waitingFor": self.waiting_for}
        script = self.counts.script
        return waiting | {
            "elapsedSeconds": self.elapsed,
            "durationSeconds": self.duration,
            "requestsSent": self.sent,
            "responseCodeCounts": self.response_codes(),
            "currentRps": newest["rps"] if newest else None,
            "plannedRps": newest["plannedRps"] if newest else None,
            "recentBuckets": recent,
            "generatorSaturated": self.flags.generator_saturated,
            "downstreamSaturated": self.flags.downstream_saturated,
            "flakyDispatch": self.flags.flaky_dispatch,
            "scriptOk": script.ok if script else 0,
            "scriptErrors": script.errors if script else 0,
        }

    def _newest_full_enough(self, recent: list[dict[str, Any]]) -> dict[str, Any] | None:
        """The newest view that covers a second or more; a rate over less is random."""
        full = [view for view in recent if self.elapsed - (view["t"] - BUCKET_SECONDS / 2) >= 1.0]
        if full:
            return full[-1]
        return recent[0] if recent else None

    def _bucket_view(self, index: int) -> dict[str, Any]:
        bucket = _both(self.buckets[index])
        ok, bad = ratios(bucket)
        return {
            "t": middle(index),
            "rps": rate(bucket.sent, index, self.elapsed),
            "plannedRps": rate(bucket.planned, index, self.curve_end),
            "okRatio": ok,
            "badRatio": bad,
            "p50Ms": bucket.p50_ms,
            "p95Ms": bucket.p95_ms,
            "p99Ms": bucket.p99_ms,
        }


def _both(sides: Mapping[int, EngineBucket]) -> EngineBucket:
    """Both sides of an A/B run: counts summed, times those of the profile's target."""
    first, *others = (sides[side] for side in sorted(sides))
    for other in others:
        first = replace(
            first,
            planned=first.planned + other.planned,
            sent=first.sent + other.sent,
            completed=first.completed + other.completed,
            codes=dict(Counter(first.codes) + Counter(other.codes)),
            failures=dict(Counter(first.failures) + Counter(other.failures)),
        )
    return first
