"""The embedded server: application, start, stop and log."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Match, Mount, Route, Router
from starlette.types import ASGIApp

from tm_cli.runtime.announcement import IDENTITY_PATH
from tm_cli.runtime.clock import Clock, SystemClock
from tm_cli.runtime.signals import signals_set
from tm_cli.server.capture_sources.sources import CaptureSources
from tm_cli.server.data_dir import DataDir, ServerInfo
from tm_cli.server.domains.rule import DomainRule
from tm_cli.server.domains.verification import DomainVerifier
from tm_cli.server.locustfiles import Locustfiles
from tm_cli.server.profiles import StoredProfile
from tm_cli.server.quota import Quota
from tm_cli.server.retention import expire_history
from tm_cli.server.routes import (
    account,
    api_description,
    capture_sources,
    captures,
    domains,
    history,
    noise,
    profiles,
    runs,
    variables_sets,
    workers,
)
from tm_cli.server.runner_class import runner_class
from tm_cli.server.runs.plan import prepare_run
from tm_cli.server.runs.supervisor import Supervisor
from tm_cli.server.runs.verdicts import Judge
from tm_cli.server.schedules import READINESS_WAIT, Scheduler
from tm_cli.server.store.calibrations import Calibrations
from tm_cli.server.store.capture_sources import CaptureSourceStore
from tm_cli.server.store.database import Database
from tm_cli.server.store.domains import DomainStore
from tm_cli.server.store.history import HistoryStore
from tm_cli.server.store.profiles import PinStore, ProfileStore, SettingStore
from tm_cli.server.store.runs import RunStore
from tm_cli.server.store.variables_sets import VariablesSetStore
from tm_cli.server.targets import TargetRule
from tm_cli.server.web.bodies import Refusal
from tm_cli.server.web.connections import ClientConnections, connections_allowed
from tm_cli.server.web.guard import Guard, IdentityProof, digest_of, refusal_response
from tm_cli.server.web.listener import ListeningSocket, ServeOptions, WebServer, open_listeners
from tm_cli.server.web.schemas import StartBody
from tm_cli.server.web.services import Leases, Services, wait_until_unused
from tm_cli.server.workers.local_worker import DEFAULT_COMMAND
from tm_cli.server.workers.remote_workers import Agents, launch_with
from tm_cli.values.sliding_window import SlidingWindow


async def lease(request: Request) -> Response:
    """Keep the server alive for as long as this response stays open."""
    leases = Services.of(request).leases
    if leases.is_closed:
        raise Refusal("The server is stopping", status=503)
    stream = leases.hold()
    await anext(stream)  # the lease counts before the response is sent
    return StreamingResponse(stream, media_type="text/plain")


async def identity(request: Request) -> Response:
    """Prove to clients that have not sent their key that this server has it."""
    proof = Services.of(request).identity.prove(request.query_params, request.scope)
    return PlainTextResponse(proof)


OPERATIONS = [
    *profiles.ROUTES,
    *runs.ROUTES,
    *profiles.BASELINE_ROUTES,
    *history.ROUTES,
    *noise.ROUTES,
    *account.ROUTES,
    *domains.ROUTES,
    *captures.ROUTES,
    *capture_sources.ROUTES,
    *variables_sets.ROUTES,
]


def create_app(services: Services) -> Starlette:
    api = Mount("/api/v1", app=Router(_fixed_first(OPERATIONS), redirect_slashes=False))
    app = Starlette(
        routes=[
            api,
            Route(IDENTITY_PATH, identity, methods=["GET"]),
            Route("/tm/lease", lease, methods=["GET"]),
            *workers.ROUTES,
            *api_description.DescriptionRoutes(OPERATIONS).routes,
        ],
        exception_handlers={
            Refusal: _refused,
            HTTPException: _not_routed,
            Exception: _broken,
        },
    )
    app.router.redirect_slashes = False
    app.state.services = services
    return app


def _fixed_first(routes: Sequence[Route]) -> list[Route]:
    """The routes so that `history/filters` is never read as a history id, whatever the method."""
    fixed = [route for route in routes if not route.param_convertors]
    other_methods = [Route(path, _refuse_method) for path in {route.path for route in fixed}]
    for route in other_methods:
        route.methods = None
    return [*fixed, *other_methods, *(route for route in routes if route.param_convertors)]


async def _refuse_method(request: Request) -> Response:
    raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # noqa: S101 - registered for it
    return refusal_response(error)


async def _not_routed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_allowed(request))
    return JSONResponse({"error": error.detail}, error.status_code, headers=headers)


def _allowed(request: Request) -> list[str]:
    """The methods of a path, which several routes share; the framework names those of one."""
    known = [route for route in OPERATIONS if route.matches(request.scope)[0] is not Match.NONE]
    fixed = [route for route in known if not route.param_convertors]
    return sorted({method for route in fixed or known for method in route.methods or ()})


async def _broken(request: Request, error: Exception) -> Response:
    """Answer for a bug, or a full disk; Starlette raises it again for the log.

    The web server then closes the connection, on which no other request may be sent.
    """
    text = "Internal server error"
    if isinstance(error, sqlite3.Error):
        text = f"The server cannot use its database: {error}"
    return JSONResponse({"error": text}, 500, headers={"Connection": "close"})


def scheduler_of(services: Services) -> Scheduler:
    """What starts the scheduled runs of a server."""

    async def prepare(profile: StoredProfile) -> Callable[[], object]:
        wait = READINESS_WAIT if profile.fields.readiness_url else None
        asked = StartBody(wait_for_target=wait)
        run, job = await prepare_run(services, profile, asked, triggered_by="scheduled")
        return partial(services.supervisor.start, run, job)

    def is_running(profile_id: int) -> bool:
        live = services.supervisor.find(profile_id)
        return live is not None and live.is_active

    return Scheduler(services.profiles, is_running, prepare, services.clock)


class EmbeddedServer:
    """A server with one or two endpoints; the first one is for this machine."""

    def __init__(
        self,
        options: ServeOptions,
        database: Database,
        key: str,
        open_listeners: Sequence[ListeningSocket],
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
        guarded = self._guarded(create_app(services), services.quota)
        connections = ClientConnections(
            connections_allowed(), head_timeout=self._options.head_timeout
        )
        servers = [
            WebServer(app, endpoint, connections)
            for app, endpoint in zip(guarded, self._endpoints, strict=True)
        ]
        serving = [await server.begin() for server in servers]
        inside, *outside = (endpoint.base_url for endpoint in self._endpoints)
        info = ServerInfo(
            inside,
            data.key_file,
            os.getpid(),
            public_url=next(iter(outside), None),
            allow_public_targets=self._options.allow_public_targets,
        )
        with signals_set(stop):
            data.announce(info)
            on_ready(info)
            background = [
                asyncio.create_task(each)
                for each in (scheduler_of(services).run(), expire_history(services))
            ]
            await self._wait_for_end(services, stop)
            for task in background:
                task.cancel()
            services.leases.close()
            await services.supervisor.shut_down()
            for server in servers:
                server.should_exit = True
            await asyncio.gather(*serving)
            await asyncio.gather(*background, return_exceptions=True)

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
        quota = self._options.quota
        history = HistoryStore(self._database, self._clock)
        runs = RunStore(self._database)
        calibrations = Calibrations(SettingStore(self._database), runner_class(os.environ))
        judge = Judge(history, runs, self._clock.now, calibrations)
        agents = Agents()
        ports = frozenset(endpoint.port for endpoint in self._endpoints)
        targets = TargetRule(ports, self._options.allow_public_targets)
        stored_domains = DomainStore(self._database, self._clock)
        return Services(
            profiles=ProfileStore(self._database, self._clock),
            variables_sets=VariablesSetStore(self._database, self._clock),
            history=history,
            supervisor=Supervisor(
                runs=runs,
                history=history,
                clock=self._clock,
                launch=launch_with(
                    agents,
                    self._options.engine_command or DEFAULT_COMMAND,
                    slots=self._options.slots,
                    ca_file=self._options.ca_file,
                ),
                judge=judge,
                concurrent_runs=quota.concurrent_runs,
                look=judge.look,
                max_rps=quota.max_rps,
                monthly_requests=quota.monthly_requests,
            ),
            targets=targets,
            locustfiles=Locustfiles(
                self._options.locustfiles,
                takes_paths=self._is_private,
                allow_public=self._options.allow_public_targets,
                own_ports=ports,
            ),
            agents=agents,
            pins=PinStore(self._database, self._clock),
            judge=judge,
            calibrations=calibrations,
            leases=Leases(),
            identity=IdentityProof(self._key),
            quota=quota,
            clock=self._clock,
            ca_file=self._options.ca_file,
            capture_sources=CaptureSources(
                self._options.capture_sources,
                CaptureSourceStore(self._database, self._clock),
                self._clock.monotonic,
            ),
            domains=stored_domains,
            domain_rule=DomainRule(stored_domains.verified, self._options.require_verified_domains),
            domain_verifier=DomainVerifier(
                targets,
                self._options.ca_file,
                self._options.dns_server,
                self._options.web_ports,
            ),
        )

    @property
    def _is_private(self) -> bool:
        """Whether only clients on this machine can reach the server: its owner, who has the key."""
        [address, *others] = (endpoint.address for endpoint in self._endpoints)
        is_loopback = ipaddress.ip_address(address).is_loopback
        return is_loopback and not others and not self._options.hostnames

    def _guarded(self, app: ASGIApp, quota: Quota) -> list[Guard]:
        """The application behind a guard for each endpoint; they share the rate limit."""
        most = quota.requests_per_minute
        window = SlidingWindow(most, self._clock.monotonic) if most else None
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


_EXPECTED = (
    # logged by uvicorn for every refused handshake
    "ASGI callable returned without completing handshake.",
    # ... and at every end while a client is connected
    "Cancel %s running task(s), timeout graceful shutdown exceeded",
)
_AT_ONCE = 5
_INTERVAL = 600.0
_MAX_LENGTH = 8000
_MAX_KINDS = 200
_BYTES_A_DAY = 1024 * 1024
_DAY = 86_400.0


def log_to_stderr() -> None:
    """Log warnings, and agents that connect or disconnect, unless logging is configured."""
    handler = logging.StreamHandler()
    handler.setFormatter(LimitedFormatter("tm: %(message)s"))
    handler.addFilter(RepeatFilter(time.monotonic))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("tm_cli.server.routes.workers").setLevel(logging.INFO)
    logging.getLogger("uvicorn.error").addFilter(_is_unexpected)


def _is_unexpected(record: logging.LogRecord) -> bool:
    return record.msg not in _EXPECTED


class LimitedFormatter(logging.Formatter):
    """Cuts a message, its traceback included, that is too long to be read."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text if len(text) <= _MAX_LENGTH else text[:_MAX_LENGTH] + " ... (cut)"


