"""Data directories with an announced server in them, and what may listen at its port."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug.wrappers import Request, Response

from tests.services.trafficmorph import KEY

SILENCE = 30.0


def announce(data: Path, base_url: Any, *, key: str = KEY, **said: Any) -> Path:
    """Write what a server of the user would have left in `data`, and return it."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    private(data / "api-key", key + "\n")
    info = {"base_url": base_url, "pid": 1, "api_key_file": str(data / "api-key"), **said}
    private(data / "server.json", json.dumps(info))
    return data


def private(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)


def proof(challenge: str, port: int, *, key: str = KEY, host: str = "127.0.0.1") -> str:
    """What a server with this key answers; written out once more, as others would."""
    text = f"tm embedded server, identity 1\n{challenge}\n{host}\n{port}"
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def proves_itself(server: HTTPServer) -> str:
    """Have a scripted server answer challenges, and return its address."""

    def answer(request: Request) -> Response:
        return Response(proof(request.args["challenge"], server.port))

    server.expect_request("/tm/identity", method="GET").respond_with_handler(answer)
    return f"http://127.0.0.1:{server.port}"


class Stranger:
    """A program at a port of loopback that answers every connection in the same way.

    `answer` is sent at once, then `drip` every 10 ms; without either, it says nothing.
    """

    def __init__(self, answer: bytes = b"", *, drip: bytes = b"", host: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.socket(family)
        self._listener.bind((host, 0))
        self._listener.listen()
        self._answer, self._drip = answer, drip
        self._end = threading.Event()
        self.heard: list[bytes] = []
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def __enter__(self) -> Stranger:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        self._listener.close()

    @property
    def all_heard(self) -> bytes:
        return b"".join(self.heard)

    def _accept(self) -> None:
        while not self._end.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                self.heard.append(connection.recv(65536))
                connection.sendall(self._answer)
                deadline = time.monotonic() + SILENCE
                while self._drip and time.monotonic() < deadline and not self._end.wait(0.01):
                    connection.sendall(self._drip)
                if not (self._answer or self._drip):
                    self._end.wait(SILENCE)
                connection.settimeout(0.1)
                if more := connection.recv(65536):
                    self.heard.append(more)
            except OSError:
                return
