"""One anonymous request to a server, step by step: name, connection, certificate, answer.

The key is not involved, so that a broken server is not confused with a refused key.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from tm_cli.values.urls import port_of

STEP_TIMEOUT = 5.0
"""Seconds for each step of a probe."""

TOTAL_TIMEOUT = 15.0
"""Seconds for all steps together: a server may send its headers a byte at a time."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Route:
    """The way to a server: a base URL, the address of an http proxy or None, and whom to trust."""

    base_url: str
    proxy: str | None = None
    trust: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What the server showed of itself; `date` is its own clock, to the second."""

    status: int
    date: datetime | None = None
    tls: str | None = None
    expires: datetime | None = None
    issuer: str | None = None


class Network(Protocol):
    """The two questions that the diagnosis asks the network."""

    def resolve(self, host: str, port: int) -> list[str]:
        """Return the addresses of a name; raises OSError."""
        ...

    def probe(self, route: Route) -> ProbeResult:
        """Send one HEAD request; raises OSError, ssl.SSLError among them, or HTTPException."""
        ...


@dataclass(frozen=True, slots=True)
class SystemNetwork:
    """The machine's own network; no question takes longer than `longest` seconds."""

    longest: float = TOTAL_TIMEOUT

    def resolve(self, host: str, port: int) -> list[str]:
        """Ask the system's resolver."""
        found = self._in_time(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        return list(dict.fromkeys(str(address[4][0]) for address in found))

    def probe(self, route: Route) -> ProbeResult:
        """Connect, shake hands where the server has TLS, and ask for the headers."""
        return self._in_time(lambda: self._probe(route))

    def _in_time(self, ask: Callable[[], T]) -> T:
        """Return the answer; raises TimeoutError when it takes too long.

        Neither a resolver nor a server that never stops sending can be interrupted, so the question
        is asked in a thread, which ends with the process.
        """
        answer: Future[T] = Future()

        def answer_it() -> None:
            try:
                answer.set_result(ask())
            except BaseException as error:  # to be raised where the answer is waited for
                answer.set_exception(error)

        threading.Thread(target=answer_it, daemon=True).start()
        try:
            return answer.result(timeout=self.longest)
        except TimeoutError:
            if answer.done():  # what was asked has timed out by itself
                raise
            raise TimeoutError(f"there was no complete answer in {self.longest:g} s") from None

    def _probe(self, route: Route) -> ProbeResult:
        path = urlsplit(route.base_url).path or "/"
        with closing(_connection(route)) as connection:
            connection.connect()
            tls, expires, issuer = _certificate(connection.sock)
            by_proxy = route.proxy is not None and route.trust is None
            connection.request(
                "HEAD", route.base_url if by_proxy else path, headers=_headers(route)
            )
            answer = connection.getresponse()
            while 100 <= answer.status < 200:  # the library knows no interim answer but 100
                answer.headers = answer.msg = None  # type: ignore[assignment]
                answer.begin()
            return ProbeResult(answer.status, _date(answer.getheader("Date")), tls, expires, issuer)


def _connection(route: Route) -> http.client.HTTPConnection:
    to, via = urlsplit(route.base_url), urlsplit(route.proxy or route.base_url)
    host, port = via.hostname or "", port_of(via)
    if route.trust is None:
        return http.client.HTTPConnection(host, port, timeout=STEP_TIMEOUT)
    secure = http.client.HTTPSConnection(host, port, timeout=STEP_TIMEOUT, context=route.trust)
    if route.proxy is not None:
        secure.set_tunnel(
            to.hostname or "", to.port or 443, headers=_proxy_credentials(route.proxy)
        )
    return secure


def _headers(route: Route) -> dict[str, str]:
    plain_proxy = route.proxy if route.trust is None else None
    return {"Connection": "close", **(_proxy_credentials(plain_proxy) if plain_proxy else {})}


def _proxy_credentials(proxy: str) -> dict[str, str]:
    parts = urlsplit(proxy)
    if not parts.username:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {b64encode(pair).decode()}"}


def _certificate(connected: object) -> tuple[str | None, datetime | None, str | None]:
    if not isinstance(connected, ssl.SSLSocket):
        return None, None, None
    certificate = connected.getpeercert() or {}
    ends = certificate.get("notAfter")
    expires = (
        datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC)
        if isinstance(ends, str)
        else None
    )
    return connected.version(), expires, _issuer(certificate)


def _issuer(certificate: Mapping[str, Any]) -> str | None:
    names = dict(pair for part in certificate.get("issuer", ()) for pair in part)
    return names.get("organizationName") or names.get("commonName")


def _date(text: str | None) -> datetime | None:
    with suppress(TypeError, ValueError, OverflowError, IndexError):
        parsed = parsedate_to_datetime(text or "")
        return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return None
