"""The engine's events about a run in progress and at its end."""

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from tm_cli.server.engine.job import EngineJob
from tm_cli.server.engine.recorder import Recorder
from tm_cli.server.engine.saturation import (
    LATE,
    LoadSample,
    ReportWindow,
    Saturation,
    p99,
    share_above,
)
from tm_cli.server.engine.schedule import RequestPlan

Fields = dict[str, Any]


class EngineReport:
    """Turns the recorder's counts into the events `progress`, `bucket` and `finished`.

    `monotonic` and `cpu_time` supply seconds: of the clock, and of this process at work.
    """

    def __init__(
        self,
        job: EngineJob,
        plan: RequestPlan,
        recorder: Recorder,
        *,
        monotonic: Callable[[], float],
        cpu_time: Callable[[], float],
    ) -> None:
        self._job = job
        self._plan = plan
        self._recorder = recorder
        self._monotonic = monotonic
        self._cpu_time = cpu_time
        self._saturation = Saturation()
        self._seen_at = monotonic(), cpu_time()

    def begin(self) -> None:
        """Reset the CPU measurement at the start of the run."""
        self._seen_at = self._monotonic(), self._cpu_time()

    def progress(self, elapsed: float, *, is_paused: bool) -> Fields:
        """The state of the run; called about once a second, it also detects saturation."""
        window = self._recorder.take_window()
        cpu = self._cpu_share()
        due = self._plan.planned_before(elapsed)
        backlog = max(0, due - self._recorder.sent - self._recorder.unsent)
        if not is_paused:
            self._saturation.observe(self._sample(window, cpu, backlog))
        return {
            "elapsed": round(elapsed, 3),
            **self._counts(due),
            "in_flight": self._recorder.in_flight,
            "backlog": backlog,
            "slots": self._job.slots,
            "lag_p99_ms": round(p99(window.lags) * 1000, 3),
            "cpu": round(cpu, 3),
            **asdict(self._saturation.now),
        }

    def buckets(self, elapsed: float) -> Iterator[Fields]:
        for bucket in self._recorder.news(elapsed):
            yield bucket.document()

    def finished(self, outcome: str, elapsed: float) -> Fields:
        """The sums of this worker's share; `planned` counts up to where the run ended."""
        due = self._plan.planned_before(elapsed)
        return {
            "outcome": outcome,
            "elapsed": round(elapsed, 3),
            "planned": due,
            **self._counts(due),
            "shortfall": due - self._recorder.sent,
            **asdict(self._saturation.ever),
        }

    def _counts(self, due: int) -> Fields:
        return {"due": due, "sent": self._recorder.sent, "completed": self._recorder.completed}

    def _cpu_share(self) -> float:
        before, self._seen_at = self._seen_at, (self._monotonic(), self._cpu_time())
        wall, busy = (now - then for now, then in zip(self._seen_at, before, strict=True))
        return min(1.0, busy / wall) if wall > 0 else 0.0

    def _sample(self, window: ReportWindow, cpu: float, backlog: int) -> LoadSample:
        ended = len(window.services) + window.unsent
        return LoadSample(
            late=share_above(window.lags, LATE),
            held=share_above([*window.waits, *[math.inf] * backlog], LATE),
            lost=(window.failed + window.unsent) / ended if ended else 0.0,
            cpu=cpu,
            is_full=window.most_in_flight >= self._job.slots // len(self._plan.sides),
            service_p99=p99(window.services) / self._job.timeout,
        )
