"""One request to the target: exactly one, whatever happens to it."""

from typing import Any

from gevent import Timeout, socket
from geventhttpclient.client import HTTPClient
from geventhttpclient.header import Headers

from tm_cli import __version__
from tm_cli.server.engine.job import Job, Target

_READ_SIZE = 16 * 1024
_NO_LIMIT = 1_000_000  # connections; the number of slots is the limit


class Client:
    """Sends the job's request over kept-alive connections, the most recently used one first.

    TLS certificates are verified, redirects are not followed, bodies are read and dropped without
    being decoded. Proxy variables of the environment are ignored: load belongs on the target.
    """

    def __init__(self, job: Job, target: Target) -> None:
        self._method = job.method
        self._request_target = target.request_target
        self._body = (job.body or "").encode()
        self._timeout = job.timeout
        self._http: Any = HTTPClient(
            target.host,
            port=target.port,
            ssl=target.is_tls,
            headers=_headers(job),
            block_size=_READ_SIZE,
            concurrency=_NO_LIMIT,
            # `send` limits the request as a whole; a limit per read would let it drip on for ever
            connection_timeout=None,
            network_timeout=None,
        )
        # All requests are alike. Building each anew would take a tenth of the processor's time.
        head = self._http._build_request(self._method, self._request_target, body=self._body)  # noqa: SLF001
        self._http._build_request = lambda *_, **__: head  # noqa: SLF001
        # geventhttpclient repeats a request `size + 1` times when the connection is closed
        # without an answer. Nothing else reads this size once the pool exists.
        pool = self._http._connection_pool  # noqa: SLF001
        pool.size = -1
        pool.after_connect = _send_at_once
        if target.addresses:
            resolved = _resolved(target)
            pool._resolve = lambda: resolved  # noqa: SLF001 - the name stays in Host and in TLS

    def send(self) -> int | str:
        """Make the request; the status code, or the name of the error if no response came."""
        try:
            with Timeout(self._timeout):
                response = self._http.request(self._method, self._request_target, body=self._body)
                while response.read(_READ_SIZE):
                    pass
                return int(response.status_code)
        except Timeout:
            return TimeoutError.__name__
        except Exception as error:  # whatever it is, it is a result
            return type(error).__name__


def _send_at_once(connected: Any) -> None:
    """Turn Nagle's algorithm off: it would hold the end of a long body back, and be measured."""
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _resolved(target: Target) -> list[Any]:
    """The target's addresses in the form in which the resolver gives them."""
    return [
        found
        for address in target.addresses
        for found in socket.getaddrinfo(
            address, target.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )
    ]


def _headers(job: Job) -> Headers:
    headers = Headers(job.headers)
    if "user-agent" not in headers:
        headers["User-Agent"] = f"tm/{__version__}"
    return headers
