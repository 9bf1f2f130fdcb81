"""A WebSocket to the server, and why there is none."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import ssl
from collections.abc import Awaitable
from typing import Any, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
)

from tm_cli import __version__
from tm_cli.errors import ConfigurationError, TmError
from tm_cli.exit_codes import ExitCode
from tm_cli.server.agent.options import AgentOptions
from tm_cli.server.workers.agent_protocol import MAX_MESSAGE, SECRET_HEADER, TunnelTicket
from tm_cli.values.text import sanitize

_Result = TypeVar("_Result")

_STOPS = frozenset({1001, 1012})
"""Codes with which a server that stops or restarts closes its connections."""

_NORMAL = 1000
_INTERNAL_ERROR = 1011
_NUMBER = re.compile(r"\[Errno ([0-9]{1,5})\]")


def why_closed(error: ConnectionClosed) -> str:
    if error.rcvd is None:
        return "connection lost"
    code, reason = error.rcvd.code, sanitize(error.rcvd.reason)
    if code in _STOPS:
        return "the server is stopping or restarting"
    detail = f": {reason}" if reason else ""
    if code == _NORMAL:
        return f"the server closed it{detail}"
    if code == _INTERNAL_ERROR:
        return f"the server ran into an error{detail}"
    return f"the server closed it (code {code}{detail})"


def why_not_opened(error: Exception, *, is_encrypted: bool) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"{sanitize(error.verify_message)} (TM_CA_FILE names certificates to trust)"
        case ssl.SSLError():
            reason = sanitize(getattr(error, "reason", None) or error)
            return f"the TLS handshake failed ({reason}); does the server use plain http?"
        case InvalidMessage() if not is_encrypted:
            return "the response was not HTTP; if the server has a certificate, use https"
        case TimeoutError() if error.errno is None:
            return "timed out"
        case ConnectionRefusedError():
            return "connection refused"
        case socket.gaierror():
            return f"unknown host name ({sanitize(error.strerror)})"
    return _without_numbers(error) or sanitize(error) or type(error).__name__


def _without_numbers(error: Exception) -> str:
    """The system's message for each error number; a host with two addresses has two."""
    numbers = dict.fromkeys(_NUMBER.findall(str(error)))
    return " and ".join(os.strerror(int(number)).lower() for number in numbers)


_OPEN_TIMEOUT = 10.0
_NEXT_ADDRESS = 0.25
"""Seconds after which the next address of the server is tried while one is silent."""
_CLOSE_TIMEOUT = 0.5
_MAX_REASON = 120
"""Bytes; a WebSocket takes 123."""


class AuthenticationError(TmError):
    """The server rejects the key."""

    exit_code = ExitCode.AUTHENTICATION
    slug = "authentication"


class _Connect(connect):
    """Follows no redirect: it could leak the key to another host."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class ServerConnection:
    """An open connection; once it is closed, calls raise ConnectionError."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, options: AgentOptions, url: str, **how: Any) -> ServerConnection:
        """Connect; raises ConnectionError when that may work later, else a TmError."""
        headers = {"X-Api-Key": options.key.reveal().decode("latin-1"), **how.pop("headers", {})}
        try:
            connection = await _Connect(
                url,
                additional_headers=headers,
                user_agent_header=f"tm-cli/{__version__}",
                ssl=options.tls,
                proxy=options.proxy,
                compression=None,
                open_timeout=_OPEN_TIMEOUT,
                close_timeout=_CLOSE_TIMEOUT,
                ping_interval=None,  # both ends send heartbeats of their own
                max_size=MAX_MESSAGE,
                **(how or {"happy_eyeballs_delay": _NEXT_ADDRESS}),
                **options.certificate_name,
            )
        except InvalidStatus as error:
            raise _refused(error) from None
        except InvalidURI as error:
            raise ConfigurationError(
                f"cannot connect to {options.server}: {sanitize(error)}"
            ) from None
        except (OSError, TimeoutError, EOFError, InvalidHandshake) as error:
            reason = why_not_opened(error, is_encrypted=options.tls is not None)
            raise ConnectionError(reason) from None
        return cls(connection)

    async def open_tunnel(self, options: AgentOptions, ticket: TunnelTicket) -> ServerConnection:
        """Open the tunnel of a ticket, to the very address that the ticket has come from."""
        host, port = self._connection.remote_address[:2]
        return await self.open(
            options,
            options.tunnel_url(ticket.run),
            headers={SECRET_HEADER: ticket.secret},
            **({} if options.proxy else {"host": host, "port": port}),
        )

    async def receive_text(self) -> str:
        return await self._call(self._connection.recv(decode=True))

    async def receive_bytes(self) -> bytes:
        return await self._call(self._connection.recv(decode=False))

    async def send_text(self, text: str) -> None:
        await self._call(self._connection.send(text))

    async def send_bytes(self, data: bytes) -> None:
        await self._call(self._connection.send(data))

    async def wait_closed(self) -> None:
        await self._connection.wait_closed()

    async def _call(self, step: Awaitable[_Result]) -> _Result:
        try:
            return await step
        except ConnectionClosed as error:
            raise ConnectionError(why_closed(error)) from None

    async def close(self, reason: str = "") -> None:
        """Close without waiting long for a peer that may be dead."""
        short = reason.encode()[:_MAX_REASON].decode("utf-8", "ignore")
        try:
            async with asyncio.timeout(2 * _CLOSE_TIMEOUT):
                await self._connection.close(reason=short)
        except TimeoutError:
            self._connection.transport.abort()


def _refused(error: InvalidStatus) -> Exception:
    status = error.response.status_code
    reason = _reason(error.response.body) or f"status {status}"
    if status in (401, 403):
        return AuthenticationError(
            f"the server refuses the agent: {reason}",
            hint="check TM_API_KEY or --api-key-file",
        )
    if status == 421:
        return ConfigurationError(
            f"the server does not accept that host name: {reason}",
            hint="tm serve --hostname NAME permits a name",
        )
    if status < 500 and status != 429:
        return ConfigurationError(
            f"the server refuses the agent: {reason}",
            hint="only an embedded server (`tm serve`) of the same version accepts agents",
        )
    return ConnectionError(reason)


def _reason(body: bytes | bytearray | None) -> str:
    try:
        return sanitize(json.loads(body or b"")["error"])
    except (ValueError, KeyError, TypeError):
        return ""
