"""Which stretch of its curve a run has behind it, and other runs over the same stretch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tm_cli.server.engine.schedule import BUCKET_SECONDS
from tm_cli.server.judge import RunFacts, Thresholds
from tm_cli.server.runs.results import (
    JudgedCounts,
    block_counts,
    blocks,
    buckets_per_block,
    count,
    error_classes,
    quantiles,
    stretch,
    successes,
)
from tm_cli.server.runs.steps import StepBlock, measured_steps, with_all_counts
from tm_cli.server.store.stored_rows import StoredRow
from tm_cli.server.workers.engine_events import EngineBucket


def stopped_after(row: StoredRow) -> int | None:
    """The second after which a completed run ended early; None for a whole run."""
    seconds: int = row["duration_seconds"]
    is_whole = row["loop"] or row["outcome"] != "COMPLETED" or seconds >= row["duration"]
    return None if is_whole else seconds


@dataclass(slots=True)
class Stretches:
    """The buckets of one curve, `whole` in all, of which the first `warmup` are not judged.

    A stretch ends with a complete block; its end is counted in buckets from the start of the curve.
    """

    whole: int
    warmup: int
    thresholds: Thresholds
    _shape: dict[int, dict[str, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, row: StoredRow, thresholds: Thresholds) -> Stretches:
        whole = math.ceil(row["duration"] / BUCKET_SECONDS)
        return cls(whole, int(row["warmup"] / BUCKET_SECONDS), thresholds)

    @property
    def judged(self) -> int:
        return self.whole - self.warmup

    def end(self, run: RunFacts) -> int:
        """How many buckets a run has."""
        if run.stopped_after is None:
            return self.whole
        size = buckets_per_block(self.judged)
        after_warmup = int(run.stopped_after / BUCKET_SECONDS) - self.warmup
        return self.warmup + max(after_warmup, 0) // size * size

    def with_blocks(
        self, run: RunFacts, buckets: Sequence[EngineBucket], steps: Sequence[StepBlock] = ()
    ) -> RunFacts:
        """A run with its blocks; one that was stopped early has no times of its last, open one."""
        if run.stopped_after is None:
            return self._measured(run, buckets, steps)
        first = [bucket for bucket in buckets if bucket.index < self.end(run)]
        times = quantiles(stretch(first, run.warmup))
        found = self._measured(replace(run, quantiles_ms=times), first, steps)
        return replace(found, steps=with_all_counts(run.steps, found.steps))

    def up_to(
        self,
        end: int,
        run: RunFacts,
        buckets: Sequence[EngineBucket],
        steps: Sequence[StepBlock] = (),
    ) -> RunFacts:
        """What a run had measured after so many buckets."""
        if self.end(run) <= end:
            return replace(self.with_blocks(run, buckets, steps), quantiles_ms=run.quantiles_ms)
        first = [bucket for bucket in buckets if bucket.index < end]
        judged = stretch(first, run.warmup)
        then = count(judged)
        share = then.total_requests / run.completed if run.completed else 0.0
        shorter = replace(
            run,
            quantiles_ms=quantiles(judged),
            repeated=round(run.repeated * share),
            seconds=end * BUCKET_SECONDS - run.warmup,
            **counted(then),
        )
        return self._measured(shorter, first, steps)

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
        return replace(run, quantiles_ms=times, steps={})

    def _times(self, end: int, buckets: Sequence[EngineBucket]) -> dict[str, float]:
        if end not in self._shape:
            first = [bucket for bucket in buckets if self.warmup <= bucket.index < end]
            self._shape[end] = quantiles(first)
        return self._shape[end]

    def _measured(
        self, run: RunFacts, buckets: Sequence[EngineBucket], steps: Sequence[StepBlock]
    ) -> RunFacts:
        """A run with what its buckets tell: blocks, and the stretches that have thresholds."""
        parts = {
            part: stretch(buckets, part.begin, math.inf if part.end is None else part.end)
            for part in (item.stretch for item in self.thresholds.stretches.values())
        }
        stretches = {
            part: replace(
                run,
                quantiles_ms=quantiles(inside),
                blocks=blocks(inside),
                block_counts=block_counts(inside, part.begin),
                **counted(count(inside)),
            )
            for part, inside in parts.items()
        }
        judged = stretch(buckets, run.warmup)
        found = replace(
            run,
            blocks=blocks(judged, self.judged),
            block_counts=block_counts(judged, run.warmup, self.judged),
            stretches=stretches,
        )
        return replace(found, steps=measured_steps(found, steps))


def counted(judged: JudgedCounts) -> dict[str, Any]:
    """What `RunFacts` needs to know of the requests."""
    return {
        "planned": judged.planned,
        "sent": judged.sent,
        "completed": judged.total_requests,
        "errors": judged.total_errors,
        "error_classes": error_classes(judged.response_codes),
        "statuses": successes(judged.response_codes),
    }
