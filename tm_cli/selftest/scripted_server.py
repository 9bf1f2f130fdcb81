"""The embedded server with scripted runs instead of a load generator, for `tm selftest`."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from pathlib import Path
from typing import Any

from tm_cli.runtime.clock import SystemClock
from tm_cli.server.data_dir import DataDir, ServerInfo
from tm_cli.server.engine.job import EngineJob
from tm_cli.server.engine.saturation import Flags
from tm_cli.server.engine.schedule import BUCKET_SECONDS
from tm_cli.server.server import EmbeddedServer
from tm_cli.server.store.database import Database
from tm_cli.server.store.profiles import SettingStore
from tm_cli.server.validation import new_histogram
from tm_cli.server.web.listener import ServeOptions, open_listeners
from tm_cli.server.web.services import Services
from tm_cli.server.workers.engine_events import (
    EngineBucket,
    EngineEvent,
    EngineFinished,
    EngineProgress,
    EngineStarted,
    RunningEngine,
)

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


_BROKEN = 3


class ScriptedEngine:
    """A `RunningEngine` that reports its whole curve at once."""

    def __init__(self, script: ScriptedRun, job: EngineJob) -> None:
        self._script = script
        self._job = job
        self._stopped = asyncio.Event()

    def send(self, command: str, **details: object) -> None:
        if command == "stop":
            self._stopped.set()

    async def events(self, *, patience: float) -> AsyncIterator[EngineEvent]:
        buckets = self._script.buckets(self._job)
        yield EngineStarted(datetime.now(UTC))
        for bucket in buckets:
            yield bucket
        yield progress(buckets)
        if self._script.ending is Ending.BROKEN:
            return
        if self._script.ending is Ending.HANGS:
            await self._stopped.wait()
        yield finished(buckets, completed_curve=self._script.ending is Ending.COMPLETED)

    async def close(self) -> int:
        return _BROKEN if self._script.ending is Ending.BROKEN else 0

    def hang_up(self) -> None:
        self._stopped.set()

    def kill(self) -> None:
        self._stopped.set()

    @property
    def last_error(self) -> str | None:
        return "as scripted" if self._script.ending is Ending.BROKEN else None


@dataclass(frozen=True, slots=True)
class ScriptedServer:
    """A running scripted server: where it is, its key, and what it has written down."""

    port: int
    key_file: Path
    database: Database

    @property
    def runs(self) -> int:
        """How many runs were started; each is on disk before its start is answered."""
        row = self.database.row("SELECT COUNT(*) FROM runs")
        return int(row[0]) if row else 0


@asynccontextmanager
async def scripted_server(
    data_dir: Path, scripted_runs: Sequence[ScriptedRun]
) -> AsyncIterator[ScriptedServer]:
    """Serve in `data_dir`, on a free port of loopback; runs follow `scripted_runs` in order.

    One run at a time is allowed. Raises ConfigurationError when the server cannot start.
    """
    options = ServeOptions(data_dir, port=0)
    data = DataDir(data_dir)
    with (
        data.exclusive(),
        open_listeners(options) as endpoints,
        closing(Database.open(data.database)) as database,
    ):
        key = data.key(SettingStore(database))
        server = _Server(options, database, key, endpoints, SystemClock())
        server.scripted_runs = list(scripted_runs)
        stop, ready = asyncio.Event(), asyncio.Event()

        def be_ready(_info: ServerInfo) -> None:
            ready.set()

        serving = asyncio.create_task(server.run(data, be_ready, stop))
        try:
            await _first(asyncio.create_task(ready.wait()), serving)
            yield ScriptedServer(endpoints[0].port, data.key_file, database)
        finally:
            server.over.set()
            stop.set()
            await serving


async def _first(ready: asyncio.Task[Any], serving: asyncio.Task[None]) -> None:
    """Wait until the server listens; raises the error that prevents it."""
    await asyncio.wait([ready, serving], return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        ready.cancel()
        serving.result()


class _Server(EmbeddedServer):
    scripted_runs: Sequence[ScriptedRun] = ()

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.over = threading.Event()
        self._assigned: dict[str, ScriptedRun] = {}

    def _services(self) -> Services:
        services = super()._services()
        supervisor = services.supervisor
        supervisor.launch = self._launch
        supervisor.concurrent_runs = 1
        supervisor.judge = self._delayed(supervisor.judge, services)
        return services

    async def _launch(self, _region: str, job: EngineJob) -> RunningEngine:
        script = self.scripted_runs[min(len(self._assigned), len(self.scripted_runs) - 1)]
        self._assigned[job.run_id] = script
        return ScriptedEngine(script, job)

    def _delayed(self, judge: Callable[[int], None], services: Services) -> Callable[[int], None]:
        def judge_delayed(history_id: int) -> None:
            row = services.history.find(history_id)
            script = self._assigned[row["run_id"]] if row else ScriptedRun()
            if script.verdict_after is not None and not self.over.wait(script.verdict_after):
                judge(history_id)

        return judge_delayed
