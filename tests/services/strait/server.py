"""The API over a socket, streams included."""

from __future__ import annotations

import queue
import threading
from collections import defaultdict
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

from tests.services.strait.api import Api, Reply, Request

HANG_UP = object()
"""In the queue of a stream: break the connection without a proper end."""

CUT = object()
"""The same in the middle of a chunk, as the write deadline of the real server does after 90 s."""

WRITE_DEADLINE = 90.0


class StraitServer(ThreadingHTTPServer):
    """Serves one Api on a free port of the loopback interface.

    With `cuts_streams`, each stream is cut at the write deadline, by the clock of the world.
    """

    daemon_threads = False
    block_on_close = True
    request_queue_size = 64

    def __init__(self, api: Api) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.api = api
        self.lock = threading.RLock()
        self.streams: dict[tuple[str, str], list[queue.SimpleQueue[Any]]] = defaultdict(list)
        self.opened = 0
        self.cuts_streams = False
        api.world.publish = self.publish
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def publish(self, run_id: str, channel: str, data: str) -> None:
        """Send the lines of one message to whoever listens now; nothing is kept for others."""
        lines = "".join(f"data: {line}\n" for line in [data])
        self.send(run_id, channel, f"{lines}\n")

    def send(self, run_id: str, channel: str, raw: object) -> None:
        """Send raw text, or HANG_UP."""
        for listener in list(self.streams[run_id, channel]):
            listener.put(raw)

    def close(self) -> None:
        for listeners in self.streams.values():
            for listener in listeners:
                listener.put(HANG_UP)
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: StraitServer
    timeout: ClassVar[float] = 10.0

    def log_message(self, *_arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        request = Request(
            self.command,
            unquote(parts.path),
            parse_qs(parts.query, keep_blank_values=True),
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(length) if length else b"",
        )
        with self.server.lock:
            reply = self.server.api.answer(request)
            listener = self._subscribe(reply)
        if reply is None:
            self.close_connection = True
        elif listener is not None:
            self._stream(reply, listener)
        else:
            self._send(reply)

    do_POST = do_DELETE = do_PUT = do_GET  # noqa: N815

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def _subscribe(self, reply: Reply | None) -> queue.SimpleQueue[Any] | None:
        if reply is None or reply.stream is None:
            return None
        listener: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.server.streams[reply.stream].append(listener)
        self.server.opened += 1
        return listener

    def _stream(self, reply: Reply, listener: queue.SimpleQueue[Any]) -> None:
        """Send what is published until somebody hangs up; the end of the run is no end of this."""
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        world = self.server.api.world
        until = world.now() + timedelta(seconds=WRITE_DEADLINE)
        try:
            self._chunk(": keepalive\n\n")
            while (raw := self._next(listener)) not in (HANG_UP, CUT):
                if self.server.cuts_streams and world.now() >= until:
                    raw = CUT
                    break
                self._chunk(str(raw))
            if raw is CUT:
                self.wfile.write(b'40\r\ndata: {"type": "status_ch')
        except OSError:
            pass
        finally:
            assert reply.stream is not None
            self.server.streams[reply.stream].remove(listener)

    def _next(self, listener: queue.SimpleQueue[Any]) -> Any:
        try:
            return listener.get(timeout=0.2)
        except queue.Empty:
            return (
                ": keepalive\n\n"  # notices, unlike the true server, within a second who has left
            )

    def _chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()
