"""The steps of a run: counted by blocks of its curve while it lasts, summed up when it is over."""

from __future__ import annotations

import itertools
import json
import math
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any, overload

from tm_cli.server.engine.schedule import BUCKET_SECONDS
from tm_cli.server.judge.facts import BlockCounts, RunFacts, StepFacts, Times
from tm_cli.server.runs.progress import ServerRun
from tm_cli.server.runs.results import (
    Results,
    StepResults,
    buckets_per_block,
    codes_of,
    ended,
    error_classes,
    quantiles_of,
    successes,
    times_of,
)
from tm_cli.server.validation import MAX_COUNT, Count, Counts, StatusCounts, Text
from tm_cli.server.workers.engine_events import EngineSteps, Side, StepBucket

_RECENT = 2  # buckets of which a rate is the mean
_MOST_BYTES = 4_000_000  # of the response times of one block


@dataclass(frozen=True, slots=True)
class StepBlock:
    """A step in a block of the curve; the first block begins after the warm-up.

    The blocks are those of `results.blocks`. `packed` holds the response times.
    """

    name: Text
    side: Side
    position: Count
    completed: Count
    codes: StatusCounts
    failures: Counts
    packed: bytes

    @property
    def counts(self) -> StepBucket:
        return StepBucket(self.completed, self.codes, self.failures)

    @property
    def times(self) -> Times:
        """Raises ValueError when they are damaged."""
        return unpacked(self.packed)


def packed(times: Times) -> bytes:
    """Response times in few bytes: steps between them, and how many there are of each."""
    before, numbers = 0, []
    for value, count in times:
        numbers += [value - before, count]
        before = value
    return zlib.compress(json.dumps(numbers, separators=(",", ":")).encode())


def unpacked(data: bytes) -> Times:
    unzip = zlib.decompressobj()
    try:
        numbers = json.loads(unzip.decompress(data, _MOST_BYTES))
        values = list(itertools.accumulate(numbers[::2]))
        times = list(zip(values, numbers[1::2], strict=True))
    except (zlib.error, RecursionError, TypeError, ValueError) as error:
        raise ValueError("response times cannot be read") from error
    is_whole = unzip.eof and set(map(type, numbers)) <= {int}
    is_whole = is_whole and 0 < min(numbers, default=1) <= max(numbers, default=1) <= MAX_COUNT
    if not is_whole:
        raise ValueError("response times are not what they should be")
    return times


def blocks_of(run: ServerRun) -> tuple[int, int]:
    """The buckets of the warm-up, and of each block after it."""
    warmup = int(run.warmup / BUCKET_SECONDS)
    return warmup, buckets_per_block(math.ceil(run.duration / BUCKET_SECONDS) - warmup)


@dataclass(slots=True)
class _Sum:
    """The counts of a step in one block."""

    completed: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    times: Counter[int] = field(default_factory=Counter)
    has_changed: bool = False

    def add(self, steps: Sequence[StepBucket]) -> None:
        for step in steps:
            self.completed += step.completed
            self.codes.update(step.codes)
            self.failures.update(step.failures)
        for value, count in times_of(text for step in steps for text in step.response):
            self.times[value] += count
        self.has_changed = True

    def block(self, name: str, side: int, position: int) -> StepBlock:
        times = packed(sorted(self.times.items()))
        return StepBlock(
            name, side, position, self.completed, dict(self.codes), dict(self.failures), times
        )


@dataclass(slots=True)
class StepTotals:
    """What is shown of a step while the run lasts."""

    completed: int = 0
    errors: int = 0
    by_bucket: Counter[int] = field(default_factory=Counter)


