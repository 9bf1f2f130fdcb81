"""A server whose answers never end: a byte at a time, or as fast as the client reads."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from tests.simulation.socket_server import read_message

PAUSE = 0.02
"""Seconds between two pieces; far less than the timeout of a test."""

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"


def slowly(begin: bytes, piece: bytes) -> Iterator[bytes]:
    yield begin
    while True:
        time.sleep(PAUSE)
        yield piece


def at_full_speed(begin: bytes, piece: bytes) -> Iterator[bytes]:
    yield begin
    yield from itertools.repeat(piece * max(1, 16_384 // len(piece)))


SLOW: dict[str, Callable[[], Iterator[bytes]]] = {
    "nothing": lambda: slowly(b"", b""),
    "head, byte by byte": lambda: slowly(OK + b"X-A: ", b"a"),
    "head, line by line": lambda: slowly(OK, b"X-A: b\r\n"),
    "interim answers": lambda: slowly(b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
    "chunk extension": lambda: slowly(CHUNKED + b"2;a=", b"b"),
    "body": lambda: slowly(OK + b"Content-Length: 999999\r\n\r\n[", b" "),
    "body in chunks": lambda: slowly(CHUNKED, b"1\r\n \r\n"),
    "trailers": lambda: slowly(CHUNKED + b"2\r\n[]\r\n0\r\n", b"X-A: b\r\n"),
    "body without length": lambda: slowly(OK + b"\r\n[", b" "),
}
"""Answers of which something arrives again and again, and which are never complete."""

FAST: dict[str, Callable[[], Iterator[bytes]]] = {
    "interim answers": lambda: at_full_speed(b"", INTERIM),
    "bare interim answers": lambda: at_full_speed(b"", b"HTTP/1.1 100\r\n\r\n"),
    "one header": lambda: at_full_speed(OK + b"X-A: ", b"a"),
    "headers": lambda: at_full_speed(OK, b"X-A: b\r\n"),
    "folded header": lambda: at_full_speed(OK + b"X-A: b\r\n", b" b\r\n"),
    "chunk extension": lambda: at_full_speed(CHUNKED + b"2;a=", b"b"),
    "chunks with extensions": lambda: at_full_speed(CHUNKED, b"1;" + b"a" * 2000 + b"\r\n \r\n"),
    "tiny chunks": lambda: at_full_speed(CHUNKED, b"1\r\n \r\n"),
    "trailers": lambda: at_full_speed(CHUNKED + b"2\r\n[]\r\n0\r\n", b"X-A: b\r\n"),
    "body": lambda: at_full_speed(CHUNKED, b"4000\r\n" + b" " * 0x4000 + b"\r\n"),
    "body without length": lambda: at_full_speed(OK + b"\r\n[", b" "),
}
"""Answers without end that a client must refuse long before its time is over."""


@dataclass
class Heard:
    """One request: its first line and the bytes after its head."""

    line: str
    body: bytes = b""


Answer = Callable[[Heard], bytes | Iterator[bytes]]


@dataclass
class RawServer:
    """Answers each connection's one request with bytes; use it as a context manager.

    `talk` takes the place of reading the request and answering it.
    """

    answer: Answer | None = None
    talk: Callable[[socket.socket], None] | None = None
    requests: list[Heard] = field(default_factory=list)
    port: int = 0

    def __enter__(self) -> RawServer:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            if self.talk is not None:
                self.talk(connection)
                return
            message = read_message(connection)
            if message is None or self.answer is None:
                return
            line, _, body = message
            request = Heard(line, body)
            self.requests.append(request)
            said = self.answer(request)
            for piece in [said] if isinstance(said, bytes) else said:
                send_unless_left(connection, piece)


def send_unless_left(connection: socket.socket, piece: bytes) -> None:
    """Send a piece; raises OSError once the client has gone, also when the piece is empty."""
    connection.settimeout(0.001)
    with suppress(TimeoutError):
        if not connection.recv(1):
            raise ConnectionResetError("the client has left")
    connection.settimeout(5.0)
    connection.sendall(piece)


def json_answer(document: bytes) -> bytes:
    """A complete answer with this JSON."""
    return OK + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(document) + document
