"""The embedded server with a script in the place of its load generator, for `tm selftest`."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from pathlib import Path
from typing import Any

from hdrh.histogram import HdrHistogram

from tm_cli.runtime.clock import SystemClock
from tm_cli.server.data_dir import DataDir, ServerInfo
from tm_cli.server.runs.progress import WIDTH
from tm_cli.server.server import EmbeddedServer
from tm_cli.server.store.database import Database
from tm_cli.server.store.profiles import SettingStore
from tm_cli.server.web.listener import doors
from tm_cli.server.web.services import ServeOptions, Services
from tm_cli.server.workers.engine_events import (
    Bucket,
    Event,
    Finished,
    Flags,
    Progress,
    RunningEngine,
    Started,
)

_HIGHEST_US = 3600 * 1_000_000
_STEPS = 20
_NO_FLAGS = Flags()


class Ending(Enum):
    """How a run goes on after its first bucket."""

    COMPLETED = auto()
    HELD = auto()
    """It stays where it is until somebody stops it."""
    BROKEN = auto()
    """The load generator dies."""


@dataclass(frozen=True, slots=True)
class Play:
    """One run: its quickest response time in milliseconds, and how it ends.

    Its verdict comes `verdict_after` seconds after its end; None is never.
    """

    ms: float = 20.0
    ending: Ending = Ending.COMPLETED
    verdict_after: float | None = 0.0

    def buckets(self, job: Mapping[str, Any]) -> list[Bucket]:
        """Everything that the run measures: the whole curve, or the first bucket of it."""
        count = round(job["duration"] / WIDTH) if self.ending is Ending.COMPLETED else 1
        return [self._bucket(index, round(job["points"][0][1] * WIDTH)) for index in range(count)]

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


def progress(buckets: list[Bucket]) -> Progress:
    """What the load generator says after `buckets`."""
    return Progress(float(len(buckets) * WIDTH), sum(item.sent for item in buckets), _NO_FLAGS)


def finished(buckets: list[Bucket], *, completed_curve: bool) -> Finished:
    """The load generator's last word after `buckets`."""
    total = sum(bucket.sent for bucket in buckets)
    return Finished(
        completed_curve=completed_curve,
        elapsed=float(len(buckets) * WIDTH),
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


_BROKEN = 3


class ScriptedEngine:
    """A `RunningEngine` that plays its whole curve at once."""

    def __init__(self, play: Play, job: Mapping[str, Any]) -> None:
        self._play = play
        self._job = job
        self._stopped = asyncio.Event()

    def send(self, command: str, **details: object) -> None:
        """Obey `stop`; a pause means nothing to it."""
        if command == "stop":
            self._stopped.set()

    async def events(self, *, patience: float) -> AsyncIterator[Event]:
        """The events of the play."""
        buckets = self._play.buckets(self._job)
        yield Started(datetime.now(UTC))
        for bucket in buckets:
            yield bucket
        yield progress(buckets)
        if self._play.ending is Ending.BROKEN:
            return
        if self._play.ending is Ending.HELD:
            await self._stopped.wait()
        yield finished(buckets, completed_curve=self._play.ending is Ending.COMPLETED)

    async def close(self) -> int:
        """Return the exit code that a process would have."""
        return _BROKEN if self._play.ending is Ending.BROKEN else 0

    def hang_up(self) -> None:
        """Stop at once."""
        self._stopped.set()

    def kill(self) -> None:
        """Stop at once."""
        self._stopped.set()

    @property
    def last_complaint(self) -> str | None:
        """Why it died, if it did."""
        return "as scripted" if self._play.ending is Ending.BROKEN else None


_PLENTY = 100_000


@dataclass(frozen=True, slots=True)
class Stand:
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
async def scripted_server(data_dir: Path, plays: Sequence[Play]) -> AsyncIterator[Stand]:
    """Serve in `data_dir`, on a free port of loopback; the runs play `plays`, one after the other.

    One run at a time is allowed. Raises ConfigurationError when the server cannot start.
    """
    options = ServeOptions(data_dir, port=0, requests_per_minute=_PLENTY)
    data = DataDir(data_dir)
    with (
        data.exclusive(),
        doors(options) as open_doors,
        closing(Database.open(data.database)) as database,
    ):
        key = data.key(SettingStore(database))
        server = _ScriptedServer(options, database, key, open_doors, SystemClock())
        server.plays = list(plays)
        stop, ready = asyncio.Event(), asyncio.Event()

        def be_ready(_info: ServerInfo) -> None:
            ready.set()

        serving = asyncio.create_task(server.run(data, be_ready, stop))
        try:
            await _first(asyncio.create_task(ready.wait()), serving)
            yield Stand(open_doors[0].port, data.key_file, database)
        finally:
            server.over.set()
            stop.set()
            await serving


async def _first(ready: asyncio.Task[Any], serving: asyncio.Task[None]) -> None:
    """Wait until the server listens; raise what keeps it from that."""
    await asyncio.wait([ready, serving], return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        ready.cancel()
        serving.result()


class _ScriptedServer(EmbeddedServer):
    plays: Sequence[Play] = ()

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.over = threading.Event()
        self._played: dict[str, Play] = {}

    def _services(self) -> Services:
        services = super()._services()
        supervisor = services.supervisor
        supervisor.launch = self._launch
        supervisor.concurrent_runs = 1
        supervisor.judge = self._in_time(supervisor.judge, services)
        return services

    async def _launch(self, _region: str, job: Mapping[str, Any]) -> RunningEngine:
        play = self.plays[min(len(self._played), len(self.plays) - 1)]
        self._played[job["run_id"]] = play
        return ScriptedEngine(play, job)

    def _in_time(self, judge: Callable[[int], None], services: Services) -> Callable[[int], None]:
        def judge_in_time(history_id: int) -> None:
            row = services.history.find(history_id)
            play = self._played[row["run_id"]] if row else Play()
            if play.verdict_after is not None and not self.over.wait(play.verdict_after):
                judge(history_id)

        return judge_in_time
