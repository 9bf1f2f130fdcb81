"""A target that takes 5 ms, may freeze now and then, and keeps a log of what really happened.

    python patient_target.py PORT [FREEZE_EVERY]

With FREEZE_EVERY it answers nothing for one second in so many, for the first time in the middle of
the first period after the first request. GET /log returns the log.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from generators import machine

SERVICE = 0.005  # seconds
FREEZE = 1.0
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n"


@dataclass(frozen=True)
class Log:
    """Wall-clock seconds: when each request arrived, and from when to when nothing was answered.

    `service` is the median time from a request's arrival to its answer.
    """

    arrivals: list[float]
    freezes: list[tuple[float, float]]
    service: float


@dataclass(frozen=True)
class Target:
    """A running target."""

    url: str

    def log(self) -> Log:
        """What has happened so far."""
        with urllib.request.urlopen(self.url + "log", timeout=10) as answer:  # noqa: S310 - ours
            return Log(**json.load(answer))


@contextmanager
def serving(freeze_every: float | None = None) -> Iterator[Target]:
    """A target that runs on its core."""
    port = machine.free_port()
    extra = [] if freeze_every is None else [str(freeze_every)]
    command = [sys.executable, "-m", "generators.patient_target", str(port), *extra]
    directory = str(machine.HERE)
    process = subprocess.Popen(machine.on_target_core(command), text=True, cwd=directory)
    try:
        machine.wait_for(port)
        yield Target(f"http://127.0.0.1:{port}/")
    finally:
        machine.end(process)


class Server:
    """What all connections share."""

    def __init__(self, freeze_every: float | None) -> None:
        self._freeze_every = freeze_every
        self._arrivals: list[float] = []
        self._services: list[float] = []
        self._freezes: list[tuple[float, float]] = []
        self._frozen_at: float | None = None
        self._held: list[tuple[asyncio.Transport, float]] = []

    def arrived(self, transport: asyncio.Transport) -> None:
        """A request has been read."""
        now = time.time()
        loop = asyncio.get_running_loop()
        if not self._arrivals and self._freeze_every:
            loop.call_later((self._freeze_every - FREEZE) / 2, self._freeze)
        self._arrivals.append(now)
        loop.call_later(SERVICE, self._answer, transport, now)

    def log(self) -> bytes:
        """An answer with the log."""
        service = sorted(self._services)[len(self._services) // 2] if self._services else SERVICE
        log = {"arrivals": self._arrivals, "freezes": self._freezes, "service": service}
        body = json.dumps(log).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    def _answer(self, transport: asyncio.Transport, arrived: float) -> None:
        if self._frozen_at is not None:
            self._held.append((transport, arrived))
            return
        transport.write(_OK)
        self._services.append(time.time() - arrived)

    def _freeze(self) -> None:
        assert self._freeze_every  # noqa: S101
        self._frozen_at = time.time()
        loop = asyncio.get_running_loop()
        loop.call_later(FREEZE, self._thaw)
        loop.call_later(self._freeze_every, self._freeze)

    def _thaw(self) -> None:
        assert self._frozen_at  # noqa: S101
        self._freezes.append((self._frozen_at, time.time()))
        self._frozen_at = None
        held, self._held = self._held, []
        for transport, arrived in held:
            self._answer(transport, arrived)


class Connection(asyncio.Protocol):
    """One kept-alive connection; requests have no bodies."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take the requests that are complete."""
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            if head.startswith(b"GET /log "):
                self._transport.write(self._server.log())
            else:
                self._server.arrived(self._transport)


async def main(port: int, freeze_every: float | None) -> None:
    """Serve until terminated."""
    shared = Server(freeze_every)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(shared), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else None))
