"""Adds up the results of several workers to the events of one engine."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from hdrh.histogram import HdrHistogram

from tm_cli.server.engine.played import MOST_ERRORS, OTHER_ERRORS, Names
from tm_cli.server.engine.saturation import Flags, any_flags
from tm_cli.server.engine.schedule import BUCKET_SECONDS, RequestPlan
from tm_cli.server.validation import UnreadableHistogram, add_encoded, new_histogram, quantiles_ms
from tm_cli.server.workers.engine_events import (
    MOST_CONSOLE_LINES,
    AddressCounts,
    EngineBucket,
    EngineEvent,
    EngineFinished,
    EngineProgress,
    EngineSteps,
    FollowUpCounts,
    LatestCounts,
    ScriptCounts,
    StepBucket,
    TransferCounts,
)
from tm_cli.values.load.step_names import MOST_STEPS, OTHER_STEPS

Key = tuple[int, int]
"""Index and side of a bucket."""


@dataclass(slots=True)
class WorkerCounts:
    """The sums of one worker's newest buckets."""

    sent: int = 0
    completed: int = 0
    steps: int = 0


class BucketMerge:
    """Keeps the newest line of each worker for each bucket, and yields what changed.

    `planned` is how many requests the whole curve has in a bucket: a worker knows its own share
    only, and a lost one reports nothing.
    """

    def __init__(self, planned: Callable[[int, int], int]) -> None:
        self._planned = planned
        self._lines: dict[Key, dict[int, EngineBucket]] = {}
        self._changed: set[Key] = set()
        self._first = 0
        self.by_worker: defaultdict[int, WorkerCounts] = defaultdict(WorkerCounts)
        """By worker."""

    def add(self, worker: int, bucket: EngineBucket) -> None:
        if bucket.index < self._first:
            return  # its totals will not add up, and the run will not be judged
        key = bucket.index, bucket.side
        lines = self._lines.setdefault(key, {})
        older = lines.get(worker)
        tally = self.by_worker[worker]
        tally.sent += bucket.sent - (older.sent if older else 0)
        tally.completed += bucket.completed - (older.completed if older else 0)
        lines[worker] = bucket
        self._changed.add(key)

    def changed(self) -> Iterator[EngineBucket]:
        keys, self._changed = sorted(self._changed), set()
        for index, side in keys:
            lines = list(self._lines[index, side].values())
            yield merged(lines, planned=self._planned(index, side))

    def forget_before(self, index: int) -> None:
        """Drop buckets that no worker will report again: a long run has too many to keep."""
        self._first = max(self._first, index)
        for key in [key for key in self._lines if key[0] < index and key not in self._changed]:
            del self._lines[key]


class StepMerge:
    """Likewise for the steps of buckets; `by_worker` is where they are counted.

    The number of different names is bounded: each worker may have named others.
    """

    def __init__(self, by_worker: defaultdict[int, WorkerCounts]) -> None:
        self._by_worker = by_worker
        self._names = Names(MOST_STEPS, OTHER_STEPS)
        self._lines: defaultdict[Key, defaultdict[str, dict[tuple[int, str], StepBucket]]]
        self._lines = defaultdict(lambda: defaultdict(dict))
        self._changed: set[tuple[Key, str]] = set()
        self._first = 0

    def add(self, worker: int, event: EngineSteps) -> None:
        if event.index < self._first:
            return
        key = event.index, event.side
        for name, step in event.steps.items():
            counted = self._names.bounded(name)
            lines = self._lines[key][counted]
            older = lines.get((worker, name))
            self._by_worker[worker].steps += step.completed - (older.completed if older else 0)
            lines[worker, name] = step
            self._changed.add((key, counted))

    def changed(self) -> Iterator[EngineSteps]:
        keys, self._changed = sorted(self._changed), set()
        for (index, side), name in keys:
            lines = list(self._lines[index, side][name].values())
            whole = StepBucket(
                completed=sum(line.completed for line in lines),
                codes=_summed(line.codes for line in lines),
                failures=_summed(line.failures for line in lines),
                response=tuple(text for line in lines for text in line.response),
            )
            yield EngineSteps(index, {name: whole}, side)

    def forget_before(self, index: int) -> None:
        self._first = max(self._first, index)
        kept = {key for key, _ in self._changed}
        for key in [key for key in self._lines if key[0] < index and key not in kept]:
            del self._lines[key]


