"""Accepts connections and gives each a protocol."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from tm_cli.server.connections import ClientConnection, ClientConnections

_PAUSE = 0.1
_TLS_CLOSE_TIMEOUT = 2.0

logger = logging.getLogger(__name__)


class Acceptor:
    """Accepts on one listener for as long as it runs.

    The event loop's own servers accept without limit: out of descriptors, they log every attempt,
    and a TLS handshake may take a minute.
    """

    def __init__(
        self,
        listener: socket.socket,
        tls: ssl.SSLContext | None,
        connections: ClientConnections,
        make_protocol: Callable[[ClientConnection], asyncio.BaseProtocol],
    ) -> None:
        self._listener = listener
        self._tls = tls
        self._connections = connections
        self._make_protocol = make_protocol
        self._accepting: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._listener.setblocking(False)
        self._accepting = asyncio.create_task(self._accept())

    async def stop(self) -> None:
        """Stop accepting and close what is not authenticated."""
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
        self._connections.close_unauthenticated()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, peer = await loop.sock_accept(self._listener)
            except ConnectionError:  # the client has gone already
                pass
            except OSError as error:
                logger.warning("cannot accept a connection: %s", error)
                self._connections.close_oldest()
                await asyncio.sleep(_PAUSE)
            else:
                self._begin(accepted, str(peer[0]))
            await asyncio.sleep(0)  # accepting waits for nothing while clients are queueing

    def _begin(self, accepted: socket.socket, address: str) -> None:
        try:
            connection = self._connections.add(address)
        except Exception:  # a bug; the next client must get in all the same
            logger.exception("a connection could not be accepted")
            accepted.close()
            return
        opening = asyncio.create_task(self._open(accepted, connection))
        connection.opening = opening
        opening.add_done_callback(partial(_opened, accepted, connection))

    async def _open(self, accepted: socket.socket, connection: ClientConnection) -> None:
        limits = {}
        if self._tls is not None:
            limits["ssl_handshake_timeout"] = self._connections.head_timeout
            limits["ssl_shutdown_timeout"] = _TLS_CLOSE_TIMEOUT
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(
            partial(self._make_protocol, connection), accepted, ssl=self._tls, **limits
        )


def _opened(
    accepted: socket.socket, connection: ClientConnection, opening: asyncio.Task[None]
) -> None:
    """Clean up after a failed handshake: a client that has gone, or does not speak TLS."""
    if not opening.cancelled() and opening.exception() is None:
        return
    connection.ended()
    with suppress(OSError):
        accepted.close()
