"""What a server asks to verify a domain: a name server and a web server on this machine."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.unit.server.domains.name_server import threaded_name_server

PATH = "/.well-known/trafficmorph-verify.txt"


class Internet:
    """Answers with the tokens that have been installed."""

    def __init__(self) -> None:
        self._zone: dict[str, tuple[str, list[str]]] = {}
        self._token = ""
        self._web = ThreadingHTTPServer(("127.0.0.1", 0), self._page())
        self.web_port = self._web.server_port
        self._pages = threading.Thread(target=self._web.serve_forever, daemon=True)
        self._opened = ExitStack()

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

    def __enter__(self) -> Internet:
        self._pages.start()
        self.name_server = self._opened.enter_context(threaded_name_server(self._zone))
        return self

    def __exit__(self, *_error: object) -> None:
        self._web.shutdown()
        self._web.server_close()
        self._pages.join(10)
        self._opened.close()

    def install_record(self, domain: str, token: str) -> None:
        self._zone[f"_trafficmorph-verify.{domain}"] = ("TXT", [f'"{token}"'])

    def install_file(self, token: str) -> None:
        self._token = token
