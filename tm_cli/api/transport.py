"""Bytes in, JSON out: the only module that imports the HTTP library.

It holds the credentials, never follows a redirect, bounds every answer in time and size, and
translates each of the library's exceptions once.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # not in typeshed

import httpx2

from tm_cli import __version__
from tm_cli.api.answers import Answer, understand
from tm_cli.api.budget import RequestBudget
from tm_cli.api.errors import NotReached, NotUnderstood
from tm_cli.base_url import is_loopback, is_plain_http
from tm_cli.durations import format_duration
from tm_cli.errors import ConfigurationError, TmError
from tm_cli.text import clean

if TYPE_CHECKING:
    from tm_cli.api_key import ApiKey
    from tm_cli.clock import Clock

LARGEST_BODY = 8 * 1024 * 1024
"""Bytes of one answer; the longest history page is a fraction of it."""

USER_AGENT = f"tm-cli/{__version__}"

_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what came of it, for `--verbose`; never a header or a body."""

    method: str
    url: str
    outcome: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Everything needed to reach one server; `wire` replaces the sockets in tests.

    `timeout` is in seconds, for each request as a whole. `revive` returns a connection to the same
    server after its process has gone away, where tm can start it anew.
    """

    base_url: str
    key: ApiKey
    clock: Clock
    timeout: float = 30.0
    environ: Mapping[str, str]
    ca_file: str | None = None
    on_exchange: Callable[[Exchange], None] | None = None
    budget: RequestBudget | None = None
    revive: Callable[[], Connection] | None = None
    wire: httpx2.BaseTransport | None = None


class Transport:
    """Sends requests below the base URL and returns parsed JSON."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._verify = _verification(connection)
        self._proxy = _proxy(connection.base_url, connection.environ)
        self._client = self._new_client()

    def close(self) -> None:
        """Close the open connections."""
        self._client.close()

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Any:
        """GET `path` and return its JSON.

        Raises NotReached, NotUnderstood or HttpError.
        """
        try:
            return self._send(self._client, "GET", path, params=params)
        except NotReached as error:
            if error.maybe_sent or self._connection.revive is None:
                raise
        self._client.close()
        self._connection = self._connection.revive()
        self._client = self._new_client()
        return self._send(self._client, "GET", path, params=params)

    def post(self, path: str, body: Any = None) -> Any:
        """POST `body` as JSON, or nothing, over a connection that nobody has used.

        On a connection kept alive the server may hang up just as the request leaves, and nobody
        could tell whether it was heard. Raises NotReached, NotUnderstood or HttpError.
        """
        with self._new_client() as client:
            return self._send(client, "POST", path, body=body)

    def put(self, path: str, body: Any) -> Any:
        """PUT `body` as JSON once, like `post`; raises the same."""
        with self._new_client() as client:
            return self._send(client, "PUT", path, body=body)

    def delete(self, path: str, params: Mapping[str, str | int] | None = None) -> None:
        """DELETE `path` once; raises NotReached, NotUnderstood or HttpError."""
        self._send(self._client, "DELETE", path, params=params)

    def _new_client(self) -> httpx2.Client:
        connection = self._connection
        return httpx2.Client(
            transport=connection.wire,
            verify=self._verify,
            proxy=None if connection.wire else self._proxy,
            timeout=connection.timeout,
            trust_env=False,
            follow_redirects=False,
            headers={
                "User-Agent": USER_AGENT,
                "Accept": "application/json",
                "Accept-Encoding": "identity",
            },
        )

    def _send(
        self,
        client: httpx2.Client,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: Any = None,
    ) -> Any:
        url = httpx2.URL(self._connection.base_url + path.lstrip("/"), params=params or None)
        request = client.build_request(
            method,
            url,
            content=None if body is None else json.dumps(body, allow_nan=False).encode(),
            headers=[
                (b"X-Api-Key", self._connection.key.reveal()),  # the client's repr shows defaults
                *([] if body is None else [(b"Content-Type", b"application/json")]),
            ],
        )
        if self._connection.budget:
            self._connection.budget.take()
        with self._timed(request) as outcome:
            response, content = self._exchange(client, request)
            outcome.append(str(response.status_code))
        return understand(Answer(_where(request), response.status_code, response.headers, content))

    def _exchange(
        self, client: httpx2.Client, request: httpx2.Request
    ) -> tuple[httpx2.Response, bytes]:
        with _translated(request, self._connection.timeout):
            response = client.send(request, stream=True)
            try:
                return response, self._read(response)
            finally:
                response.close()

    def _read(self, response: httpx2.Response) -> bytes:
        """Read the body as it came; `timeout` bounds the whole, not just each piece of it."""
        if response.headers.get("content-encoding", "identity") != "identity":
            raise NotUnderstood(f"{_where(response.request)} answered with a compressed body")
        clock, content = self._connection.clock, bytearray()
        deadline = clock.monotonic() + self._connection.timeout
        for piece in response.iter_raw():
            content += piece
            if len(content) > LARGEST_BODY:
                raise NotUnderstood(f"{_where(response.request)} answered with too large a body")
            if clock.monotonic() > deadline:
                raise httpx2.ReadTimeout("the answer came too slowly", request=response.request)
        return bytes(content)

    @contextmanager
    def _timed(self, request: httpx2.Request) -> Iterator[list[str]]:
        report, clock = self._connection.on_exchange, self._connection.clock
        outcome: list[str] = []
        began = clock.monotonic()
        try:
            yield outcome
        finally:
            if report:
                shown = clean(str(request.url.copy_with(query=None)))
                took = clock.monotonic() - began
                report(Exchange(request.method, shown, "".join(outcome) or "no answer", took))


