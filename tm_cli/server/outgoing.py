"""Requests of the server itself, other than load: to addresses that were judged, redirects not
followed, with limits of time and size.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import certifi
import h11

from tm_cli import __version__
from tm_cli.server.engine.job import RequestTarget
from tm_cli.server.web.bodies import Refusal
from tm_cli.values.urls import certificate_name

_LONGEST_HEAD = 64 * 1024
_FRAMING = 8  # bytes received for one of a body at most: chunks of one byte have six
_CONNECT_SECONDS = 4.0  # to one of the addresses
_READ = 64 * 1024
_OF_FRAMING = {"host", "content-length", "transfer-encoding", "connection", "expect", "upgrade"}

Check = Callable[[str], Awaitable[list[str]]]
"""The addresses of a URL's host; raises Refusal unless all of them are allowed."""


class RequestFailed(Exception):
    """There is no answer; the message is the reason."""


@dataclass(frozen=True, slots=True)
class OutgoingAnswer:
    """An answer; the names of its headers are in lower case. `is_cut`: the body was longer."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class OutgoingRequests:
    """Sends requests to hosts that `check` allows, each time they are resolved.

    `ca_file` has certificates to trust in addition to the system's.
    """

    check: Check
    ca_file: str | None = None

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        seconds: float,
        most: int,
    ) -> OutgoingAnswer:
        """Send a request and return the answer, with at most so many bytes of a body.

        Raises RequestFailed, also when that takes longer than `seconds`.
        """
        try:
            async with asyncio.timeout(seconds):
                addresses = await self.check(url)
                target = RequestTarget.parse(url.partition("#")[0])
                exchange = _Exchange(target, method, headers or {}, body, most)
                return await self._sent(exchange, addresses)
        except Refusal as refusal:
            raise RequestFailed(refusal.message.replace("targetUrl", "the address", 1)) from None
        except TimeoutError:
            raise RequestFailed(f"no complete answer within {seconds:g} s") from None
        except h11.RemoteProtocolError as error:
            raise RequestFailed(f"the answer cannot be read: {reason_of(error)}") from None
        except (OSError, ValueError, h11.LocalProtocolError) as error:
            raise RequestFailed(reason_of(error)) from None

    async def _sent(self, exchange: _Exchange, addresses: list[str]) -> OutgoingAnswer:
        target = exchange.target
        context = await asyncio.to_thread(_tls, self.ca_file) if target.is_tls else None
        name = certificate_name(target.host) if target.is_tls else None
        problem: Exception = OSError("there is no address")
        for address in addresses:
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    reader, writer = await asyncio.open_connection(
                        address, target.port, ssl=context, server_hostname=name
                    )
            except TimeoutError:
                problem = OSError(f"no connection within {_CONNECT_SECONDS:g} s")
                continue
            except OSError as error:
                problem = error
                continue
            try:
                writer.write(exchange.request())
                return await exchange.answer(reader)
            finally:
                writer.transport.abort()
        raise problem


@dataclass(slots=True)
class _Exchange:
    """One request and its answer over one connection."""

    target: RequestTarget
    method: str
    headers: Mapping[str, str]
    body: bytes
    most: int
    _connection: h11.Connection = field(
        default_factory=lambda: h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_HEAD)
    )

    def request(self) -> bytes:
        given = {
            name: value for name, value in self.headers.items() if name.lower() not in _OF_FRAMING
        }
        names = {name.lower() for name in given}
        own = {"User-Agent": f"tm/{__version__}", "Accept-Encoding": "identity"}
        head = [
            ("Host", self.target.authority),
            *((name, value) for name, value in own.items() if name.lower() not in names),
            *given.items(),
            ("Connection", "close"),
        ]
        if self.body or self.method in ("POST", "PUT", "PATCH"):
            head.append(("Content-Length", str(len(self.body))))
        opening = h11.Request(method=self.method, target=self.target.request_target, headers=head)
        parts = [self._connection.send(opening)]
        if self.body:
            parts.append(self._connection.send(h11.Data(data=self.body)))
        parts.append(self._connection.send(h11.EndOfMessage()))
        return b"".join(part or b"" for part in parts)

    async def answer(self, reader: asyncio.StreamReader) -> OutgoingAnswer:
        status, headers, body, received = 0, dict[str, str](), bytearray(), 0
        while True:
            event = self._connection.next_event()
            match event:
                case h11.NEED_DATA:
                    data = await reader.read(_READ)
                    if not (data or status or self._connection.trailing_data[0]):
                        raise OSError("the connection was closed before the answer")
                    received += len(data)
                    if received > _LONGEST_HEAD + _FRAMING * self.most:
                        raise ValueError("the answer is too long")
                    self._connection.receive_data(data)
                case h11.Response():
                    status = event.status_code
                    headers = {
                        name.decode("latin-1"): value.decode("latin-1")
                        for name, value in event.headers
                    }
                case h11.Data():
                    body += event.data
                    if len(body) > self.most:
                        return OutgoingAnswer(status, headers, bytes(body[: self.most]), True)
                case h11.EndOfMessage():
                    return OutgoingAnswer(status, headers, bytes(body))


def _tls(ca_file: str | None) -> ssl.SSLContext:
    """Trusts what load generators trust."""
    usual = ssl.get_default_verify_paths().cafile or certifi.where()
    context = ssl.create_default_context(cafile=usual)
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            raise RequestFailed(f"cannot use the certificates in {ca_file}: {error}") from None
    return context


def reason_of(error: Exception) -> str:
    text = getattr(error, "verify_message", None) or getattr(error, "strerror", None)
    return str(text or error) or type(error).__name__
