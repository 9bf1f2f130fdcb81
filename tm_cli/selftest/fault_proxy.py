"""A proxy between tm and the server: one request per connection, with injected faults."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from itertools import cycle
from typing import Self

_LENGTH = re.compile(rb"^content-length:\s*(\d+)", re.IGNORECASE | re.MULTILINE)
_OWN_HEADERS = (b"host:", b"connection:")
_HOST = "127.0.0.1"
_BAD_GATEWAY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html\r\nContent-Length: 35\r\n"
    b"Connection: close\r\n\r\n<html>The upstream is down</html>\r\n"
)


class Fault(Enum):
    """What goes wrong with a request."""

    NONE = auto()
    RESET = auto()
    """The connection is reset, and the server never sees the request."""
    GATEWAY = auto()
    """A gateway answers for the server."""
    TORN = auto()
    """Half of the answer comes."""
    LOST = auto()
    """The server acts, and its answer is lost."""


Faults = Callable[[str, str], Fault]
"""Method and path of the next request to what goes wrong with it."""


def no_faults() -> Faults:
    return lambda _method, _path: Fault.NONE


def flaky_reads() -> Faults:
    """Every other read fails, each time in another way."""
    turns = cycle((Fault.RESET, Fault.NONE, Fault.GATEWAY, Fault.NONE, Fault.TORN, Fault.NONE))
    return lambda method, _path: next(turns) if method == "GET" else Fault.NONE


def lost_start() -> Faults:
    return lambda method, path: Fault.LOST if is_start(method, path) else Fault.NONE


def is_start(method: str, path: str) -> bool:
    return method == "POST" and path.endswith(("/start", "/runs"))


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    content: bytes


class FaultProxy:
    """Listens on a free port of loopback for the server at `port`; remembers what it has seen."""

    def __init__(self, port: int, faults: Faults) -> None:
        self._upstream = port
        self._faults = faults
        self._server: asyncio.Server | None = None
        self.port = 0
        self.seen: list[tuple[str, str]] = []
        """Method and path of every request, in order."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, _HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._server is not None:
            self._server.close()

    @property
    def has_been_polled(self) -> bool:
        """Whether a run was started here and then polled."""
        starts = [at for at, request in enumerate(self.seen) if is_start(*request)]
        return bool(starts) and any(method == "GET" for method, _ in self.seen[starts[0] :])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await self._read(reader)
            self.seen.append((request.method, request.path))
            await self._answer(request, self._faults(request.method, request.path), writer)
        except (OSError, ValueError, asyncio.IncompleteReadError):
            pass  # one of the ends has disconnected
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _read(self, reader: asyncio.StreamReader) -> _Request:
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await reader.readexactly(int(length[1])) if length else b""
        first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        method, target, _ = first.decode("latin-1").split(" ")
        own = [f"Host: {_HOST}:{self._upstream}".encode(), b"Connection: close"]
        kept = [line for line in lines if not line.lower().startswith(_OWN_HEADERS)]
        content = b"\r\n".join([first, *own, *kept]) + b"\r\n\r\n" + body
        return _Request(method, target.partition("?")[0], content)

    async def _answer(self, request: _Request, fault: Fault, writer: asyncio.StreamWriter) -> None:
        answer = b""
        if fault is Fault.GATEWAY:
            answer = _BAD_GATEWAY
        elif fault is not Fault.RESET:
            answer = await self._forward(request)
        if fault in (Fault.RESET, Fault.LOST):
            _reset(writer)
            return
        writer.write(_torn(answer) if fault is Fault.TORN else answer)
        await writer.drain()

    async def _forward(self, request: _Request) -> bytes:
        reader, writer = await asyncio.open_connection(_HOST, self._upstream)
        try:
            writer.write(request.content)
            await writer.drain()
            return await reader.read(-1)
        finally:
            writer.close()


def _torn(answer: bytes) -> bytes:
    head, _, body = answer.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n" + body[: len(body) // 2]


def _reset(writer: asyncio.StreamWriter) -> None:
    """Reset the connection."""
    linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
    connection = writer.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


@contextmanager
def dead_port() -> Iterator[int]:
    """A port of loopback that is taken but does not accept."""
    with socket.socket() as held:
        held.bind((_HOST, 0))
        yield int(held.getsockname()[1])
