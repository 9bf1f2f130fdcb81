"""A web site for journeys: a function answers, and what was asked is kept."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it arrived; the names of `headers` are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    connection: int = 0


@dataclass(frozen=True, slots=True)
class Says:
    """An answer; of a header that is there several times each is a pair."""

    body: str | bytes = ""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


class WebSite:
    """Serves on loopback; `answer` may wait."""

    def __init__(self, answer: Callable[[Asked], Says | str], host: str = "127.0.0.1") -> None:
        self.asked: list[Asked] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                port = self.client_address[1]
                asked = Asked(self.command, self.path, headers, body, port)
                site.asked.append(asked)
                found = answer(asked)
                says = Says(found) if isinstance(found, str) else found
                data = says.body.encode() if isinstance(says.body, str) else says.body
                head = [f"HTTP/1.1 {says.status} X", f"Content-Length: {len(data)}"]
                head += [f"{name}: {value}" for name, value in says.headers]
                self.wfile.write("\r\n".join([*head, "", ""]).encode() + data)

            def __getattr__(self, name: str) -> Callable[[], None]:
                if name.startswith("do_"):
                    return self._answer
                raise AttributeError(name)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 512

            def handle_error(self, *_: object) -> None:
                pass

        self._server = Server((host, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.port = self._server.server_address[1]
        self.url = f"http://{host}:{self.port}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType
    ) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    @property
    def requests(self) -> list[str]:
        return [f"{asked.method} {asked.path}" for asked in self.asked]

    @property
    def counts(self) -> Counter[str]:
        return Counter(self.requests)
