"""How many connections may be open, and how long each may take to say what it wants."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import MutableMapping
from typing import Any

SCOPE_KEY = "connection"
"""Where a request's scope has its `Connection`, in its `state`."""
HEAD_TIMEOUT = 10.0
_BODY_SHARE = 3  # times as long for a body, and for reading an answer
_IDLE_SLACK = 5.0  # after uvicorn has closed an idle connection: for what is still to be sent
_SHARE_WITHOUT_KEY = 4

logger = logging.getLogger(__name__)


class Connections:
    """All connections of one server, at most `most` of them.

    A quarter of the places is for clients that have not yet sent the key. When those are taken, the
    oldest of them is closed for the next one: an idle stranger keeps nobody out, and whoever has
    the key sends it at once.
    """

    def __init__(self, most: int, *, head_timeout: float = HEAD_TIMEOUT) -> None:
        self.head_timeout = head_timeout
        self.body_timeout = head_timeout * _BODY_SHARE
        self._most_without_key = max(1, most // _SHARE_WITHOUT_KEY)
        self._most_with_key = max(1, most - self._most_without_key)
        self._without_key: dict[Connection, None] = {}  # the oldest first
        self._with_key: set[Connection] = set()

    def add(self) -> Connection:
        """Make room for an accepted connection and return it."""
        if len(self._without_key) >= self._most_without_key:
            logger.warning("too many connections without the API key: the oldest one is closed")
            self.close_oldest()
        connection = Connection(self)
        self._without_key[connection] = None
        return connection

    def close_oldest(self) -> None:
        """Close the oldest connection without the key, if there is any."""
        oldest = next(iter(self._without_key), None)
        if oldest is not None:
            del self._without_key[oldest]
            oldest.abort()

    def close_without_key(self) -> None:
        """Close every connection that has not sent the key."""
        while self._without_key:
            self.close_oldest()

    def keep(self, connection: Connection) -> bool:
        """Count a connection among those with the key; False when there are too many of them."""
        if connection in self._with_key:
            return True
        if len(self._with_key) >= self._most_with_key:
            return False
        self._without_key.pop(connection, None)
        self._with_key.add(connection)
        return True

    def forget(self, connection: Connection) -> None:
        """A connection is over."""
        self._without_key.pop(connection, None)
        self._with_key.discard(connection)


class Connection:
    """One connection from its accept to its end, with a deadline for what its client owes."""

    def __init__(self, connections: Connections) -> None:
        self.transport: asyncio.Transport | None = None
        self.opening: asyncio.Task[object] | None = None
        """The TLS handshake, until there is a transport."""
        self._connections = connections
        self._has_key = False
        self._is_complete = False
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None
        self.begin()

    def begin(self) -> None:
        """The first byte of a request has come, or the connection itself."""
        self._is_complete = False
        self._began = self._loop.time()
        self._set_deadline(self._began + self._connections.head_timeout)

    def take_body(self) -> None:
        """The head of a request is complete, its body is not."""
        if self._has_key:
            self._set_deadline(self._began + self._connections.body_timeout)

    def complete(self) -> None:
        """All of a request has come. With the key, the answer may take as long as it takes."""
        self._is_complete = True
        if self._has_key:
            self._set_deadline(None)

    def rest(self, seconds: float) -> None:
        """A request was answered; the connection may be idle for so long."""
        self._is_complete = False
        self._began = self._loop.time()
        self._set_deadline(self._began + seconds + _IDLE_SLACK)

    def stall(self) -> None:
        """The client reads its answers more slowly than they are written."""
        self._watch_reading(None)

    def flow(self) -> None:
        """The client has read enough for more to be written."""
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def accept_key(self) -> bool:
        """The client has sent the key; False when too many clients are connected already."""
        if not self._connections.keep(self):
            return False
        self._has_key = True
        if self._is_complete:
            self.complete()
        else:
            self.take_body()
        return True

    def abort(self) -> None:
        """Close it at once, whatever is still to be sent."""
        if self.transport is not None:
            self.transport.abort()
        elif self.opening is not None:
            self.opening.cancel()

    def ended(self) -> None:
        """It is closed."""
        self._set_deadline(None)
        self.flow()
        self._connections.forget(self)

    def _set_deadline(self, instant: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if instant is None else self._loop.call_at(instant, self._expire)

    def _expire(self) -> None:
        if self._has_key and self._unsent:  # an answer is still on its way
            self._watch_reading(None)
        else:
            self.abort()

    def _watch_reading(self, unsent: int | None) -> None:
        """Close the connection once its client reads nothing any more of what waits for it."""
        if unsent is not None and self._unsent >= unsent:
            self.abort()
            return
        self.flow()
        seconds = self._connections.body_timeout
        self._reading = self._loop.call_later(seconds, self._watch_reading, self._unsent)

    @property
    def _unsent(self) -> int:
        return self.transport.get_write_buffer_size() if self.transport is not None else 0


def accept_key(scope: MutableMapping[str, Any]) -> bool:
    """Tell the connection of a request that the key was right; False when there are too many."""
    connection = scope.get("state", {}).get(SCOPE_KEY)
    return connection.accept_key() if isinstance(connection, Connection) else True