@contextmanager
def _translated(request: httpx2.Request, timeout: float) -> Iterator[None]:
    """Turn the library's exceptions into ours; what is not known to be unsent may be sent."""
    try:
        yield
    except httpx2.TimeoutException as error:
        raise NotReached(
            f"no answer from {_where(request)} within {format_duration(timeout)}",
            maybe_sent=not isinstance(error, _NEVER_SENT),
            hint="raise the limit with --timeout if the server is slow",
        ) from None
    except _NEVER_SENT as error:
        raise NotReached(
            f"cannot reach {_where(request)}: {clean(error) or type(error).__name__}",
            maybe_sent=False,
            hint="check that the server runs; `tm config show` tells where its address comes from",
        ) from None
    except TmError:
        raise
    except Exception as error:  # sockets and parsers below the library raise what they like
        raise NotReached(
            f"the connection to {_where(request)} broke: {clean(error) or type(error).__name__}",
            maybe_sent=True,
        ) from None


def _where(request: httpx2.Request) -> str:
    return clean(f"{request.method} {request.url.copy_with(query=None)}")


def _verification(connection: Connection) -> ssl.SSLContext | bool:
    """The system's trust store, or the user's file; plain http needs neither."""
    if is_plain_http(connection.base_url):
        return False
    if connection.ca_file is None:
        return httpx2.create_ssl_context(trust_env=False)
    try:
        return ssl.create_default_context(cafile=connection.ca_file)
    except (OSError, ssl.SSLError) as problem:
        raise ConfigurationError(
            f"cannot use the certificates in {connection.ca_file}: {problem}"
        ) from None


def _proxy(base_url: str, environ: Mapping[str, str]) -> httpx2.Proxy | None:
    """The proxy that the environment names for this server; never one for this machine."""
    parts = urlsplit(base_url)
    if is_loopback(base_url):
        return None
    named = {
        name.lower().removesuffix("_proxy"): (name, value)
        for name, value in environ.items()
        if name.lower().endswith("_proxy") and value
    }
    values = {kind: value for kind, (_, value) in named.items()}
    chosen = named.get(parts.scheme) or named.get("all")
    if chosen is None or proxy_bypass_environment(parts.netloc, values):
        return None
    name, value = chosen
    if value.lower().startswith("socks") and find_spec("socksio") is None:
        raise ConfigurationError(
            f"{name} names a SOCKS proxy, for which a package is missing",
            hint="pip install socksio, or list the server in NO_PROXY",
        )
    with suppress(ValueError, httpx2.InvalidURL):
        if urlsplit(value).hostname:  # the library takes a proxy without a host
            return httpx2.Proxy(value)
    raise ConfigurationError(
        f"{name} does not name a proxy",
        hint="write http://HOST:PORT, or list the server in NO_PROXY",
    )
