"""The embedded server: builds its services and runs its web servers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from functools import partial

from starlette.types import ASGIApp

from tm_cli.clock import Clock
from tm_cli.server.app import create_app
from tm_cli.server.connections import ClientConnections
from tm_cli.server.crew.agents import Agents
from tm_cli.server.crew.launching import launch_with
from tm_cli.server.data_dir import DataDir, ServerInfo
from tm_cli.server.descriptors import connections_allowed
from tm_cli.server.engine_process import DEFAULT_COMMAND
from tm_cli.server.guard import Guard, digest_of
from tm_cli.server.identity import IdentityProof
from tm_cli.server.leases import Leases, wait_until_unused
from tm_cli.server.limits import Quota
from tm_cli.server.listener import Endpoint
from tm_cli.server.options import ServeOptions
from tm_cli.server.services import Services
from tm_cli.server.stop_signals import signals_set
from tm_cli.server.store.database import Database
from tm_cli.server.store.history import HistoryStore
from tm_cli.server.store.pins import PinStore
from tm_cli.server.store.profiles import ProfileStore
from tm_cli.server.store.runs import RunStore
from tm_cli.server.supervisor import Supervisor
from tm_cli.server.targets import TargetRule
from tm_cli.server.verdicts import Judge
from tm_cli.server.web_server import WebServer
from tm_cli.values.sliding_window import SlidingWindow


class EmbeddedServer:
    """A server with one or two endpoints; the first one is for this machine."""

    def __init__(
        self,
        options: ServeOptions,
        database: Database,
        key: str,
        open_listeners: Sequence[Endpoint],
        clock: Clock,
    ) -> None:
        self._options = options
        self._database = database
        self._key = key
        self._endpoints = open_listeners
        self._clock = clock

    async def run(
        self, data: DataDir, on_ready: Callable[[ServerInfo], None], stop: asyncio.Event
    ) -> None:
        """Serve until `stop` is set or the server ends for a reason of its own."""
        services = self._services()
        services.supervisor.recover()
        guarded = self._guarded(create_app(services), services.limits)
        connections = ClientConnections(
            connections_allowed(), head_timeout=self._options.head_timeout
        )
        servers = [
            WebServer(app, endpoint, connections)
            for app, endpoint in zip(guarded, self._endpoints, strict=True)
        ]
        serving = [await server.begin() for server in servers]
        inside, *outside = (endpoint.base_url for endpoint in self._endpoints)
        info = ServerInfo(inside, data.key_file, os.getpid(), public_url=next(iter(outside), None))
        with signals_set(stop):
            data.announce(info)
            on_ready(info)
            await self._wait_for_end(services, stop)
            services.leases.close()
            await services.supervisor.shut_down()
            for server in servers:
                server.should_exit = True
            await asyncio.gather(*serving)

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
        limits = Quota(requests_per_minute=self._options.requests_per_minute)
        history = HistoryStore(self._database, self._clock)
        runs = RunStore(self._database)
        judge = Judge(history, runs, self._clock.now)
        agents = Agents()
        return Services(
            profiles=ProfileStore(self._database, self._clock),
            history=history,
            supervisor=Supervisor(
                runs=runs,
                history=history,
                clock=self._clock,
                launch=launch_with(
                    agents,
                    self._options.engine_command or DEFAULT_COMMAND,
                    slots=self._options.slots,
                    clock=self._clock,
                ),
                judge=judge,
                concurrent_runs=limits.concurrent_runs,
            ),
            targets=TargetRule(
                {endpoint.port for endpoint in self._endpoints},
                self._options.allow_public_targets,
                own_address=self._endpoints[-1].address,
            ),
            agents=agents,
            pins=PinStore(self._database, self._clock),
            judge=judge,
            leases=Leases(),
            identity=IdentityProof(self._key),
            limits=limits,
            clock=self._clock,
        )

    def _guarded(self, app: ASGIApp, limits: Quota) -> list[Guard]:
        """The application behind a guard for each endpoint; they share the rate limit."""
        window = SlidingWindow(limits.requests_per_minute, self._clock.monotonic)
        guard = partial(Guard, app, key_digest=digest_of(self._key), window=window)
        return [
            guard(
                port=endpoint.port,
                scheme=endpoint.scheme,
                names=endpoint.names,
                is_open=endpoint.tls is not None,
            )
            for endpoint in self._endpoints
        ]