@dataclass(slots=True)
class _Kind:
    """How often a message of one kind has come."""

    written: int = 0
    left_out: int = 0
    last: float = 0.0


class RepeatFilter(logging.Filter):
    """Lets the first few messages of a kind pass, then one every ten minutes with their number.

    Messages are of a kind when the same line of code writes them with the same first words. Only
    warnings are limited so: agents that connect or disconnect are always logged. Clients without
    the key can cause messages as often as they like, so all together they are also limited to a
    mebibyte a day.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._kinds: dict[tuple[str, int, str], _Kind] = {}
        self._budget = float(_BYTES_A_DAY)
        self._refilled = monotonic()

    def filter(self, record: logging.LogRecord) -> bool:
        now = self._monotonic()
        kind = self._kind(record)
        is_repeated = record.levelno >= logging.WARNING and kind.written >= _AT_ONCE
        if is_repeated and now - kind.last < _INTERVAL:
            kind.left_out += 1
            return False
        if not self._pays(record, now):
            kind.left_out += 1
            return False
        if kind.left_out:
            record.msg = f"{record.getMessage()} (and {kind.left_out} more like this)"
            record.args = None
        kind.written, kind.left_out, kind.last = kind.written + 1, 0, now
        return True

    def _kind(self, record: logging.LogRecord) -> _Kind:
        first_line = str(record.msg).partition("\n")[0][:80]
        key = (record.pathname, record.lineno, first_line)
        if key not in self._kinds and len(self._kinds) >= _MAX_KINDS:
            key = ("", 0, "others")
        return self._kinds.setdefault(key, _Kind())

    def _pays(self, record: logging.LogRecord, now: float) -> bool:
        """Deduct the message's bytes from the daily budget; False if it is exhausted."""
        refill = (now - self._refilled) * _BYTES_A_DAY / _DAY
        self._budget = min(self._budget + refill, _BYTES_A_DAY)
        self._refilled = now
        size = len(record.getMessage()) + (_MAX_LENGTH if record.exc_info else 0)
        if size > self._budget:
            return False
        self._budget -= size
        return True


__all__ = ["ServeOptions", "ServerInfo", "serve"]


def serve(
    options: ServeOptions,
    *,
    on_ready: Callable[[ServerInfo], None],
    stop: asyncio.Event | None = None,
) -> None:
    """Serve until a signal comes, the server is unused, or `stop` is set.

    `on_ready` is called once the server listens. Raises ConfigurationError when the port or the
    directory is taken, or when the database cannot be used.
    """
    log_to_stderr()
    data = DataDir(options.data_dir)
    with data.exclusive(), open_listeners(options) as endpoints:
        database = Database.open(data.database)
        try:
            key = data.key(SettingStore(database))
            server = EmbeddedServer(options, database, key, endpoints, SystemClock())
            asyncio.run(server.run(data, on_ready, stop or asyncio.Event()))
        finally:
            database.close()
