"""The script of a run: its measurements, and how it ends."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from tm_cli.server.engine.job import EngineJob
from tm_cli.server.engine.plan import BUCKET_SECONDS
from tm_cli.server.engine.saturation import Flags
from tm_cli.server.engine_events import EngineBucket, EngineFinished, EngineProgress
from tm_cli.server.histograms import new_histogram

_STEPS = 20
_NO_FLAGS = Flags()


class Ending(Enum):
    """How a run continues after its first bucket."""

    COMPLETED = auto()
    HANGS = auto()
    """It does not progress until it is stopped."""
    BROKEN = auto()
    """The load generator dies."""


@dataclass(frozen=True, slots=True)
class ScriptedRun:
    """One run: its fastest response time in milliseconds, and how it ends.

    Its verdict comes `verdict_after` seconds after its end; None is never.
    """

    ms: float = 20.0
    ending: Ending = Ending.COMPLETED
    verdict_after: float | None = 0.0

    def buckets(self, job: EngineJob) -> list[EngineBucket]:
        """All buckets of the run: the whole curve, or the first one."""
        count = round(job.duration / BUCKET_SECONDS) if self.ending is Ending.COMPLETED else 1
        return [
            self._bucket(index, round(job.points[0][1] * BUCKET_SECONDS)) for index in range(count)
        ]

    def _bucket(self, index: int, requests: int) -> EngineBucket:
        return EngineBucket(
            index=index,
            planned=requests,
            sent=requests,
            completed=requests,
            codes={"200": requests},
            response=_histogram(self.ms, requests),
            p50_ms=self.ms,
            p95_ms=self.ms,
            p99_ms=self.ms,
        )


def progress(buckets: list[EngineBucket]) -> EngineProgress:
    return EngineProgress(
        float(len(buckets) * BUCKET_SECONDS), sum(item.sent for item in buckets), _NO_FLAGS
    )


def finished(buckets: list[EngineBucket], *, completed_curve: bool) -> EngineFinished:
    total = sum(bucket.sent for bucket in buckets)
    return EngineFinished(
        completed_curve=completed_curve,
        elapsed=float(len(buckets) * BUCKET_SECONDS),
        planned=total,
        sent=total,
        completed=total,
        shortfall=0,
        flags=_NO_FLAGS,
    )


@functools.cache
def _histogram(ms: float, requests: int) -> str:
    histogram = new_histogram()
    for value, count in _spread(ms, requests):
        histogram.record_value(round(value * 1000), count)
    text: str = histogram.encode().decode()
    return text


def _spread(ms: float, requests: int) -> Iterator[tuple[float, int]]:
    """Times from `ms` up to half as much again, most of them near `ms`."""
    share, rest = divmod(requests, _STEPS)
    for step in range(_STEPS):
        yield ms * (1 + 0.5 * (step / _STEPS) ** 3), share + (rest if step == 0 else 0)
