"""The connection of an agent to its server, and the options of an agent."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

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
from tm_cli.server.workers.agent_protocol import MAX_FRAME, PATH
from tm_cli.server.workers.local_worker import DEFAULT_COMMAND
from tm_cli.values.api_key import ApiKey
from tm_cli.values.text import clean
from tm_cli.values.urls import is_loopback


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """`server` is a base URL ending in `/`; `tls` is None for plain http."""

    server: str
    key: ApiKey
    region: str
    name: str
    workers: int = 1
    allow_public_targets: bool = False
    tls: ssl.SSLContext | None = None
    engine_command: Sequence[str] = DEFAULT_COMMAND

    @property
    def url(self) -> str:
        query = urlencode({"region": self.region, "name": self.name, "version": __version__})
        scheme, _, rest = self.server.partition("://")
        return f"{'wss' if scheme.lower() == 'https' else 'ws'}://{rest}{PATH}?{query}"

    @property
    def may_use_proxy(self) -> bool:
        """Whether a proxy named by the environment is meant for this server."""
        return not is_loopback(self.server)


_STOPS = frozenset({1001, 1012})
"""Codes with which a server that stops or restarts closes its connections."""

_NORMAL = 1000
_INTERNAL_ERROR = 1011
_NUMBER = re.compile(r"\[Errno ([0-9]{1,5})\]")


def why_closed(error: ConnectionClosed) -> str:
    if error.rcvd is None:
        return "connection lost"
    code, reason = error.rcvd.code, clean(error.rcvd.reason)
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
            return f"{clean(error.verify_message)} (TM_CA_FILE names certificates to trust)"
        case ssl.SSLError():
            reason = clean(getattr(error, "reason", None) or error)
            return f"the TLS handshake failed ({reason}); does the server use plain http?"
        case InvalidMessage() if not is_encrypted:
            return "the response was not HTTP; if the server has a certificate, use https"
        case TimeoutError() if error.errno is None:
            return "timed out"
        case ConnectionRefusedError():
            return "connection refused"
        case socket.gaierror():
            return f"unknown host name ({clean(error.strerror)})"
    return _without_numbers(error) or clean(error) or type(error).__name__


def _without_numbers(error: Exception) -> str:
    """The system's message for each error number; a host with two addresses has two."""
    numbers = dict.fromkeys(_NUMBER.findall(str(error)))
    return " and ".join(os.strerror(int(number)).lower() for number in numbers)


_OPEN_TIMEOUT = 10.0
_CLOSE_TIMEOUT = 0.5


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
    async def open(cls, options: AgentOptions) -> ServerConnection:
        """Connect; raises ConnectionError when that may work later, else a TmError."""
        try:
            connection = await _Connect(
                options.url,
                additional_headers={"X-Api-Key": options.key.reveal().decode("latin-1")},
                user_agent_header=f"tm-cli/{__version__}",
                ssl=options.tls,
                proxy=True if options.may_use_proxy else None,
                compression=None,
                open_timeout=_OPEN_TIMEOUT,
                close_timeout=_CLOSE_TIMEOUT,
                ping_interval=None,  # both ends send heartbeats of their own
                max_size=MAX_FRAME,
            )
        except InvalidStatus as error:
            raise _refused(error) from None
        except InvalidURI as error:
            raise ConfigurationError(
                f"cannot connect to {options.server}: {clean(error)}"
            ) from None
        except (OSError, TimeoutError, EOFError, InvalidHandshake) as error:
            reason = why_not_opened(error, is_encrypted=options.tls is not None)
            raise ConnectionError(reason) from None
        return cls(connection)

    async def receive(self) -> str:
        try:
            message = await self._connection.recv(decode=True)
        except ConnectionClosed as error:
            raise ConnectionError(why_closed(error)) from None
        return str(message)

    async def send(self, text: str) -> None:
        try:
            await self._connection.send(text)
        except ConnectionClosed as error:
            raise ConnectionError(why_closed(error)) from None

    async def close(self) -> None:
        """Close without waiting long for a peer that may be dead."""
        try:
            await asyncio.wait_for(self._connection.close(), 2 * _CLOSE_TIMEOUT)
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
        return clean(json.loads(body or b"")["error"])
    except (ValueError, KeyError, TypeError):
        return ""
