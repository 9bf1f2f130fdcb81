"""Which stretch of its curve a run has behind it, and other runs over the same stretch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tm_cli.server.engine.schedule import BUCKET_SECONDS
from tm_cli.server.judge import RunFacts
from tm_cli.server.runs.results import (
    blocks,
    buckets_per_block,
    error_classes,
    successes,
    summarize,
)
from tm_cli.server.store.stored_rows import StoredRow
from tm_cli.server.workers.engine_events import EngineBucket


def stopped_after(row: StoredRow) -> int | None:
    """The second after which a completed run ended early; None for a whole run."""
    seconds: int = row["duration_seconds"]
    is_whole = row["loop"] or row["outcome"] != "COMPLETED" or seconds >= row["duration"]
    return None if is_whole else seconds


@dataclass(slots=True)
class Stretches:
    """The buckets of one curve, `whole` in all; a stretch ends with a complete block."""

    whole: int
    _shape: dict[int, dict[str, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, row: StoredRow) -> Stretches:
        return cls(math.ceil(row["duration"] / BUCKET_SECONDS))

    def end(self, run: RunFacts) -> int:
        """How many buckets a run has."""
        if run.stopped_after is None:
            return self.whole
        size = buckets_per_block(self.whole)
        return int(run.stopped_after / BUCKET_SECONDS) // size * size

    def with_blocks(self, run: RunFacts, buckets: Sequence[EngineBucket]) -> RunFacts:
        """A run with its blocks; one that was stopped early has no times of its last, open one."""
        if run.stopped_after is None:
            return replace(run, blocks=blocks(buckets))
        end = self.end(run)
        first = [bucket for bucket in buckets if bucket.index < end]
        times = summarize(first, curve_end=end * BUCKET_SECONDS).quantiles_ms
        return replace(run, blocks=blocks(first, self.whole), quantiles_ms=times)

    def up_to(self, end: int, run: RunFacts, buckets: Sequence[EngineBucket]) -> RunFacts:
        """What a run had measured after so many buckets."""
        if self.end(run) <= end:
            return replace(self.with_blocks(run, buckets), quantiles_ms=run.quantiles_ms)
        first = [bucket for bucket in buckets if bucket.index < end]
        seconds = end * BUCKET_SECONDS
        then = summarize(first, curve_end=seconds, elapsed=seconds)
        return replace(
            run,
            planned=then.planned,
            sent=then.sent,
            completed=then.completed,
            errors=then.errors,
            error_classes=error_classes(then.codes),
            statuses=successes(then.codes),
            repeated=round(run.repeated * then.completed / run.completed) if run.completed else 0,
            quantiles_ms=then.quantiles_ms,
            blocks=blocks(first, self.whole),
            seconds=seconds,
        )

    def converted(self, run: RunFacts, end: int, whole: Sequence[EngineBucket]) -> RunFacts:
        """A run with the response times that it would have had over so many buckets.

        They change with the stretch as those of a whole run of the same curve do, whose buckets are
        `whole`.
        """
        there, here = self._times(self.end(run), whole), self._times(end, whole)
        times = {
            name: value * here[name] / there[name] if there.get(name) and here.get(name) else value
            for name, value in run.quantiles_ms.items()
        }
        return replace(run, quantiles_ms=times)

    def _times(self, end: int, buckets: Sequence[EngineBucket]) -> dict[str, float]:
        if end not in self._shape:
            first = [bucket for bucket in buckets if bucket.index < end]
            self._shape[end] = summarize(first, curve_end=end * BUCKET_SECONDS).quantiles_ms
        return self._shape[end]
