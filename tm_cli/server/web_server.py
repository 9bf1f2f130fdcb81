"""The web server behind a door, as this product configures it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState

from tm_cli.errors import ConfigurationError
from tm_cli.server.crew.agents import MOST_CONNECTIONS
from tm_cli.server.crew.frames import LARGEST_FRAME
from tm_cli.server.listener import Door

_MOST_CLIENTS = 64


class WebServer(uvicorn.Server):
    """uvicorn without its signal handlers, which would raise the signal again at the end."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        super().__init__(_config(app, door))
        self._door = door
        self._listening = asyncio.Event()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        await super().serve(sockets or [self._door.listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening.set()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def begin(self) -> asyncio.Task[None]:
        """Serve until told to exit; returns once it listens, raises what keeps it from that."""
        serving = asyncio.create_task(self.serve())
        waiting = asyncio.create_task(self._listening.wait())
        await asyncio.wait([waiting, serving], return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()
            serving.result()
            raise ConfigurationError("the server ended before it listened")
        return serving


class _AgentConnection(WebSocketsSansIOProtocol):
    """A WebSocket that is shut down at once, in every state and whatever its peer does."""

    def shutdown(self) -> None:
        with suppress(InvalidState):  # it is closing already
            super().shutdown()
        self.transport.abort()  # closing TLS would wait for the peer


def _config(app: ASGIApp, door: Door) -> uvicorn.Config:
    tls = door.tls
    return uvicorn.Config(
        app,
        http="h11",
        ws=_AgentConnection,
        ws_max_size=LARGEST_FRAME,
        ws_ping_interval=None,  # agents and server give each other signs of life of their own
        ssl_context_factory=None if tls is None else lambda config, default: tls,
        lifespan="off",
        loop="asyncio",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_MOST_CLIENTS + MOST_CONNECTIONS,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=64 * 1024,
    )
