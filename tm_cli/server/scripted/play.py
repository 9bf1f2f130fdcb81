"""What a scripted run measures, and how it ends."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from hdrh.histogram import HdrHistogram

from tm_cli.server.engine.job import EngineJob
from tm_cli.server.engine.saturation import Flags
from tm_cli.server.engine_events import Bucket, EngineFinished, EngineProgress
from tm_cli.server.series import BUCKET_SECONDS

_HIGHEST_US = 3600 * 1_000_000
_STEPS = 20
_NO_FLAGS = Flags()


class Ending(Enum):
    """How a run goes on after its first bucket."""

    COMPLETED = auto()
    HANGS = auto()
    """It stays where it is until somebody stops it."""
    BROKEN = auto()
    """The load generator dies."""


@dataclass(frozen=True, slots=True)
class ScriptedRun:
    """One run: its quickest response time in milliseconds, and how it ends.

    Its verdict comes `verdict_after` seconds after its end; None is never.
    """

    ms: float = 20.0
    ending: Ending = Ending.COMPLETED
    verdict_after: float | None = 0.0

    def buckets(self, job: EngineJob) -> list[Bucket]:
        """Everything that the run measures: the whole curve, or the first bucket of it."""
        count = round(job.duration / BUCKET_SECONDS) if self.ending is Ending.COMPLETED else 1
        return [
            self._bucket(index, round(job.points[0][1] * BUCKET_SECONDS)) for index in range(count)
        ]

    def _bucket(self, index: int, requests: int) -> Bucket:
        return Bucket(
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


def progress(buckets: list[Bucket]) -> EngineProgress:
    """What the load generator says after `buckets`."""
    return EngineProgress(
        float(len(buckets) * BUCKET_SECONDS), sum(item.sent for item in buckets), _NO_FLAGS
    )


def finished(buckets: list[Bucket], *, completed_curve: bool) -> EngineFinished:
    """The load generator's last word after `buckets`."""
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
    histogram = HdrHistogram(1, _HIGHEST_US, 3)
    for value, count in _spread(ms, requests):
        histogram.record_value(round(value * 1000), count)
    text: str = histogram.encode().decode()
    return text


def _spread(ms: float, requests: int) -> Iterator[tuple[float, int]]:
    """Times from `ms` up to half as much again, most of them near `ms`."""
    share, rest = divmod(requests, _STEPS)
    for step in range(_STEPS):
        yield ms * (1 + 0.5 * (step / _STEPS) ** 3), share + (rest if step == 0 else 0)
