"""The web server of an endpoint: uvicorn with our own limits and deadlines."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn
from h11 import LocalProtocolError, Request
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.exceptions import InvalidState

from tm_cli.errors import ConfigurationError
from tm_cli.server.acceptor import Acceptor
from tm_cli.server.connections import KEEP_ALIVE, SCOPE_KEY, ClientConnection, ClientConnections
from tm_cli.server.crew.frames import MAX_REPORT
from tm_cli.server.listener import Endpoint


class WebServer(uvicorn.Server):
    """uvicorn without its signal handlers, which would raise the signal again at the end."""

    def __init__(self, app: ASGIApp, endpoint: Endpoint, connections: ClientConnections) -> None:
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

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._connection.transport = transport
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._is_idle:
            self._is_idle = False
            self._connection.begin()
        super().data_received(data)
        self._report_progress()

    def _report_progress(self) -> None:
        """Report how much of the current request has arrived."""
        if self.cycle is None or self.cycle.response_complete:
            return
        if self.cycle.more_body:
            self._connection.take_body()
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
        ws_max_size=MAX_REPORT,
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
