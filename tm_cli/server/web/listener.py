"""The listening sockets, on loopback or behind TLS, and the web servers that answer on them."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from h11 import LocalProtocolError, Request
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.exceptions import InvalidState

from tm_cli.errors import ConfigurationError
from tm_cli.server.capture_sources.remote import SourceDefinition
from tm_cli.server.quota import Quota
from tm_cli.server.web.connections import (
    HEAD_TIMEOUT,
    KEEP_ALIVE,
    SCOPE_KEY,
    Acceptor,
    ClientConnection,
    ClientConnections,
)
from tm_cli.server.workers.agent_protocol import MAX_MESSAGE
from tm_cli.values.urls import DEFAULT_PORTS

_LOOPBACK = {"127.0.0.1": "127.0.0.1", "localhost": "127.0.0.1", "::1": "::1"}
_QUEUE = 1024  # connections that wait to be accepted; the system may keep fewer


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Port 0 takes any free one; `exit_when_unused` ends the server with its last lease.

    With `tls_cert` and `tls_key` the server answers by https at `host` and `port`, and on a port of
    its own on loopback, too. `hostnames` are names under which clients may call it. `slots` is
    how many requests of one run may be under way at the same time. `head_timeout` is how many
    seconds a client has for a TLS handshake and the head of a request. `ca_file` has certificates
    that are trusted for targets in addition to the system's. `locustfiles` are those that the
    server plays for everyone. `capture_sources` are where captures are read from. Domains are
    verified by `dns_server` instead of the system's, and by files at `web_ports`.
    """

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8092
    exit_when_unused: bool = False
    quota: Quota = field(default_factory=Quota)
    allow_public_targets: bool = False
    engine_command: Sequence[str] | None = None
    slots: int = 256
    tls_cert: Path | None = None
    tls_key: Path | None = None
    hostnames: Sequence[str] = ()
    head_timeout: float = HEAD_TIMEOUT
    ca_file: str | None = None
    locustfiles: Sequence[Path] = ()
    capture_sources: Sequence[SourceDefinition] = ()
    require_verified_domains: bool = False
    dns_server: tuple[str, int] | None = None
    web_ports: tuple[tuple[str, int], ...] = tuple(DEFAULT_PORTS.items())


@dataclass(frozen=True, slots=True)
class ListeningSocket:
    """A listening socket; `names` are hosts that a request may give in addition to the address."""

    listener: socket.socket
    tls: ssl.SSLContext | None = None
    names: Sequence[str] = ()

    @property
    def address(self) -> str:
        return str(self.listener.getsockname()[0])

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    @property
    def scheme(self) -> str:
        return "https" if self.tls else "http"

    @property
    def base_url(self) -> str:
        host = self.names[0] if self.tls and self.names else self.address
        shown = f"[{host}]" if ":" in host else host
        return f"{self.scheme}://{shown}:{self.port}"


@contextmanager
def open_listeners(options: ServeOptions) -> Iterator[list[ListeningSocket]]:
    """Open the endpoint for this machine first, then, with TLS, the one for others.

    Raises ConfigurationError when a port is taken, or when the key could be read on its way.
    """
    with ExitStack() as endpoints:
        tls = _tls(options)
        if tls is None:
            address = _loopback(options.host)
            inside = endpoints.enter_context(_listening(address, options.port))
            yield [ListeningSocket(inside, names=options.hostnames)]
            return
        outside = endpoints.enter_context(_listening(_address(options.host), options.port))
        inside = endpoints.enter_context(_listening("127.0.0.1", 0))
        yield [ListeningSocket(inside), ListeningSocket(outside, tls, options.hostnames)]


def _tls(options: ServeOptions) -> ssl.SSLContext | None:
    if options.tls_cert is None and options.tls_key is None:
        return None
    if options.tls_cert is None or options.tls_key is None:
        raise ConfigurationError("--tls-cert and --tls-key belong together: one is missing")
    return _context(options.tls_cert, options.tls_key)


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")  # or it would ask
    except (OSError, ssl.SSLError, ValueError) as error:
        raise ConfigurationError(
            f"cannot use the certificate {certificate} with the key {key}: {error}",
            hint="both are PEM files, and the key has no passphrase",
        ) from error
    return context


def _loopback(host: str) -> str:
    address = _LOOPBACK.get(host)
    if address is None:
        _address(host)
        raise ConfigurationError(
            f"without TLS the server listens on loopback only, not on {host}: "
            "the API key could be read on its way",
            hint="add --tls-cert and --tls-key, or put a proxy with TLS in front of 127.0.0.1",
        )
    return address


