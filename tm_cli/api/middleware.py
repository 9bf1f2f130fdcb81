"""What every request passes on its way to the sockets: credential, budget, report and limits.

Each layer is an authentication or a transport of the HTTP library around the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import httpx2

from tm_cli.api.errors import InvalidResponse
from tm_cli.api.network import ExchangeLimits
from tm_cli.api.retry import RequestBudget
from tm_cli.runtime.clock import read_deadline
from tm_cli.values.text import sanitize

if TYPE_CHECKING:
    from tm_cli.runtime.clock import Clock
    from tm_cli.values.api_key import ApiKey

LARGEST_BODY = 8 * 1024 * 1024
"""Bytes of one answer; the longest history page is a fraction of it."""

KEY_HEADER = b"X-Api-Key"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what came of it, for `--verbose`; never a header or a body."""

    method: str
    url: str
    outcome: str
    seconds: float


class KeyAuth(httpx2.Auth):
    """Adds the key to requests below `base_url`, and to no others.

    As a bearer token (RFC 6750), else in `X-Api-Key`. It is added last, so that no representation
    of a client shows it.
    """

    def __init__(self, key: ApiKey, base_url: str, *, bearer: bool) -> None:
        self._key = key
        self._origin = _origin(httpx2.URL(base_url))
        self._bearer = bearer

    def auth_flow(
        self, request: httpx2.Request
    ) -> Generator[httpx2.Request, httpx2.Response, None]:
        if _origin(request.url) == self._origin:
            key = self._key.reveal()
            header = (b"Authorization", b"Bearer " + key) if self._bearer else (KEY_HEADER, key)
            request.headers = httpx2.Headers([*request.headers.raw, header])
        yield request


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


class _Layer(httpx2.BaseTransport):
    def __init__(self, inner: httpx2.BaseTransport) -> None:
        self._inner = inner

    def close(self) -> None:
        self._inner.close()


class _Body(httpx2.SyncByteStream):
    """The body of an answer as `read` passes it on; `on_close` is called at its end."""

    def __init__(
        self,
        inner: httpx2.SyncByteStream,
        read: Callable[[Iterable[bytes]], Iterator[bytes]],
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        self._inner = inner
        self._read = read
        self._on_close = on_close

    def __iter__(self) -> Iterator[bytes]:
        return self._read(self._inner)

    def close(self) -> None:
        try:
            self._inner.close()
        finally:
            self._on_close()


class BudgetTransport(_Layer):
    """Sends a request when the budget allows it."""

    def __init__(self, inner: httpx2.BaseTransport, budget: RequestBudget) -> None:
        super().__init__(inner)
        self._budget = budget

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self._budget.take(deadline=_deadline(request))
        return self._inner.handle_request(request)


class ReportingTransport(_Layer):
    """Reports each exchange when it is over; streams, which have no end, are not reported."""

    def __init__(
        self, inner: httpx2.BaseTransport, report: Callable[[Exchange], None], clock: Clock
    ) -> None:
        super().__init__(inner)
        self._report = report
        self._clock = clock

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request; the report comes when the body of the answer is closed."""
        if request.extensions.get("is_stream"):
            return self._inner.handle_request(request)
        began, outcome = self._clock.monotonic(), ["no answer"]

        def read(body: Iterable[bytes]) -> Iterator[bytes]:
            yield from body
            outcome[0] = str(response.status_code)

        def report() -> None:
            seconds = self._clock.monotonic() - began
            url = sanitize(str(request.url.copy_with(query=None)))
            self._report(Exchange(request.method, url, outcome[0], seconds))

        try:
            response = self._inner.handle_request(request)
        except BaseException:
            report()
            raise
        response.stream = _Body(_stream(response), read, report)
        return response


class LimitingTransport(_Layer):
    """Ends each exchange in time and size.

    It may take `timeout` seconds, or those of the extension `seconds` of the request, a read no
    longer than its deadline, and its body `largest_body` bytes, another extension. A request with
    the extension `is_stream` has a head that ends in time as any other; a body that follows status
    200 may go on.
    """

    def __init__(
        self,
        inner: httpx2.BaseTransport,
        limits: ExchangeLimits,
        *,
        timeout: float,
        clock: Clock,
    ) -> None:
        super().__init__(inner)
        self._limits = limits
        self._timeout = timeout
        self._clock = clock

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self._limits.begin(self._seconds(request))
        response = self._inner.handle_request(request)
        is_stream = request.extensions.get("is_stream") and response.status_code == httpx2.codes.OK
        self._limits.end_head(is_stream=bool(is_stream))
        if not is_stream:
            response.stream = _Body(_stream(response), lambda body: self._read(request, body))
        return response

    def _read(self, request: httpx2.Request, body: Iterable[bytes]) -> Iterator[bytes]:
        size, largest = 0, request.extensions.get("largest_body", LARGEST_BODY)
        for piece in body:
            size += len(piece)
            if size > largest or self._limits.is_mostly_framing(size):
                raise InvalidResponse(f"{describe_request(request)} answered with too large a body")
            if self._limits.is_over:
                raise httpx2.ReadTimeout("the answer came too slowly", request=request)
            yield piece

    def _seconds(self, request: httpx2.Request) -> float:
        timeout: float = request.extensions.get("seconds", self._timeout)
        if (deadline := _deadline(request)) is None:
            return timeout
        return min(timeout, max(deadline - self._clock.monotonic(), 0.0))


def describe_request(request: httpx2.Request) -> str:
    """Return method and address, without the query, for messages."""
    return sanitize(f"{request.method} {request.url.copy_with(query=None)}")


def _stream(response: httpx2.Response) -> httpx2.SyncByteStream:
    return cast("httpx2.SyncByteStream", response.stream)


def _deadline(request: httpx2.Request) -> float | None:
    """What changes something is not cut short because a wait is over."""
    return read_deadline() if request.method == "GET" else None
