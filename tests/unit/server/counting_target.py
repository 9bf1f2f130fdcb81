"""A target that answers at once and counts; one thread, however many connections there are."""

import asyncio
import threading
import time
from collections import Counter

from tests.unit.server.running_server import PATIENCE

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class CountingTarget:
    """Answers 200 to every request without a body; `served` counts by path, `times` says when."""

    def __init__(self, address="127.0.0.1"):
        self._address = address
        self.served = Counter()
        self.times = []
        self.connections = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(PATIENCE)

    def url(self, path):
        return f"http://{self._address}:{self._port}{path}"

    async def _serve(self):
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await self._loop.create_server(
            lambda: _Connection(self), self._address, 0, backlog=1024
        )
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        server.close()
        for connection in self.connections:
            connection.abort()


class _Connection(asyncio.Protocol):
    def __init__(self, target):
        self._target = target
        self._received = b""

    def connection_made(self, transport):
        self._transport = transport
        self._target.connections.add(transport)

    def connection_lost(self, exc):
        self._target.connections.discard(self._transport)

    def data_received(self, data):
        *heads, self._received = (self._received + data).split(b"\r\n\r\n")
        for head in heads:
            self._target.served[head.split()[1].decode()] += 1
            self._target.times.append(time.monotonic())
            self._transport.write(_OK)
