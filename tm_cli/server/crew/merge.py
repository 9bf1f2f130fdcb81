"""Merges the buckets of several workers into one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from hdrh.histogram import HdrHistogram

from tm_cli.server.engine_events import EngineBucket
from tm_cli.server.histograms import (
    UnreadableHistogram,
    add_encoded,
    new_histogram,
    quantiles_ms,
)

Key = tuple[int, int]
"""Index and side of a bucket."""


@dataclass(slots=True)
class WorkerCounts:
    """The sums of one worker's newest buckets."""

    sent: int = 0
    completed: int = 0


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
