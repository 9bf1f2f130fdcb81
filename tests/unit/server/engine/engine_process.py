"""The engine as its own process, and a target on loopback that counts what really arrives."""

import asyncio
import json
import re
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

PATIENCE = 20.0  # seconds until a test gives up waiting


class RequestTarget:
    """An HTTP server in a thread. The path of a request says how it is treated.

    /ok: 200. /status/N: that code. /close: closed without an answer. /never: no answer.
    /drip: a header line now and then, without end. /freeze: like /ok, but nothing is answered
    during second 1 to 2 after the first request. /truncated: half a body, then closed.
    /closing: 200, then closed. /second: 200 to the first request of a connection, closed without
    an answer at the next. /large: one megabyte.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: Counter[str] = Counter()
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.connections = 0
        self.first_at: float | None = None
        self._tls = tls
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(PATIENCE)

    def url(self, path: str = "/ok") -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://localhost:{self.port}{path}"

    @property
    def total(self) -> int:
        return sum(self.requests.values())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        server = await self._loop.create_server(
            lambda: _Connection(self), "127.0.0.1", 0, ssl=self._tls, backlog=1024
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        server.close()


class _Connection(asyncio.Protocol):
    def __init__(self, target: RequestTarget) -> None:
        self._target = target
        self._received = b""
        self._answered = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._target.connections += 1

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, rest = self._received.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
            end = int(length[1]) if length else 0
            if len(rest) < end:
                return
            self._target.bodies.append(rest[:end])
            self._received = rest[end:]
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        target, path = self._target, head.split()[1].decode()
        self._answered += 1
        target.first_at = target.first_at or time.monotonic()
        target.requests[path] += 1
        target.heads.append(head)
        _, kind, *rest = path.split("/")
        if kind == "close" or (kind == "second" and self._answered > 1):
            self._transport.close()
        elif kind == "drip":
            self._drip(b"HTTP/1.1 200 OK\r\n")
        elif kind == "truncated":
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
            self._transport.close()
        elif kind == "status":
            self._write(int(rest[0]), b"Location: /ok\r\n")
        elif kind == "large":
            self._write(200, body=b"x" * 1_000_000)
        elif kind == "closing":
            self._write(200)
            self._transport.close()
        elif kind == "freeze":
            age = time.monotonic() - target.first_at
            target._loop.call_later(2 - age if 1 <= age < 2 else 0, self._write, 200)
        elif kind in ("ok", "second"):
            self._write(200, body=b"" if head.startswith(b"HEAD ") else b"hello")

    def _write(self, code: int, headers: bytes = b"", body: bytes = b"hello") -> None:
        length = b"Content-Length: %d\r\n" % len(body)
        self._transport.write(b"HTTP/1.1 %d X\r\n" % code + headers + length + b"\r\n" + body)

    def _drip(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)
            self._target._loop.call_later(0.05, self._drip, b"X-More: 1\r\n")


class EngineProcess:
    """A running engine; its events are collected as they come."""

    def __init__(
        self,
        first_line: object,
        environ: dict[str, str] | None = None,
        program: Sequence[str] = ("-m", "tm_cli.server.engine"),
    ) -> None:
        self.events: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self._is_over = False
        self._process = subprocess.Popen(
            [sys.executable, *program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environ,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.say(first_line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_over(self) -> bool:
        return self._is_over

    def say(self, line: object) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(line).encode() + b"\n")
        self._process.stdin.flush()

    def command(self, name: str) -> None:
        self.say({"command": name})

    def close_input(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()

    def wait_for(
        self,
        name: str,
        accept: Callable[[dict[str, Any]], bool] = lambda event: True,
        patience: float = PATIENCE,
    ) -> dict[str, Any]:
        """The first event of this name that is acceptable; waits for it."""

        def found() -> dict[str, Any] | None:
            return next((e for e in self.events if e["event"] == name and accept(e)), None)

        with self._news:
            self._news.wait_for(lambda: found() or self._is_over, patience)
        event = found()
        assert event, f"no {name} among {self.events}"
        return event

    def finish(self) -> tuple[int, dict[str, Any]]:
        """Wait for the end; the exit code and the last event."""
        code = self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code, self.events[-1]

    @property
    def buckets(self) -> dict[int, dict[str, Any]]:
        """The newest line of each bucket."""
        return {e["index"]: e for e in self.events if e["event"] == "bucket"}

    def sides(self, side: int) -> dict[int, dict[str, Any]]:
        """The newest line of each bucket of one side."""
        lines = (e for e in self.events if e["event"] == "bucket" and e["side"] == side)
        return {line["index"]: line for line in lines}

    def sums(self, kind: str) -> Counter[str]:
        """The `codes` or `failures` of all buckets."""
        total: Counter[str] = Counter()
        for bucket in self.buckets.values():
            total.update(bucket[kind])
        return total

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            with self._news:
                self.events.append(json.loads(line))
                self._news.notify_all()
        with self._news:
            self._is_over = True
            self._news.notify_all()


def job(url: str, **changes: Any) -> dict[str, Any]:
    """A first line: 100 requests in one second, unless changed."""
    job = {
        "run_id": "run",
        "target_url": url,
        "points": [[0, 100], [1, 100]],
        "duration": 1.0,
        "interpolation": "LINEAR",
        "slots": 64,
        "timeout": 5.0,
    }
    return {"job": job | changes}
