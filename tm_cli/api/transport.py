"""Which proxy the environment names for a server; pure."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # not in typeshed

import httpx2

from tm_cli import __version__
from tm_cli.api.errors import NotReached, NotUnderstood
from tm_cli.api.network import ExchangeLimits, LimitedTransport
from tm_cli.api.responses import Answer, Explain, explain_error, understand
from tm_cli.api.retry import RequestBudget
from tm_cli.errors import ConfigurationError, TmError
from tm_cli.runtime.clock import read_deadline
from tm_cli.values.api_key import hide
from tm_cli.values.durations import format_duration
from tm_cli.values.text import clean
from tm_cli.values.urls import is_loopback, is_plain_http

if TYPE_CHECKING:
    from tm_cli.runtime.clock import Clock
    from tm_cli.values.api_key import ApiKey


@dataclass(frozen=True, slots=True)
class NamedProxy:
    """A variable of the environment and what it holds; the address may have a password in it."""

    variable: str
    address: str

    def __repr__(self) -> str:
        return f"NamedProxy({self.variable})"

    @property
    def place(self) -> str:
        """Host and port, without credentials; empty when the address names no host."""
        try:
            parts = urlsplit(self.address)
            port = f":{parts.port}" if parts.port else ""
        except ValueError:
            return ""
        return f"{parts.hostname}{port}" if parts.hostname else ""


def choose_proxy(base_url: str, environ: Mapping[str, str]) -> NamedProxy | None:
    """Return the proxy for this server, None for a direct way; never one for this machine."""
    if is_loopback(base_url):
        return None
    parts = urlsplit(base_url)
    named = {
        name.lower().removesuffix("_proxy"): NamedProxy(name, value)
        for name, value in environ.items()
        if name.lower().endswith("_proxy") and value
    }
    values = {kind: proxy.address for kind, proxy in named.items()}
    chosen = named.get(parts.scheme) or named.get("all")
    if chosen is None or proxy_bypass_environment(parts.netloc, values):
        return None
    return chosen


LARGEST_BODY = 8 * 1024 * 1024
"""Bytes of one answer; the longest history page is a fraction of it."""

LARGEST_FILE = 256 * 1024 * 1024
"""Bytes of a file that is downloaded."""

USER_AGENT = f"tm-cli/{__version__}"
KEY_HEADER = b"X-Api-Key"

Params = Mapping[str, str | int | Sequence[str]] | None
"""Query parameters; one with several values is repeated."""

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

    `timeout` is in seconds, for each request as a whole. With `bearer` the key is sent as a bearer
    token (RFC 6750), else in `X-Api-Key`; `explain` reads the bodies of this API's errors.
    `revive` returns a connection to the same server after its process has gone away, where tm can
    start it anew.
    """

    base_url: str
    key: ApiKey
    clock: Clock
    timeout: float = 30.0
    environ: Mapping[str, str]
    bearer: bool = False
    explain: Explain = explain_error
    ca_file: str | None = None
    on_exchange: Callable[[Exchange], None] | None = None
    budget: RequestBudget | None = None
    revive: Callable[[], Connection] | None = None
    wire: httpx2.BaseTransport | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A 2xx answer: its JSON, its status and its headers, whose names are in any case."""

    document: Any
    status: int
    headers: Mapping[str, str]


class Transport:
    """Sends requests below the base URL and returns parsed JSON."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._verify = verification(connection.base_url, connection.ca_file)
        self._proxy = _proxy(connection.base_url, connection.environ)
        self._limits = ExchangeLimits(connection.clock)
        self._client = self._new_client()

    def close(self) -> None:
        """Close the open connections."""
        self._client.close()

    def get(self, path: str, params: Params = None) -> Any:
        """GET `path` and return its JSON.

        Raises NotReached, NotUnderstood or HttpError.
        """
        try:
            return self._send(self._client, "GET", path, params=params).document
        except NotReached as error:
            if error.maybe_sent or self._connection.revive is None:
                raise
        self._client.close()
        self._connection = self._connection.revive()
        self._client = self._new_client()
        return self._send(self._client, "GET", path, params=params).document

    def post(self, path: str, body: Any = None) -> Any:
        """POST `body` as JSON, or nothing; see `send_once`."""
        return self.send_once("POST", path, body).document

    def put(self, path: str, body: Any) -> Any:
        """PUT `body` as JSON; see `send_once`."""
        return self.send_once("PUT", path, body).document

    def delete(self, path: str, params: Params = None) -> Any:
        """DELETE `path` once; raises NotReached, NotUnderstood or HttpError."""
        return self._send(self._client, "DELETE", path, params=params).document

    def send_once(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Params = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request over a connection that nobody has used.

        On a connection kept alive the server may hang up just as the request leaves, and nobody
        could tell whether it was heard. Raises NotReached, NotUnderstood or HttpError.
        """
        with self._new_client() as client:
            return self._send(client, method, path, params=params, body=body, headers=headers)

    def download(
        self, method: str, path: str, *, accept: str, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """Send one request and return the file that answers it, of the media type `accept`.

        Raises NotReached, NotUnderstood or HttpError.
        """
        with self._new_client() as client:
            request = self._request(client, method, path, headers=headers)
            request.headers["Accept"] = accept
            self._count(request)
            with self._timed(request) as outcome:
                response, content = self._exchange(client, request, most=LARGEST_FILE)
                outcome.append(str(response.status_code))
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if response.status_code != httpx2.codes.OK or kind != accept:
            self._understand(request, response, content[:LARGEST_BODY])
            raise NotUnderstood(
                f"{_where(request)} answered with {clean(self.without_key(kind))}, not {accept}"
            )
        return content

    @contextmanager
    def stream(self, path: str, *, accept: str, silence: float) -> Iterator[httpx2.Response]:
        """Open an answer that goes on for long; nothing for `silence` seconds ends it.

        Its head has the time of any request, and the whole LONGEST_STREAM. Raises NotReached, also
        while it is read, NotUnderstood or HttpError.
        """
        with self._new_client() as client:
            request = self._request(client, "GET", path, headers={"Accept": accept})
            request.extensions["timeout"] = httpx2.Timeout(silence).as_dict()
            request.extensions["is_stream"] = True
            self._count(request)
            self._begin(request)
            with _translated(request, silence, self.without_key):
                response = client.send(request, stream=True)
                try:
                    if response.status_code != httpx2.codes.OK:
                        self._understand(request, response, self._read(response))
                    yield response
                finally:
                    response.close()

    def _new_client(self) -> httpx2.Client:
        connection = self._connection
        return httpx2.Client(
            transport=connection.wire
            or LimitedTransport(self._limits, verify=self._verify, proxy=self._proxy),
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
        params: Params = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        request = self._request(client, method, path, params=params, body=body, headers=headers)
        self._count(request)
        with self._timed(request) as outcome:
            response, content = self._exchange(client, request)
            outcome.append(str(response.status_code))
        document = self._understand(request, response, content)
        return Reply(document, response.status_code, response.headers)

    def _request(
        self,
        client: httpx2.Client,
        method: str,
        path: str,
        *,
        params: Params = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Request:
        url = httpx2.URL(self._connection.base_url + path.lstrip("/"), params=params or None)
        return client.build_request(
            method,
            url,
            content=None if body is None else json.dumps(body, allow_nan=False).encode(),
            headers=[
                self._credential(),  # the client's repr shows defaults
                *([] if body is None else [(b"Content-Type", b"application/json")]),
                *((name.encode(), value.encode()) for name, value in (headers or {}).items()),
            ],
        )

    def _credential(self) -> tuple[bytes, bytes]:
        key = self._connection.key.reveal()
        return (
            (b"Authorization", b"Bearer " + key) if self._connection.bearer else (KEY_HEADER, key)
        )

    def _secret(self) -> str:
        return self._connection.key.reveal().decode(errors="replace")

    def without_key(self, text: str) -> str:
        """Return what a server has sent, with stars wherever it holds the key."""
        return str(hide(text, self._secret()))

    def _count(self, request: httpx2.Request) -> None:
        if self._connection.budget:
            self._connection.budget.take(deadline=_deadline(request))

    def _begin(self, request: httpx2.Request) -> float:
        """Start the time of one exchange, and return how long it may take."""
        deadline, seconds = _deadline(request), self._connection.timeout
        if deadline is not None:
            left = deadline - self._connection.clock.monotonic()
            seconds = min(seconds, max(left, 0.0))
        self._limits.begin(seconds)
        return seconds

    def _understand(
        self, request: httpx2.Request, response: httpx2.Response, content: bytes
    ) -> Any:
        answer = Answer(_where(request), response.status_code, response.headers, content)
        return understand(answer, self._connection.explain, secret=self._secret())

    def _exchange(
        self, client: httpx2.Client, request: httpx2.Request, *, most: int = LARGEST_BODY
    ) -> tuple[httpx2.Response, bytes]:
        seconds = self._begin(request)
        with _translated(request, seconds, self.without_key):
            response = client.send(request, stream=True)
            try:
                return response, self._read(response, most)
            finally:
                response.close()

    def _read(self, response: httpx2.Response, most: int = LARGEST_BODY) -> bytes:
        """Read the body as it came, within the limits of the exchange."""
        if response.headers.get("content-encoding", "").strip().lower() not in {"", "identity"}:
            raise NotUnderstood(f"{_where(response.request)} answered with a compressed body")
        content = bytearray()
        for piece in response.iter_raw():
            content += piece
            if len(content) > most or self._limits.is_mostly_framing(len(content)):
                raise NotUnderstood(f"{_where(response.request)} answered with too large a body")
            if self._limits.is_over:
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
def _translated(
    request: httpx2.Request, timeout: float, without_key: Callable[[str], str]
) -> Iterator[None]:
    """Turn the library's exceptions into ours; what is not known to be unsent may be sent."""

    def said(error: Exception) -> str:
        return clean(without_key(str(error))) or type(error).__name__

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
            f"cannot reach {_where(request)}: {said(error)}",
            maybe_sent=False,
            hint="`tm doctor` looks for the cause, `tm config show` tells the address's origin",
        ) from None
    except TmError:
        raise
    except Exception as error:  # sockets and parsers below the library raise what they like
        raise NotReached(
            f"the connection to {_where(request)} broke: {said(error)}",
            maybe_sent=True,
        ) from None


def _deadline(request: httpx2.Request) -> float | None:
    """What changes something is not cut short because a wait is over."""
    return read_deadline() if request.method == "GET" else None


def _where(request: httpx2.Request) -> str:
    return clean(f"{request.method} {request.url.copy_with(query=None)}")


def verification(base_url: str, ca_file: str | None) -> ssl.SSLContext | bool:
    """The system's trust store, or the user's file; plain http needs neither.

    Raises ConfigurationError for a file that holds no certificates.
    """
    if is_plain_http(base_url):
        return False
    if ca_file is None:
        return httpx2.create_ssl_context(trust_env=False)
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as problem:
        raise ConfigurationError(f"cannot use the certificates in {ca_file}: {problem}") from None


def _proxy(base_url: str, environ: Mapping[str, str]) -> httpx2.Proxy | None:
    """The proxy that the environment names for this server; never one for this machine."""
    chosen = choose_proxy(base_url, environ)
    if chosen is None:
        return None
    name, value = chosen.variable, chosen.address
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
