"""A service whose response times are as noisy as those of a shared machine.

    python noisy_target.py SEED

Prints its port. GET /old answers in the time of the old version, GET /new in that of the new one.
GET /begin?noise=hosted+mix&slower=1.25&tail=1.0&errors=0.0 begins a run: it draws the noise of
its seconds again, and makes the new version so much slower. The noises are those of
benchmarks/noise.py.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

from noise import NOISES, Target, disturbances, response_micros, slowness

LONGEST = 600
"""Seconds of a run; afterwards its last second goes on."""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"
FAILED = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"


class Service:
    """Both versions, on one machine."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.begin_run({})

    def begin_run(self, wanted: Mapping[str, str]) -> None:
        """Another run begins, with other noise."""
        numbers = {name: float(value) for name, value in wanted.items() if name != "noise"}
        self._noise = NOISES[wanted.get("noise", "hosted mix")]
        self._new = Target(**{"errors": 0.0, **numbers})
        self._old = Target(errors=0.0)
        self._factors = slowness(LONGEST, self._noise, self._chance)
        self._disturbances = {
            path: disturbances(LONGEST, self._noise, self._chance) for path in ("/old", "/new")
        }
        self._began = time.monotonic()

    def answer(self, path: str) -> tuple[float, bytes]:
        """How many seconds a request takes that arrives now, and its response."""
        at = time.monotonic() - self._began
        second = min(int(at), LONGEST - 1)
        version = self._new if path == "/new" else self._old
        own = self._disturbances[path]
        factor = self._factors[second] * own.factor(second)
        micros = response_micros(version, factor, own.wait(at), self._noise, self._chance)
        return micros / 1e6, FAILED if self._chance.random() < version.errors else OK


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
        seconds, response = 0.0, OK
        if url.path == "/begin":
            self._service.begin_run(dict(parse_qsl(url.query)))
        else:
            seconds, response = self._service.answer(url.path)
        asyncio.get_running_loop().call_later(seconds, self._send, response)

    def _send(self, response: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(response)


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