def merged(lines: Sequence[EngineBucket], *, planned: int) -> EngineBucket:
    """One bucket out of the workers' lines about it.

    Histograms are added without loss, and quantiles are taken from the sum. What cannot be read is
    passed on, so that it is found where a single engine's would be.
    """
    whole = replace(lines[0], planned=planned)
    if len(lines) == 1:
        return whole
    response, histogram = _added([line.response for line in lines])
    quantiles = quantiles_ms(histogram)
    service, _ = _added([line.service for line in lines])
    return replace(
        whole,
        sent=sum(line.sent for line in lines),
        completed=sum(line.completed for line in lines),
        codes=_summed(line.codes for line in lines),
        failures=_summed(line.failures for line in lines),
        response=response,
        service=service,
        p50_ms=quantiles["p50_ms"],
        p95_ms=quantiles["p95_ms"],
        p99_ms=quantiles["p99_ms"],
    )


def _summed(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(sorted(total.items()))


def _added(texts: Sequence[str]) -> tuple[str, HdrHistogram]:
    histogram = new_histogram()
    for text in texts:
        try:
            add_encoded(histogram, text)
        except UnreadableHistogram:
            return text, histogram
    return histogram.encode().decode(), histogram


class WholePlan:
    """Counts of a job's plan, for comparison with what several workers did together."""

    def __init__(self, plan: RequestPlan) -> None:
        self._plan = plan
        self.end = math.inf if plan.curve.loop else plan.curve.duration
        """The curve second after which nothing is planned."""
        self.in_bucket = cache(self._in_bucket)
        """How many requests a bucket has, by its index and side."""

    def finish(self, second: float) -> None:
        """Plan nothing from this second of the curve on."""
        self._plan.finish(second)
        self.end = min(self.end, second)
        self.in_bucket.cache_clear()

    def before(self, second: float) -> int:
        return self._plan.planned_before(second)

    def _in_bucket(self, index: int, side: int) -> int:
        if side not in self._plan.sides:
            return 0
        first, beyond = (self.before(edge * BUCKET_SECONDS) for edge in (index, index + 1))
        return self._plan.count(first, beyond, side)


_SLACK = 10.0  # seconds by which a worker may be behind the others and behind its own requests


@dataclass(slots=True)
class WorkerState:
    """One worker; `heard_at` and `now` are seconds of one monotonic clock."""

    name: str
    heard_at: float
    is_ready: bool = False
    is_lost: bool = False
    is_moving: bool = False
    finished: EngineFinished | None = None
    sent: int = 0
    now_flags: Flags = field(default_factory=Flags)
    counts: LatestCounts = field(default_factory=LatestCounts)
    _second: float = 0.0

    @property
    def is_live(self) -> bool:
        return not self.is_lost and self.finished is None

    def on_event(self, now: float) -> None:
        if self.is_moving:
            self._second += now - self.heard_at
        self.heard_at = now

    def set_position(self, second: float, now: float, *, is_moving: bool) -> None:
        self.heard_at, self._second, self.is_moving = now, second, is_moving

    def second(self, now: float) -> float:
        return self._second + (now - self.heard_at if self.is_moving else 0.0)


class Aggregate:
    """The sums of all workers; `request_timeout` is how long a request may wait, and last."""

    def __init__(
        self, workers: Sequence[WorkerState], plan: WholePlan, *, request_timeout: float
    ) -> None:
        self._workers = workers
        self._plan = plan
        self._merge = BucketMerge(plan.in_bucket)
        self._steps = StepMerge(self._merge.by_worker)
        self._kept = math.ceil((2 * request_timeout + _SLACK) / BUCKET_SECONDS)
        self._flags = Flags()
        self._errors = Names(MOST_ERRORS, OTHER_ERRORS)

    def add(self, worker: int, bucket: EngineBucket) -> None:
        self._merge.add(worker, replace(bucket, failures=self._bounded(bucket.failures)))

    def add_steps(self, worker: int, event: EngineSteps) -> None:
        steps = {
            name: replace(step, failures=self._bounded(step.failures))
            for name, step in event.steps.items()
        }
        self._steps.add(worker, replace(event, steps=steps))

    def _bounded(self, failures: Mapping[str, int]) -> dict[str, int]:
        """Each worker may have named other errors; more than a thousand are no valid line."""
        return _summed({self._errors.bounded(name): count} for name, count in failures.items())

    def raise_flags(self, flags: Flags) -> None:
        """Flags that were raised once stay with the run."""
        self._flags = any_flags([self._flags, flags])

    def changed_results(self) -> list[EngineEvent]:
        """The steps of a bucket come before what shows it to be complete."""
        return [*self._steps.changed(), *self._merge.changed()]

    def progress(self, now: float) -> list[EngineEvent]:
        """The changes, and the position of the run; some worker must be live."""
        live = [state for state in self._workers if state.is_live]
        seconds = [state.second(now) for state in live]
        flags = any_flags(state.now_flags for state in live)
        progress = EngineProgress(round(min(max(seconds), self._plan.end), 3), self._sent, flags)
        events: list[EngineEvent] = [
            *self.changed_results(),
            *self._addresses(),
            *self._transfers(),
            *self._scripts(),
            progress,
        ]
        kept = int(min(seconds) // BUCKET_SECONDS) - self._kept
        self._merge.forget_before(kept)
        self._steps.forget_before(kept)
        return events

    def finished(self, elapsed: float) -> list[EngineEvent]:
        """The end of a run, including the results of lost workers from before they were lost."""
        finished = [state.finished for state in self._workers if state.finished]
        pressures = [end.cpu_pressure for end in finished if end.cpu_pressure is not None]
        planned = self._plan.before(elapsed)
        end = EngineFinished(
            completed_curve=any(end.completed_curve for end in finished),
            elapsed=elapsed,
            planned=planned,
            sent=self._sent,
            completed=self._completed,
            shortfall=planned - self._sent,
            flags=self._flags,
            cpu_pressure=max(pressures, default=None),
            steps=sum(
                state.finished.steps if state.finished else self._merge.by_worker[worker].steps
                for worker, state in enumerate(self._workers)
            ),
        )
        counts = [*self._addresses(), *self._transfers(), *self._scripts()]
        return [*self.changed_results(), *counts, end]

    def _addresses(self) -> list[EngineEvent]:
        sides: dict[int, Counter[str]] = {}
        for state in self._workers:
            for side, requests in state.counts.addresses.items():
                sides.setdefault(side, Counter()).update(requests)
        return [AddressCounts(side, dict(sorted(sides[side].items()))) for side in sorted(sides)]

    def _transfers(self) -> list[EngineEvent]:
        sides: defaultdict[int, list[TransferCounts]] = defaultdict(list)
        for state in self._workers:
            for side, counts in state.counts.transfers.items():
                sides[side].append(counts)
        return [
            TransferCounts(
                side,
                _summed(counts.bodies for counts in found),
                sum(counts.repeated for counts in found),
                next((counts.protocol for counts in found if counts.protocol), ""),
            )
            for side, found in sorted(sides.items())
        ]

    def _scripts(self) -> list[EngineEvent]:
        found = [state.counts.script for state in self._workers if state.counts.script]
        if not found:
            return []
        follow_ups = [counts.follow_ups for counts in found]
        console = [line for each in found for line in each.console]
        return [
            ScriptCounts(
                ok=sum(each.ok for each in found),
                errors=sum(each.errors for each in found),
                skipped=sum(each.skipped for each in found),
                messages=self._bounded(_summed(each.messages for each in found)),
                console=tuple(console[:MOST_CONSOLE_LINES]),
                follow_ups=FollowUpCounts(
                    sent=sum(each.sent for each in follow_ups),
                    completed=sum(each.completed for each in follow_ups),
                    refused=sum(each.refused for each in follow_ups),
                    dropped=sum(each.dropped for each in follow_ups),
                    codes=_summed(each.codes for each in follow_ups),
                    failures=self._bounded(_summed(each.failures for each in follow_ups)),
                    response=tuple(text for each in follow_ups for text in each.response),
                ),
            )
        ]

    @property
    def _sent(self) -> int:
        """Requests sent as far as it is known; of a lost worker, those in its buckets."""
        by_worker = self._merge.by_worker
        return sum(
            by_worker[worker].sent if state.is_lost else state.sent
            for worker, state in enumerate(self._workers)
        )

    @property
    def _completed(self) -> int:
        by_worker = self._merge.by_worker
        return sum(
            state.finished.completed if state.finished else by_worker[worker].completed
            for worker, state in enumerate(self._workers)
        )
