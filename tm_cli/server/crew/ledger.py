"""Adds up the results of several workers to the events of one engine."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields

from tm_cli.server.crew.merge import BucketMerge
from tm_cli.server.crew.whole_plan import WholePlan
from tm_cli.server.engine.plan import BUCKET_SECONDS
from tm_cli.server.engine.saturation import Flags
from tm_cli.server.engine_events import (
    AddressCounts,
    EngineBucket,
    EngineEvent,
    EngineFinished,
    EngineProgress,
)

_SLACK = 10.0  # seconds by which a worker may be behind the others and behind its own requests


@dataclass(slots=True)
class WorkerState:
    """One worker; `heard_at` and `now` are seconds of one monotonic clock.

    `addresses`: requests by address, for each side of an A/B run.
    """

    name: str
    heard_at: float
    is_ready: bool = False
    is_lost: bool = False
    is_moving: bool = False
    finished: EngineFinished | None = None
    sent: int = 0
    now_flags: Flags = field(default_factory=Flags)
    addresses: dict[int, dict[str, int]] = field(default_factory=dict)
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
        self._kept = math.ceil((2 * request_timeout + _SLACK) / BUCKET_SECONDS)
        self._flags = Flags()

    def add(self, worker: int, bucket: EngineBucket) -> None:
        self._merge.add(worker, bucket)

    def raise_flags(self, flags: Flags) -> None:
        """Flags that were raised once stay with the run."""
        self._flags = _any([self._flags, flags])

    def changed_buckets(self) -> list[EngineBucket]:
        return list(self._merge.changed())

    def progress(self, now: float) -> list[EngineEvent]:
        """The changes, and the position of the run; some worker must be live."""
        live = [state for state in self._workers if state.is_live]
        seconds = [state.second(now) for state in live]
        flags = _any(state.now_flags for state in live)
        progress = EngineProgress(round(min(max(seconds), self._plan.end), 3), self._sent, flags)
        events: list[EngineEvent] = [*self.changed_buckets(), *self._addresses(), progress]
        self._merge.forget_before(int(min(seconds) // BUCKET_SECONDS) - self._kept)
        return events

    def finished(self, elapsed: float) -> list[EngineEvent]:
        """The end of a run, including the results of lost workers from before they were lost."""
        finished = [state.finished for state in self._workers if state.finished]
        planned = self._plan.before(elapsed)
        end = EngineFinished(
            completed_curve=any(end.completed_curve for end in finished),
            elapsed=elapsed,
            planned=planned,
            sent=self._sent,
            completed=self._completed,
            shortfall=planned - self._sent,
            flags=self._flags,
        )
        return [*self.changed_buckets(), *self._addresses(), end]

    def _addresses(self) -> list[EngineEvent]:
        sides: dict[int, Counter[str]] = {}
        for state in self._workers:
            for side, requests in state.addresses.items():
                sides.setdefault(side, Counter()).update(requests)
        return [AddressCounts(side, dict(sorted(sides[side].items()))) for side in sorted(sides)]

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


def _any(flags: Iterable[Flags]) -> Flags:
    every = list(flags)
    return Flags(
        **{flag.name: any(getattr(one, flag.name) for one in every) for flag in fields(Flags)}
    )
