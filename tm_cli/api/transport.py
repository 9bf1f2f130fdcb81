"""Requests and JSON answers by the HTTP library, whose exceptions are translated here.

Redirects are never followed. Credentials, budget and limits are layers in `middleware`.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from traceback import walk_tb
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import urlsplit

import httpx2

from tm_cli import __version__
from tm_cli.api.errors import ApiError, ConnectionFailed, HttpError, InvalidResponse
from tm_cli.api.middleware import (
    LARGEST_BODY,
    BudgetTransport,
    Exchange,
    KeyAuth,
    LimitingTransport,
    ReportingTransport,
    describe_request,
)
from tm_cli.api.network import ExchangeLimits, LimitedTransport
from tm_cli.api.responses import (
    ErrorReader,
    RawAnswer,
    decode_body,
    parse_response,
    read_error,
    read_request_id,
)
from tm_cli.api.retry import RequestBudget
from tm_cli.errors import ConfigurationError, TmError, UsageError
from tm_cli.values.api_key import hide_in_answer
from tm_cli.values.durations import format_duration
from tm_cli.values.proxy import choose_proxy
from tm_cli.values.text import sanitize
from tm_cli.values.urls import is_plain_http

if TYPE_CHECKING:
    from tm_cli.runtime.clock import Clock
    from tm_cli.values.api_key import ApiKey

LARGEST_FILE = 256 * 1024 * 1024
"""Bytes of a file that is downloaded."""

USER_AGENT = f"tm-cli/{__version__}"

Params = Mapping[str, str | int | Sequence[str]] | None
"""Query parameters; one with several values is repeated."""

_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)

_FAILURES: Sequence[tuple[type[Exception] | tuple[type[Exception], ...], str, str | None]] = (
    (
        httpx2.TimeoutException,
        "no answer from {where} within {seconds}",
        "raise the limit with --timeout if the server is slow",
    ),
    (
        _NEVER_SENT,
        "cannot reach {where}: {error}",
        "`tm doctor` looks for the cause, `tm config show` shows where the address comes from",
    ),
    (Exception, "the connection to {where} broke: {error}", None),
)
"""For each exception of the library, or of what is below it, a message and a hint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Everything needed to reach one server; `transport` replaces the sockets in tests.

    `timeout` is in seconds, for each request as a whole. With `bearer` the key is sent as a bearer
    token (RFC 6750), else in `X-Api-Key`; `explain` reads the bodies of this API's errors, and
    `accepts_empty` says that a 2xx answer may come without a body.
    `read_key_again` returns the key as it is now, where a file holds it and may be written again.
    `reconnect` returns a connection to the same server after its process has ended, where tm can
    start it again.
    """

    base_url: str
    key: ApiKey
    clock: Clock
    timeout: float = 30.0
    environ: Mapping[str, str]
    bearer: bool = False
    explain: ErrorReader = read_error
    accepts_empty: bool = False
    ca_file: str | None = None
    on_exchange: Callable[[Exchange], None] | None = None
    budget: RequestBudget | None = None
    read_key_again: Callable[[], ApiKey] | None = None
    reconnect: Callable[[], Connection] | None = None
    transport: httpx2.BaseTransport | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A 2xx answer: its JSON, its status and its headers, whose names are in any case."""

    document: Any
    status: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to send in the multipart field `file`, and other fields.

    `report` is called with how many bytes of the file have been sent.
    """

    file: BinaryIO
    name: str
    media_type: str
    fields: Mapping[str, str] = field(default_factory=dict)
    report: Callable[[int], None] = lambda _: None


class ReportedFile:
    """A file that reports how much of it has been read."""

    def __init__(self, file: BinaryIO, report: Callable[[int], None]) -> None:
        self._file = file
        self._report = report

    def fileno(self) -> int:
        return self._file.fileno()

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self._report(self._file.tell())
        return content


class Transport:
    """Sends requests below the base URL and returns parsed JSON.

    Every method raises ConnectionFailed, InvalidResponse or HttpError.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._key = connection.key
        self._verify = verification(connection.base_url, connection.ca_file)
        self._proxy = _proxy(connection.base_url, connection.environ)
        self._limits = ExchangeLimits(connection.clock)
        self._client = self._new_client()

    def close(self) -> None:
        """Close the open connections."""
        self._client.close()

    def get(self, path: str, params: Params = None) -> Any:
        """GET `path` and return its JSON; on a kept connection, and again on a new server."""
        try:
            return self._send(self._client, "GET", path, params=params).document
        except ConnectionFailed as error:
            if error.maybe_sent or self._connection.reconnect is None:
                raise
        self._client.close()
        self._connection = self._connection.reconnect()
        self._key = self._connection.key
        self._client = self._new_client()
        return self._send(self._client, "GET", path, params=params).document

    def post(self, path: str, body: Any = None) -> Any:
        """POST `body` as JSON, or nothing; see `send_once`."""
        return self.send_once("POST", path, body).document

    def put(self, path: str, body: Any) -> Any:
        """PUT `body` as JSON; see `send_once`."""
        return self.send_once("PUT", path, body).document

    def delete(self, path: str) -> Any:
        """DELETE `path`; see `send_once`."""
        return self.send_once("DELETE", path).document

    def send_once(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Params = None,
        headers: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> Reply:
        """Send one request over a new connection; it may take `seconds` where that is longer.

        The server may close a connection that was kept alive just as the request leaves, and then
        it would not be known whether the request was received.
        """
        with self._new_client() as client:
            return self._send(
                client, method, path, params=params, body=body, headers=headers, seconds=seconds
            )

    def upload(
        self, path: str, upload: Upload, *, params: Params = None, seconds: float | None = None
    ) -> Any:
        """POST a file as a multipart form, once, over a new connection.

        It may take `seconds`, if that is longer than the time of any request.
        """
        url = self._url(path, params)
        file = (upload.name, ReportedFile(upload.file, upload.report), upload.media_type)
        with self._new_client() as client:
            request = client.build_request(
                "POST", url, data=dict(upload.fields), files={"file": cast("Any", file)}
            )
            self._allow(request, seconds)
            response, content = self._exchange(client, request)
        return self._parse(request, response, content)

    def _allow(self, request: httpx2.Request, seconds: float | None) -> None:
        """Let a request take longer once connected, and its answer be as large as a file."""
        if seconds is not None:
            seconds = max(seconds, self._connection.timeout)
            connect = self._connection.timeout
            request.extensions["timeout"] = httpx2.Timeout(seconds, connect=connect).as_dict()
            request.extensions["seconds"] = seconds
            request.extensions["largest_body"] = LARGEST_FILE

    def download(
        self, method: str, path: str, *, accept: str, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """Send one request and return the file that answers it, of the media type `accept`."""
        with self._new_client() as client:
            request = self._request(client, method, path, headers=headers)
            request.headers["Accept"] = accept
            request.extensions["largest_body"] = LARGEST_FILE
            response, content = self._exchange(client, request)
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if response.status_code != httpx2.codes.OK or kind != accept:
            self._parse(request, response, content[:LARGEST_BODY])
            shown = sanitize(self.without_key(kind))
            raise InvalidResponse(
                f"{describe_request(request)} answered with {shown}, not {accept}"
            )
        return content

    @contextmanager
    def stream(self, path: str, *, accept: str, silence: float) -> Iterator[httpx2.Response]:
        """Open an answer that goes on for long; nothing for `silence` seconds ends it.

        Its head has the time of any request, and the whole LONGEST_STREAM.
        """
        with self._new_client() as client:
            request = self._request(client, "GET", path, headers={"Accept": accept})
            request.extensions["timeout"] = httpx2.Timeout(silence).as_dict()
            request.extensions["is_stream"] = True
            with self._opened(client, request) as response:
                if response.status_code != httpx2.codes.OK:
                    self._parse(request, response, _read(response))
                yield response

    def without_key(self, text: str) -> str:
        """Return what a server has sent, with stars wherever it holds the key."""
        return str(hide_in_answer(text, self._secret()))

    def _new_client(self) -> httpx2.Client:
        connection = self._connection
        transport: httpx2.BaseTransport = LimitingTransport(
            connection.transport
            or LimitedTransport(self._limits, verify=self._verify, proxy=self._proxy),
            self._limits,
            timeout=connection.timeout,
            clock=connection.clock,
        )
        if connection.on_exchange:
            transport = ReportingTransport(transport, connection.on_exchange, connection.clock)
        if connection.budget:
            transport = BudgetTransport(transport, connection.budget)
        return httpx2.Client(
            transport=transport,
            auth=KeyAuth(self._key, connection.base_url, bearer=connection.bearer),
            timeout=connection.timeout,
            trust_env=False,
            follow_redirects=False,
            headers={
                "User-Agent": USER_AGENT,
                "Accept": "application/json",
                "Accept-Encoding": "identity",
            },
        )

    def _send(self, client: httpx2.Client, method: str, path: str, **parts: Any) -> Reply:
        """Send a request, and again with a new key where the API itself has refused the old one."""
        try:
            return self._send_now(client, method, path, **parts)
        except HttpError as error:
            is_without_effect = method == "GET" or error.from_api
            if not (error.is_refused_key and is_without_effect and self._take_new_key()):
                raise
        self._client.close()
        self._client = self._new_client()
        with self._new_client() as client:
            return self._send_now(client, method, path, **parts)

    def _take_new_key(self) -> bool:
        """Read the key again; return whether it has changed."""
        if self._connection.read_key_again is None:
            return False
        before = self._key.reveal()
        with suppress(TmError):  # while a file is replaced it may be missing
            self._key = self._connection.read_key_again()
        return self._key.reveal() != before

    def _send_now(
        self,
        client: httpx2.Client,
        method: str,
        path: str,
        *,
        seconds: float | None = None,
        **parts: Any,
    ) -> Reply:
        request = self._request(client, method, path, **parts)
        self._allow(request, seconds)
        response, content = self._exchange(client, request)
        document = self._parse(request, response, content)
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
        content_type = {} if body is None else {"Content-Type": "application/json"}
        named = {**content_type, **(headers or {})}
        return client.build_request(
            method,
            self._url(path, params),
            content=None if body is None else json.dumps(body, allow_nan=False).encode(),
            headers=[(name.encode(), value.encode()) for name, value in named.items()],
        )

    def _url(self, path: str, params: Params) -> httpx2.URL:
        try:
            return httpx2.URL(self._connection.base_url + path.lstrip("/"), params=params or None)
        except UnicodeEncodeError as problem:  # a lone surrogate, from bytes that are no text
            shown = sanitize(self.without_key(problem.object))
            raise UsageError(f"{shown!r} cannot be sent: it is not UTF-8") from None

    def _exchange(
        self, client: httpx2.Client, request: httpx2.Request
    ) -> tuple[httpx2.Response, bytes]:
        with self._opened(client, request) as response:
            return response, _read(response)

    def _parse(self, request: httpx2.Request, response: httpx2.Response, content: bytes) -> Any:
        answer = RawAnswer(
            describe_request(request), response.status_code, response.headers, content
        )
        connection, secret = self._connection, self._secret()
        try:
            return parse_response(
                answer, connection.explain, secret=secret, accepts_empty=connection.accepts_empty
            )
        except ApiError as error:
            error.own_request_id = read_request_id(answer, secret)
            if connection.on_exchange is not None and error.own_request_id:  # with --verbose
                error.message += f" [request id {error.own_request_id}]"
            raise

    def _secret(self) -> str:
        return self._key.reveal().decode(errors="replace")

    @contextmanager
    def _opened(self, client: httpx2.Client, request: httpx2.Request) -> Iterator[httpx2.Response]:
        """Send a request and close its answer; the library's exceptions become ConnectionFailed.

        Our own are left alone: a bug in tm is not a connection that broke.
        """
        try:
            with closing(client.send(request, stream=True)) as response:
                yield response
        except TmError:
            raise
        except Exception as error:
            if _is_own_bug(error):
                raise
            raise self._not_reached(request, error) from None

    def _not_reached(self, request: httpx2.Request, error: Exception) -> ConnectionFailed:
        message, hint = next(
            (message, hint) for kinds, message, hint in _FAILURES if isinstance(error, kinds)
        )
        shown = sanitize(self.without_key(str(error))) or type(error).__name__
        limit = "connect" if isinstance(error, httpx2.ConnectTimeout) else "read"
        seconds = request.extensions["timeout"][limit]
        if not request.extensions.get("is_stream"):
            seconds = min(self._limits.seconds, seconds)
        where, connection = describe_request(request), self._connection
        if proxy := choose_proxy(connection.base_url, connection.environ).proxy:
            where += f" through the proxy of {proxy.variable} ({sanitize(proxy.place)})"
        return ConnectionFailed(
            message.format(where=where, seconds=format_duration(seconds), error=shown),
            maybe_sent=not isinstance(error, _NEVER_SENT),  # in doubt it was
            hint=hint,
        )


def _read(response: httpx2.Response) -> bytes:
    """Read the body and decode it; an error status counts also without a readable body."""
    content, encoding = b"".join(response.iter_raw()), response.headers.get("content-encoding", "")
    most = response.request.extensions.get("largest_body", LARGEST_BODY)
    try:
        return decode_body(content, encoding, most)
    except ValueError as problem:
        if response.status_code >= httpx2.codes.BAD_REQUEST:
            return b""
        where = describe_request(response.request)
        raise InvalidResponse(
            f"{where} answered with a body that cannot be decoded: {problem}",
            hint="a proxy compresses answers although tm asks it not to: have it leave them alone",
        ) from None


def _is_own_bug(error: Exception) -> bool:
    """Whether tm raised this, and neither the library nor the sockets and parsers below it."""
    origins = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    if isinstance(error, OSError) or origins & {"httpx2", "httpcore2"}:
        return False
    *_, (frame, _line) = walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__")).partition(".")[0] == "tm_cli"


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
    chosen = choose_proxy(base_url, environ).proxy
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