class LiveSteps:
    """Takes the lines about steps in, and turns them into blocks.

    A long run has too many lines to keep: those of a bucket are added to its block as soon as no
    more can come, and a block is let go as soon as it is complete.
    """

    def __init__(self, run: ServerRun) -> None:
        self._warmup, self._size = blocks_of(run)
        self._is_endless = run.loop
        self._open: dict[tuple[int, int], dict[str, StepBucket]] = {}  # by bucket and side
        self._sums: defaultdict[tuple[int, int, str], _Sum] = defaultdict(_Sum)
        self._closed = 0  # buckets that no more lines can come for
        self._totals: defaultdict[str, StepTotals] = defaultdict(StepTotals)
        self.late = 0

    @property
    def completed(self) -> int:
        return sum(total.completed for total in self._totals.values())

    def take(self, event: EngineSteps) -> None:
        """Replace the older counts of these steps in this bucket."""
        if event.index < self._closed:
            self.late += 1
            return
        lines = self._open.setdefault((event.index, event.side), {})
        for name, step in event.steps.items():
            older = lines.get(name) or StepBucket(0)
            total = self._totals[name]
            total.completed += step.completed - older.completed
            total.errors += step.errors - older.errors
            total.by_bucket[event.index] += step.completed - older.completed
            lines[name] = step

    def close_before(self, bucket: int) -> None:
        """Add the buckets before this one to their blocks; raises ValueError for damaged ones."""
        self._closed = max(self._closed, bucket)
        closed = sorted(key for key in self._open if key[0] < bucket)
        parts: defaultdict[tuple[int, int, str], list[StepBucket]] = defaultdict(list)
        for index, side in closed:
            for name, step in self._open.pop((index, side)).items():
                if index >= self._warmup:
                    parts[self._position(index), side, name].append(step)
        for key, steps in parts.items():
            self._sums[key].add(steps)
        for total in self._totals.values():
            for index in [index for index in total.by_bucket if index < bucket - _RECENT]:
                del total.by_bucket[index]

    def close(self) -> None:
        self.close_before(max((index for index, _ in self._open), default=-1) + 1)

    def changed(self, *, with_open: bool) -> Iterator[StepBlock]:
        """The changed blocks: those that are complete, or all of them."""
        complete = self._position(self._closed)
        for key, found in sorted(self._sums.items()):
            position, side, name = key
            is_complete = position < complete
            if found.has_changed and (is_complete or with_open):
                found.has_changed = False
                yield found.block(name, side, position)
            if is_complete:
                del self._sums[key]

    def _position(self, bucket: int) -> int:
        return 0 if self._is_endless else (bucket - self._warmup) // self._size

    def counters(self, elapsed: float) -> list[dict[str, Any]]:
        """What is shown while the run lasts, in the order of the names."""
        newest = int(elapsed // BUCKET_SECONDS)
        seconds = min(elapsed // BUCKET_SECONDS, _RECENT) * BUCKET_SECONDS
        return [
            {
                "name": name,
                "totalRequests": total.completed,
                "totalErrors": total.errors,
                "currentRps": round(
                    sum(total.by_bucket[newest - back] for back in range(1, _RECENT + 1)) / seconds,
                    3,
                )
                if seconds
                else None,
            }
            for name, total in sorted(self._totals.items())
        ]


def with_steps(results: Results, blocks: Sequence[StepBlock]) -> Results:
    """The results of a run with those of its steps; raises ValueError for damaged ones."""
    against = results.against and replace(results.against, steps=summed_up(blocks, 1))
    return replace(results, steps=summed_up(blocks, 0), against=against)


def summed_up(blocks: Iterable[StepBlock], side: int) -> dict[str, StepResults]:
    """The steps of one side by name; the blocks are in the order of the names.

    Raises ValueError when there are more requests than there can be, or they are damaged.
    """
    own = [block for block in blocks if block.side == side]
    return {
        name: _results(list(parts)) for name, parts in itertools.groupby(own, attrgetter("name"))
    }


def _results(blocks: Sequence[StepBlock]) -> StepResults:
    counts = [block.counts for block in blocks]
    return StepResults(
        total_requests=sum(part.completed for part in counts),
        total_errors=sum(part.errors for part in counts),
        response_codes=codes_of(counts),
        latency_quantiles=quantiles_of(_added(block.times for block in blocks)),
    )


def _added(parts: Iterable[Times]) -> Times:
    total: Counter[int] = Counter()
    for times in parts:
        for value, count in times:
            total[value] += count
    return sorted(total.items())


def step_facts(run: RunFacts, step: StepResults) -> RunFacts:
    """What a run tells of one of its steps, without response times by blocks."""
    codes = step.response_codes
    return replace(
        run,
        planned=step.total_requests,
        sent=step.total_requests,
        completed=step.total_requests,
        errors=step.total_errors,
        error_classes=error_classes(codes),
        statuses=successes(codes),
        quantiles_ms=step.latency_quantiles,
        blocks=(),
        block_counts=(),
        addresses={},
        mean_body=None,
        repeated=0,
        notes=(),
        stretches={},
        steps={},
    )


class PackedBlocks(Sequence[Times]):
    """The response times of a step by blocks, unpacked when they are looked at.

    Those of all steps of a long run would take hundreds of megabytes.
    """

    def __init__(self, blocks: Sequence[StepBlock | None]) -> None:
        self._blocks = blocks

    @overload
    def __getitem__(self, index: int) -> Times: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Times]: ...
    def __getitem__(self, index: int | slice) -> Times | Sequence[Times]:
        if isinstance(index, slice):
            return PackedBlocks(self._blocks[index])
        block = self._blocks[index]
        return block.times if block else ()

    def __len__(self) -> int:
        return len(self._blocks)


def measured_steps(run: RunFacts, blocks: Sequence[StepBlock]) -> dict[str, RunFacts]:
    """The steps of a run whose own blocks are known; steps have the same ones."""
    by_name: defaultdict[str, dict[int, StepBlock]] = defaultdict(dict)
    for block in blocks:
        if block.position < len(run.blocks):
            by_name[block.name][block.position] = block
    return {name: _measured(run, known) for name, known in by_name.items()}


def _measured(run: RunFacts, known: Mapping[int, StepBlock]) -> RunFacts:
    parts = [known.get(position) for position in range(len(run.blocks))]
    counts = [part.counts if part else StepBucket(0) for part in parts]
    return replace(
        step_facts(run, _results(list(known.values()))),
        blocks=PackedBlocks(parts),
        block_counts=[
            BlockCounts(whole.start, whole.end, part.completed, ended([part]))
            for whole, part in zip(run.block_counts, counts, strict=True)
        ],
    )


def with_all_counts(
    counted: Mapping[str, RunFacts], measured: Mapping[str, RunFacts]
) -> dict[str, RunFacts]:
    """The measured steps with the counts of the whole run, those of its last, open block included.

    What ended there has no response times, as of the run itself.
    """
    return {
        name: replace(
            whole,
            quantiles_ms=measured[name].quantiles_ms if name in measured else {},
            blocks=measured[name].blocks if name in measured else (),
            block_counts=measured[name].block_counts if name in measured else (),
        )
        for name, whole in counted.items()
    }


def known_steps(run: RunFacts, steps: Mapping[str, StepResults]) -> StepFacts:
    """The steps of a run by its row in the history."""
    return StepFacts(steps, lambda name: step_facts(run, steps[name]))
