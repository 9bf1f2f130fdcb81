"""One server from its first answer to its last."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial

import uvicorn

from tm_cli.clock import Clock
from tm_cli.errors import ConfigurationError
from tm_cli.server.app import create_app
from tm_cli.server.data_dir import DataDir, ServerInfo
from tm_cli.server.engine_process import DEFAULT_COMMAND
from tm_cli.server.guard import Guard
from tm_cli.server.leases import Leases, wait_until_unused
from tm_cli.server.limits import ServerLimits
from tm_cli.server.listener import base_url_of, port_of
from tm_cli.server.options import ServeOptions
from tm_cli.server.rate import SlidingWindow
from tm_cli.server.services import Services
from tm_cli.server.store.database import Database
from tm_cli.server.store.history import HistoryStore
from tm_cli.server.store.profiles import ProfileStore
from tm_cli.server.store.runs import RunStore
from tm_cli.server.supervisor import Supervisor
from tm_cli.server.targets import TargetRule
from tm_cli.server.verdicts import judge_row


class EmbeddedServer:
    """One server on one listening socket."""

    def __init__(
        self,
        options: ServeOptions,
        database: Database,
        key_digest: str,
        listener: socket.socket,
        clock: Clock,
    ) -> None:
        self._options = options
        self._database = database
        self._key_digest = key_digest
        self._listener = listener
        self._clock = clock

    async def run(
        self, data: DataDir, on_ready: Callable[[ServerInfo], None], stop: asyncio.Event
    ) -> None:
        """Serve until `stop` is set or the server ends for a reason of its own."""
        services = self._services()
        services.supervisor.recover()
        web = _WebServer(self._config(services), self._listener)
        info = ServerInfo(base_url_of(self._listener), data.key_file, os.getpid())
        serving = asyncio.create_task(web.serve())
        await _either(web.listening, serving)
        with _signals_set(stop):
            with data.announced(info):
                on_ready(info)
                await self._wait_for_end(services, stop)
            services.leases.close()
            await services.supervisor.shut_down()
            web.should_exit = True
            await serving

    async def _wait_for_end(self, services: Services, stop: asyncio.Event) -> None:
        ends: list[asyncio.Task[object]] = [asyncio.create_task(stop.wait())]
        if self._options.exit_when_unused:
            unused = wait_until_unused(
                services.leases, lambda: services.supervisor.is_busy, self._clock.monotonic
            )
            ends.append(asyncio.create_task(unused))
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()
        await asyncio.gather(*ends, return_exceptions=True)

    def _services(self) -> Services:
        limits = ServerLimits(requests_per_minute=self._options.requests_per_minute)
        history = HistoryStore(self._database, self._clock)
        return Services(
            profiles=ProfileStore(self._database, self._clock),
            history=history,
            supervisor=Supervisor(
                runs=RunStore(self._database),
                history=history,
                clock=self._clock,
                engine_command=self._options.engine_command or DEFAULT_COMMAND,
                judge=partial(judge_row, history),
                concurrent_runs=limits.concurrent_runs,
            ),
            targets=TargetRule(port_of(self._listener), self._options.allow_public_targets),
            leases=Leases(),
            limits=limits,
            clock=self._clock,
        )

    def _config(self, services: Services) -> uvicorn.Config:
        window = SlidingWindow(services.limits.requests_per_minute, self._clock.monotonic)
        guard = Guard(create_app(services), port_of(self._listener), self._key_digest, window)
        return uvicorn.Config(
            guard,
            http="h11",
            ws="none",
            lifespan="off",
            loop="asyncio",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=64,
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=64 * 1024,
        )


async def _either(listening: asyncio.Event, serving: asyncio.Task[None]) -> None:
    """Wait until the server listens; raise what keeps it from that."""
    waiting = asyncio.create_task(listening.wait())
    await asyncio.wait([waiting, serving], return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        waiting.cancel()
        serving.result()
        raise ConfigurationError("the server ended before it listened")


class _WebServer(uvicorn.Server):
    """uvicorn without its signal handlers, which would raise the signal again at the end."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self._listener = listener

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        await super().serve(sockets or [self._listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@contextmanager
def _signals_set(stop: asyncio.Event) -> Iterator[None]:
    """Have SIGINT and SIGTERM set `stop`, where this thread can receive them."""
    loop = asyncio.get_running_loop()
    previous = {}
    with contextlib.suppress(ValueError):  # not the main thread: somebody else decides the end
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