def _address(host: str) -> str:
    if host in _LOOPBACK:
        return _LOOPBACK[host]
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        raise ConfigurationError(
            f"the server cannot listen on {host!r}: not an address",
            hint="give an address of this machine, or 0.0.0.0 or :: for all of them",
        ) from None


@contextmanager
def _listening(address: str, port: int) -> Iterator[socket.socket]:
    """Take the port, 0 meaning any free one."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is given, and with it every answer
    # waits for the client's delayed acknowledgement.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        _claim_exclusively(listener)
        try:
            listener.bind((address, port))
            listener.listen(_QUEUE)
        except (OSError, OverflowError) as error:
            raise ConfigurationError(
                f"cannot listen on {address} port {port}: {error}",
                hint="choose another port; 0 takes any free one",
            ) from error
        yield listener


def _claim_exclusively(listener: socket.socket) -> None:
    """Allow a quick restart on the same port; on Windows that option would allow hijacking."""
    if sys.platform == "win32":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


class WebServer(uvicorn.Server):
    """uvicorn without its signal handlers, which would raise the signal again at the end."""

    def __init__(
        self, app: ASGIApp, endpoint: ListeningSocket, connections: ClientConnections
    ) -> None:
        super().__init__(_config(app))
        self._door = endpoint
        self._acceptor = Acceptor(endpoint.listener, endpoint.tls, connections, self._protocol)
        self._listening = asyncio.Event()

    def _protocol(self, connection: ClientConnection) -> asyncio.BaseProtocol:
        return _HttpConnection(connection, self.config, self.server_state)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        await super().serve(sockets or [self._door.listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept with our own limits; uvicorn would leave that to the event loop."""
        self.servers = []
        self._acceptor.start()
        self.started = True
        self._listening.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._acceptor.stop()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def begin(self) -> asyncio.Task[None]:
        """Serve in the background; returns once it listens, raises the error that prevents it."""
        serving = asyncio.create_task(self.serve())
        waiting = asyncio.create_task(self._listening.wait())
        await asyncio.wait([waiting, serving], return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()
            serving.result()
            raise ConfigurationError("the server ended before it listened")
        return serving


class _HttpConnection(H11Protocol):
    """A connection that reports its progress, so that deadlines can be enforced."""

    def __init__(
        self, connection: ClientConnection, config: uvicorn.Config, state: ServerState
    ) -> None:
        super().__init__(config, state, app_state={SCOPE_KEY: connection})
        self._connection = connection
        self._is_idle = False
        self._received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._connection.transport = transport
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._is_idle:
            self._is_idle = False
            self._received = 0
            self._connection.begin()
        self._received += len(data)
        super().data_received(data)
        self._report_progress()

    def _report_progress(self) -> None:
        """Report how much of the current request has arrived."""
        if self.cycle is None or self.cycle.response_complete:
            return
        if self.cycle.more_body:
            self._connection.take_body(self._received)
        else:
            self._connection.complete()

    def on_response_complete(self) -> None:
        self._is_idle = True
        self._connection.idle(self.timeout_keep_alive)
        super().on_response_complete()  # may begin with the next request
        self._report_progress()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._connection.writing_paused()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._connection.writing_resumed()

    def handle_websocket_upgrade(self, event: Request) -> None:
        self._connection.complete()
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:
        try:
            super().send_400_response(msg)
        except LocalProtocolError:  # an answer was given already
            self.transport.abort()

    def shutdown(self) -> None:
        try:
            super().shutdown()
        except LocalProtocolError:  # it is closing already
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.ended()
        super().connection_lost(exc)


class _WebSocketConnection(WebSocketsSansIOProtocol):
    """A WebSocket that is shut down at once, in every state and regardless of its peer."""

    def __init__(self, *, app_state: dict[str, Any], **arguments: Any) -> None:
        super().__init__(app_state=app_state, **arguments)
        self._connection: ClientConnection = app_state[SCOPE_KEY]

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.ended()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        # it is closing already, or has refused a handshake that could not be read
        with suppress(InvalidState, AssertionError):
            super().shutdown()
        self.transport.abort()  # closing TLS would wait for the peer


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",
        ws=_WebSocketConnection,
        ws_max_size=MAX_MESSAGE,
        ws_per_message_deflate=False,
        ws_ping_interval=None,  # agents and server send heartbeats of their own
        lifespan="off",
        loop="asyncio",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=64 * 1024,
    )
