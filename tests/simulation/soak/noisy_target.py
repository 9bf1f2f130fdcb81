"""A service whose response times are as noisy as those of a shared machine.

    python noisy_target.py SEED

Prints its port. GET /old answers in the time of the old version, GET /new in that of the new one.
GET /weather?slower=1.25 begins a run: it draws the noise of its seconds anew, the same for both
versions, and makes the new one so many times slower. The noise is that of benchmarks/noise.py.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

from noise import Noise, Target, response_micros, weather

LONGEST = 600
"""Seconds of a run; afterwards its last second goes on."""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"


class Service:
    """Both versions, on one machine."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._noise = Noise()
        self._old = Target(errors=0.0)
        self.begin_run(slower=1.0)

    def begin_run(self, slower: float) -> None:
        """Another run begins, with other noise."""
        self._new = Target(slower=slower, errors=0.0)
        self._factors = weather(LONGEST, self._noise, self._chance)
        self._began = time.monotonic()

    def seconds_for(self, path: str) -> float:
        """How long a request takes that arrives now."""
        second = min(int(time.monotonic() - self._began), LONGEST - 1)
        version = self._new if path == "/new" else self._old
        factor = self._factors[second]
        return response_micros(version, factor, self._noise, self._chance) / 1e6


class Connection(asyncio.Protocol):
    """One kept-alive connection; requests have no bodies and are not pipelined."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._received.endswith(b"\r\n\r\n"):
            return
        url = urlsplit(self._received.split()[1].decode())
        self._received = b""
        seconds = 0.0
        if url.path == "/weather":
            self._service.begin_run(float(parse_qs(url.query)["slower"][0]))
        else:
            seconds = self._service.seconds_for(url.path)
        asyncio.get_running_loop().call_later(seconds, self._answer)

    def _answer(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(OK)


async def main(seed: int) -> None:
    """Serve until terminated."""
    service = Service(seed)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(service), "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
