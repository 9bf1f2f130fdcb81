"""The simulated service on a real socket of this machine, with real time."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from contextlib import suppress
from types import TracebackType
from urllib.parse import parse_qsl, urlsplit

from tests.simulation.messages import Reply, Request
from tests.simulation.nemesis import Blow, Nemesis
from tests.simulation.recorder import Recording
from tests.simulation.schedules import Schedule
from tests.simulation.system import system_of
from tests.simulation.wire import Lost, Wire

PATIENCE = 20.0
"""Longest time that a connection may take, so that a test that fails ends."""

GARBAGE = (
    b"HTTP/1.1 abc\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 9\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 5000,
    b"\x16\x03\x01\x00\xa5\x01\x00\x00",
)


class RealClock:
    """Seconds since the beginning."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._began


class SocketServer:
    """Answers tm over a real socket as the schedule says; use it as a context manager."""

    def __init__(self, schedule: Schedule) -> None:
        clock = RealClock()
        system = system_of(schedule)
        self.world = system.make_world(schedule.truth, lambda: clock.elapsed)
        self.recording = Recording(self.world)
        self._nemesis = Nemesis(self.world, clock)  # type: ignore[arg-type]
        self._blows = schedule.blows
        self._wire = Wire(
            system.make_api(self.world, style=schedule.style),
            system.MENU,
            system.DIALECT,
            schedule.plan,
            self.recording,
            now=lambda: clock.elapsed,
            spend=lambda _seconds: None,
            before=self._strike,
        )
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        self.requested = threading.Event()
        self.elapsed = lambda: clock.elapsed
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> SocketServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _strike(self, number: int) -> None:
        for blow in self._blows:
            if blow.request == number:
                self._nemesis.deal(Blow(blow.action, blow.arg))

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        with connection, suppress(OSError):
            while (request := _read_request(connection)) is not None:
                self.requested.set()
                try:
                    with self._lock:
                        reply = self._wire.exchange(request)
                except Lost as lost:
                    _lose(connection, lost)
                    return
                connection.sendall(_head(reply) + reply.body)


def read_message(connection: socket.socket) -> tuple[str, dict[str, str], bytes] | None:
    """Read the first line, the headers and the body of a request; None when the client has left."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    line, *rest = head.decode("latin-1").split("\r\n")
    headers = {n.lower(): v.strip() for n, _, v in (item.partition(":") for item in rest)}
    while (missing := int(headers.get("content-length", 0)) - len(body)) > 0:
        body += connection.recv(missing)
    return line, headers, body


def _read_request(connection: socket.socket) -> Request | None:
    """Read one request; None when the client has left."""
    if (message := read_message(connection)) is None:
        return None
    line, headers, body = message
    method, target, _ = line.split(" ", 2)
    parts = urlsplit(target)
    document = json.loads(body) if body else None
    return Request(method, parts.path, dict(parse_qsl(parts.query)), document, headers)


def _head(reply: Reply) -> bytes:
    headers = {**reply.headers, "content-length": str(len(reply.body))}
    if reply.status in {204, 304}:
        del headers["content-length"]
    lines = [f"HTTP/1.1 {reply.status} Simulated", *(f"{n}: {v}" for n, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")


def _lose(connection: socket.socket, lost: Lost) -> None:
    """Act out how an answer is lost."""
    reply, fault = lost.reply, lost.fault
    match fault.kind:
        case "hang" | "write-timeout":
            _until_left(connection)
        case "drip":
            for byte in _head(reply or Reply(200, b"{}")) + (reply.body if reply else b"{"):
                connection.sendall(bytes([byte]))
                time.sleep(0.1)
        case "cut-connection":
            answer = reply or Reply(200, b'{"runId": "never"}')
            connection.sendall((_head(answer) + answer.body)[: -1 - fault.arg % len(answer.body)])
        case "protocol":
            connection.sendall(GARBAGE[fault.arg % len(GARBAGE)])
        case _:
            if reply is not None and fault.arg % 2:
                connection.sendall(_head(reply) + reply.body[: len(reply.body) // 2])
                time.sleep(0.02)  # a reset overtakes what is not read yet
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _until_left(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass
