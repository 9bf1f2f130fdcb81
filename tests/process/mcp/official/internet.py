"""What a server asks to verify a domain: a name server and a web server on this machine."""

from __future__ import annotations

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.unit.server.domains.name_server import name_server

PATH = "/.well-known/trafficmorph-verify.txt"


class Internet:
    """Answers with the tokens that have been installed."""

    def __init__(self) -> None:
        self._zone: dict[str, tuple[str, list[str]]] = {}
        self._token = ""
        self._web = ThreadingHTTPServer(("127.0.0.1", 0), self._page())
        self.web_port = self._web.server_port
        self.name_server = ("127.0.0.1", 0)
        self._ready = threading.Event()
        self._threads = [
            threading.Thread(target=self._web.serve_forever, daemon=True),
            threading.Thread(target=asyncio.run, args=(self._serve_names(),), daemon=True),
        ]

    def _page(self) -> type[BaseHTTPRequestHandler]:
        internet = self

        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if self.path == PATH else 404)
                self.end_headers()
                self.wfile.write(internet._token.encode())

            def log_message(self, *_arguments: object) -> None:
                """Nothing of interest."""

        return Page

    async def _serve_names(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with name_server(self._zone) as self.name_server:
            self._ready.set()
            await self._stop.wait()

    def __enter__(self) -> Internet:
        for thread in self._threads:
            thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_error: object) -> None:
        self._web.shutdown()
        self._web.server_close()
        self._loop.call_soon_threadsafe(self._stop.set)
        for thread in self._threads:
            thread.join(10)

    def install_record(self, domain: str, token: str) -> None:
        self._zone[f"_trafficmorph-verify.{domain}"] = ("TXT", [f'"{token}"'])

    def install_file(self, token: str) -> None:
        self._token = token
