"""The real embedded server, except for its load generator and when it gives verdicts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tm_cli.clock import SystemClock
from tm_cli.server.data_dir import DataDir, ServerInfo
from tm_cli.server.embedded_server import EmbeddedServer
from tm_cli.server.engine.job import EngineJob
from tm_cli.server.listener import open_listeners
from tm_cli.server.options import ServeOptions
from tm_cli.server.running_engine import RunningEngine
from tm_cli.server.scripted.play import ScriptedRun
from tm_cli.server.scripted.scripted_engine import ScriptedEngine
from tm_cli.server.services import Services
from tm_cli.server.store.database import Database
from tm_cli.server.store.settings import SettingStore

_UNLIMITED = 100_000


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
    options = ServeOptions(data_dir, port=0, requests_per_minute=_UNLIMITED)
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
