"""Sockets on which an HTTP exchange ends in time, whatever the other side does.

The library below applies a timeout to every single operation of a socket, so that a server that
sends a byte a second is waited for without end. Here each operation gets what is left of one
deadline for the whole exchange: resolving the name, connecting, TLS, a proxy's answer, sending,
interim answers, head, body and trailers.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import httpcore2
import httpx2

from tm_cli.runtime.clock import SLICE
from tm_cli.values.urls import certificate_name

if TYPE_CHECKING:
    from tm_cli.runtime.clock import Clock

LONGEST_HEAD = 256 * 1024
"""Bytes that may arrive before the head of the answer is complete, interim answers included."""

LONGEST_STREAM = 3600.0
"""Seconds after which a stream is given up, so that it is opened again, whatever it says."""

KEEP_ALIVE = 5.0
"""Seconds for which an idle connection is used again."""

TLS_RECORD = 16 * 1024
"""Bytes; the largest record of RFC 8446."""

SocketOptions = Iterable[Any] | None
Expired = type[httpcore2.TimeoutException]


class ExchangeLimits:
    """The time and the size that the exchange in progress may still take.

    One exchange at a time: the client that uses these limits belongs to one thread.
    """

    def __init__(self, clock: Clock) -> None:
        self.seconds = float("inf")
        self._clock = clock
        self._deadline = float("inf")
        self._is_head = False
        self._received = 0

    def begin(self, seconds: float) -> None:
        """Start the exchange that ends `seconds` from now."""
        self.seconds = seconds
        self._deadline = self._clock.monotonic() + seconds
        self._is_head, self._received = True, 0

    def end_head(self, *, is_stream: bool) -> None:
        """Note that the head is complete; what follows may be a stream, which goes on for long."""
        self._is_head = False
        if is_stream:
            self._deadline = self._clock.monotonic() + LONGEST_STREAM

    @property
    def is_over(self) -> bool:
        return self._clock.monotonic() >= self._deadline

    def left(self, timeout: float | None, expired: Expired) -> float:
        """Return the seconds that one operation may take; raises `expired` when none are left."""
        left = self._deadline - self._clock.monotonic()
        if left <= 0:
            raise expired("the time of the whole exchange is over")
        return left if timeout is None else min(left, timeout)

    def count(self, received: bytes) -> bytes:
        """Count what has arrived; raises RemoteProtocolError when a head has no end."""
        self._received += len(received)
        if self._is_head and self._received > LONGEST_HEAD:
            raise httpcore2.RemoteProtocolError("the head of the answer is too long")
        return received

    def is_mostly_framing(self, body: int) -> bool:
        """Whether far more has arrived than `body` bytes: chunks of nothing but extensions."""
        return self._received > 2 * body + LONGEST_HEAD


class LimitedTransport(httpx2.BaseTransport):
    """The library's connection pool, on sockets that keep the limits of an exchange."""

    def __init__(
        self,
        limits: ExchangeLimits,
        *,
        verify: ssl.SSLContext | bool,
        proxy: httpx2.Proxy | None,
    ) -> None:
        self._limits = limits
        self._pool = httpcore2.ConnectionPool(
            ssl_context=httpx2.create_ssl_context(verify=verify, trust_env=False),
            proxy=_core_proxy(proxy),
            keepalive_expiry=KEEP_ALIVE,
            network_backend=_Backend(limits),
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        wanted = httpcore2.Request(
            method=request.method,
            url=_core_url(request.url),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _library_errors():
            answer = self._pool.handle_request(wanted)
            names = {name.lower() for name, _ in answer.headers}
            if {b"content-length", b"transfer-encoding"} <= names:
                answer.close()  # RFC 9112, section 6.3: a sign that a body was smuggled in
                raise httpcore2.RemoteProtocolError("the answer has two lengths")
        return httpx2.Response(
            answer.status,
            headers=answer.headers,
            stream=_MappedBody(answer.stream),
            extensions=answer.extensions,
        )

    def close(self) -> None:
        self._pool.close()


class _MappedBody(httpx2.SyncByteStream):
    """The body of an answer, with the errors of httpx2."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        with _library_errors():
            yield from self._stream

    def close(self) -> None:
        self._stream.close()


@contextmanager
def _library_errors() -> Generator[None]:
    """Turn an error of httpcore2 into the one of the same name, or of its base, in httpx2."""
    try:
        yield
    except Exception as error:
        for kind in type(error).__mro__:
            same = getattr(httpx2, kind.__name__, None)
            if kind.__module__.startswith("httpcore2") and same is not None:
                raise same(str(error)) from error
        raise


def _core_url(url: httpx2.URL) -> httpcore2.URL:
    return httpcore2.URL(
        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
    )


def _core_proxy(proxy: httpx2.Proxy | None) -> httpcore2.Proxy | None:
    if proxy is None:
        return None
    return httpcore2.Proxy(
        _core_url(proxy.url),
        auth=proxy.raw_auth,
        headers=proxy.headers.raw,
        ssl_context=proxy.ssl_context,
    )


class _Backend(httpcore2.NetworkBackend):
    """Opens connections within the limits."""

    def __init__(self, limits: ExchangeLimits) -> None:
        self._limits = limits
        self._sockets = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: SocketOptions = None,
    ) -> httpcore2.NetworkStream:
        """Try the addresses of `host` in turn; one that is silent leaves time for the others."""
        addresses = _resolve(host, port, self._limits)
        failed: Exception = httpcore2.ConnectError(f"{host} has no address")
        for position, address in enumerate(addresses):
            left = self._limits.left(timeout, httpcore2.ConnectTimeout)
            share = left / (len(addresses) - position)
            try:
                stream = self._sockets.connect_tcp(
                    address, port, share, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
            else:
                return _Stream(stream, self._limits)
        raise failed


def _resolve(host: str, port: int, limits: ExchangeLimits) -> list[str]:
    """Return the addresses of `host`.

    Looking up a name cannot be given a limit, so that it runs in a thread of its own. One that
    outlasts the limit is left behind and ends with the resolver's own time or the process.
    """
    with suppress(ValueError):
        return [str(ipaddress.ip_address(host))]
    found: list[str] = []
    failed: list[OSError] = []

    def look_up() -> None:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.extend(dict.fromkeys(str(answer[4][0]) for answer in answers))
        except (OSError, UnicodeError) as error:
            failed.append(error if isinstance(error, OSError) else OSError(str(error)))

    thread = threading.Thread(target=look_up, name="tm-resolve", daemon=True)
    thread.start()
    while thread.is_alive():
        left = limits.left(None, httpcore2.ConnectTimeout)
        thread.join(min(left, SLICE))
    if failed:
        raise httpcore2.ConnectError(str(failed[0]))
    return found


class _Stream(httpcore2.NetworkStream):
    """A connection whose operations share what is left of the exchange."""

    def __init__(self, stream: httpcore2.NetworkStream, limits: ExchangeLimits) -> None:
        self._stream = stream
        self._limits = limits

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left = self._limits.left(timeout, httpcore2.ReadTimeout)
        return self._limits.count(self._stream.read(max_bytes, left))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of it; the library would start the time afresh whenever a part has gone."""
        connection = self._stream.get_extra_info("socket")
        rest = memoryview(buffer)
        while rest:
            connection.settimeout(self._limits.left(timeout, httpcore2.WriteTimeout))
            try:
                rest = rest[connection.send(rest) :]
            except TimeoutError as error:
                raise httpcore2.WriteTimeout(str(error)) from error
            except OSError as error:
                raise httpcore2.WriteError(str(error)) from error

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        server_hostname = server_hostname and certificate_name(server_hostname)
        if self._stream.get_extra_info("ssl_object") is not None:
            return _TlsInTls(self, ssl_context, server_hostname, timeout)
        left = self._limits.left(timeout, httpcore2.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._limits)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _TlsInTls(httpcore2.NetworkStream):
    """TLS to the server inside the TLS to a proxy, on the reads and writes of `_Stream`."""

    def __init__(
        self,
        outer: _Stream,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None,
        timeout: float | None,
    ) -> None:
        self._outer = outer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = ssl_context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_hostname
        )
        try:
            self._perform(self._tls.do_handshake, timeout)
        except httpcore2.TimeoutException as error:
            self.close()
            raise httpcore2.ConnectTimeout(str(error)) from error
        except (httpcore2.NetworkError, OSError) as error:
            self.close()
            raise httpcore2.ConnectError(str(error)) from error

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return bytes(self._perform(partial(self._tls.read, max_bytes), timeout))
        except OSError as error:
            raise httpcore2.ReadError(str(error)) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        rest = memoryview(buffer)
        while rest:
            try:
                rest = rest[self._perform(partial(self._tls.write, rest), timeout) :]
            except OSError as error:
                raise httpcore2.WriteError(str(error)) from error

    def close(self) -> None:
        self._outer.close()

    def get_extra_info(self, info: str) -> Any:
        return self._tls if info == "ssl_object" else self._outer.get_extra_info(info)

    def _perform(self, action: Callable[[], Any], timeout: float | None) -> Any:
        while True:
            try:
                result = action()
            except ssl.SSLWantReadError:
                self._flush(timeout)
                received = self._outer.read(TLS_RECORD, timeout)
                if received:
                    self._incoming.write(received)
                else:
                    self._incoming.write_eof()
            else:
                self._flush(timeout)
                return result

    def _flush(self, timeout: float | None) -> None:
        if waiting := self._outgoing.read():
            self._outer.write(waiting, timeout)
