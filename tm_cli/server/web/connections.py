"""Accepts connections, and limits how many are open and how long each may take."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
import sys
from collections import Counter
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from functools import partial
from typing import Any

MAX_CONNECTIONS = 512
_WANTED_DESCRIPTORS = 4096
_RESERVED_DESCRIPTORS = 32  # standard streams, database, event loop, listeners, libraries
_MIN_CONNECTIONS = 8


def connections_allowed() -> int:
    """Raise the soft limit of open files where allowed; return how many connections that permits.

    Connections get at most half: the database must be able to open its journal, and the load
    generators need pipes, however many clients there are.
    """
    if sys.platform == "win32":
        return MAX_CONNECTIONS
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = (
        _WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_WANTED_DESCRIPTORS, hard)
    )
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # some systems have a lower limit of their own
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return min(MAX_CONNECTIONS, max(_MIN_CONNECTIONS, (soft - _RESERVED_DESCRIPTORS) // 2))


SCOPE_KEY = "connection"
"""Where a request's scope has its `ClientConnection`, in its `state`."""
HEAD_TIMEOUT = 10.0
KEEP_ALIVE = 30
"""Seconds for which a client with the key may be idle.

Longer than clients poll or keep a connection: a request that arrives while it is being closed is
lost, and its sender cannot know whether a run was started.
"""
_BODY_SHARE = 3  # times as long for a body, and for reading an answer
_SLOWEST_BODY = 64 * 1024  # bytes a second that prolong the time for a body
_IDLE_SLACK = 5.0  # after uvicorn has closed an idle connection: for what is still to be sent
_UNAUTHENTICATED_SHARE = 4
_MIN_UNAUTHENTICATED = 16  # clients that come at the same moment

logger = logging.getLogger(__name__)


class ClientConnections:
    """All connections of one server, at most `most` of them.

    A quarter of the places, but no fewer than 16 where there are twice as many, is for clients that
    are not authenticated yet. When those are taken, one of them is closed for the next one: the
    oldest of the peer that has most of them. So idle clients keep no others out: one that has the
    key sends it at once, and one on a slow network loses its place only to its own peer's others.
    """

    def __init__(self, most: int, *, head_timeout: float = HEAD_TIMEOUT) -> None:
        self.head_timeout = head_timeout
        self.body_timeout = head_timeout * _BODY_SHARE
        share = max(most // _UNAUTHENTICATED_SHARE, _MIN_UNAUTHENTICATED)
        self._most_unauthenticated = min(share, most // 2)
        self._most_authenticated = most - self._most_unauthenticated
        self._unauthenticated: dict[
            ClientConnection, str
        ] = {}  # with their peers, the oldest first
        self._authenticated: set[ClientConnection] = set()

    def add(self, address: str = "") -> ClientConnection:
        if len(self._unauthenticated) >= self._most_unauthenticated:
            logger.warning("too many connections without the API key: an old one is closed")
            self.close_oldest()
        connection = ClientConnection(self)
        self._unauthenticated[connection] = _peer(address)
        return connection

    def close_oldest(self) -> None:
        """Close the oldest connection without the key of the peer that has most, if any."""
        held = Counter(self._unauthenticated.values())
        most = max(held.values(), default=0)
        for connection, peer in self._unauthenticated.items():
            if held[peer] == most:
                del self._unauthenticated[connection]
                connection.abort()
                return

    def close_unauthenticated(self) -> None:
        while self._unauthenticated:
            self.close_oldest()

    def admit(self, connection: ClientConnection) -> bool:
        """Count a connection among those with the key; False when there are too many of them."""
        if connection in self._authenticated:
            return True
        if len(self._authenticated) >= self._most_authenticated:
            return False
        self._unauthenticated.pop(connection, None)
        self._authenticated.add(connection)
        return True

    def forget(self, connection: ClientConnection) -> None:
        self._unauthenticated.pop(connection, None)
        self._authenticated.discard(connection)


class ClientConnection:
    """One connection from its accept to its end, with a deadline for the next part of a request."""

    def __init__(self, connections: ClientConnections) -> None:
        self.transport: asyncio.Transport | None = None
        self.opening: asyncio.Task[object] | None = None
        """The TLS handshake, until there is a transport."""
        self._connections = connections
        self._is_authenticated = False
        self._is_complete = False
        self._is_over = False
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None
        self.begin()

    def begin(self) -> None:
        """The first byte of a request has come, or the connection itself."""
        self._is_complete = False
        self._began = self._loop.time()
        self._set_deadline(self._began + self._connections.head_timeout)

    def take_body(self, received: int = 0) -> None:
        """The head of a request is complete, its body is not; so many bytes have come."""
        if self._is_authenticated:
            seconds = self._connections.body_timeout + received / _SLOWEST_BODY
            self._set_deadline(self._began + seconds)

    def complete(self) -> None:
        """All of a request has come. With the key, the answer may take as long as it takes."""
        self._is_complete = True
        if self._is_authenticated:
            self._set_deadline(None)

    def idle(self, seconds: float) -> None:
        """A request was answered; the connection may be idle for so long, with the key."""
        self._is_complete = False
        self._began = self._loop.time()
        idle = seconds + _IDLE_SLACK if self._is_authenticated else self._connections.head_timeout
        self._set_deadline(self._began + idle)

    def writing_paused(self) -> None:
        self._watch_reading(None)

    def writing_resumed(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def mark_authenticated(self) -> bool:
        """The client has sent the key; False when too many clients are connected already."""
        if self._is_over:  # or it would hold its place for good
            return True
        if not self._connections.admit(self):
            return False
        self._is_authenticated = True
        if self._is_complete:
            self.complete()
        else:
            self.take_body()
        return True

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()
        elif self.opening is not None:
            self.opening.cancel()

    def ended(self) -> None:
        self._is_over = True
        self._set_deadline(None)
        self.writing_resumed()
        self._connections.forget(self)

    def _set_deadline(self, instant: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if instant is not None and not self._is_over:
            self._timer = self._loop.call_at(instant, self._expire)

    def _expire(self) -> None:
        if self._is_authenticated and self._unsent:  # an answer is still on its way
            self._watch_reading(None)
        else:
            self.abort()

    def _watch_reading(self, unsent: int | None) -> None:
        """Close the connection once its client has stopped reading what is buffered for it."""
        if unsent is not None and self._unsent >= unsent:
            self.abort()
            return
        self.writing_resumed()
        seconds = self._connections.body_timeout
        self._reading = self._loop.call_later(seconds, self._watch_reading, self._unsent)

    @property
    def _unsent(self) -> int:
        return self.transport.get_write_buffer_size() if self.transport is not None else 0


def mark_authenticated(scope: MutableMapping[str, Any]) -> bool:
    """Mark the connection of a request as authenticated; False when there are too many."""
    connection = scope.get("state", {}).get(SCOPE_KEY)
    return connection.mark_authenticated() if isinstance(connection, ClientConnection) else True


def _peer(address: str) -> str:
    """The client's network: an IPv6 client often has a whole /64 of addresses."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address) or parsed.ipv4_mapped:
        return address
    return str(ipaddress.IPv6Network((int(parsed), 64), strict=False))


_PAUSE = 0.1
_TLS_CLOSE_TIMEOUT = 2.0


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
        timeouts = {}
        if self._tls is not None:
            timeouts["ssl_handshake_timeout"] = self._connections.head_timeout
            timeouts["ssl_shutdown_timeout"] = _TLS_CLOSE_TIMEOUT
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(
            partial(self._make_protocol, connection), accepted, ssl=self._tls, **timeouts
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
