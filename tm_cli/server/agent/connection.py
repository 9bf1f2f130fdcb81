"""What a user can choose about an agent."""

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
from tm_cli.server.workers.agent_protocol import LARGEST_FRAME, PATH
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
        """Where to knock."""
        query = urlencode({"region": self.region, "name": self.name, "version": __version__})
        scheme, _, rest = self.server.partition("://")
        return f"{'wss' if scheme.lower() == 'https' else 'ws'}://{rest}{PATH}?{query}"

    @property
    def may_use_proxy(self) -> bool:
        """Whether a proxy named by the environment is meant for this server."""
        return not is_loopback(self.server)


_STOPS = frozenset({1001, 1012})
"""Codes with which a server that stops or restarts closes its connections."""

_CALM = 1000
_BROKEN = 1011
_NUMBER = re.compile(r"\[Errno ([0-9]{1,5})\]")


def why_closed(error: ConnectionClosed) -> str:
    """Say how an open connection came to its end."""
    if error.rcvd is None:
        return "it broke off"
    code, reason = error.rcvd.code, clean(error.rcvd.reason)
    if code in _STOPS:
        return "the server stops or restarts"
    said = f": {reason}" if reason else ""
    if code == _CALM:
        return f"the server closed it{said}"
    if code == _BROKEN:
        return f"the server ran into an error{said}"
    return f"the server closed it (code {code}{said})"


def why_not_opened(error: Exception, *, is_encrypted: bool) -> str:
    """Say why a connection could not be opened; `is_encrypted` is how it was tried."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"{clean(error.verify_message)} (TM_CA_FILE names certificates to trust)"
        case ssl.SSLError():
            reason = clean(getattr(error, "reason", None) or error)
            return f"no TLS came about ({reason}); does the server answer by http?"
        case InvalidMessage() if not is_encrypted:
            return "the answer was no HTTP; if the server has a certificate, try https"
        case TimeoutError() if error.errno is None:
            return "no answer in time"
        case ConnectionRefusedError():
            return "connection refused"
        case socket.gaierror():
            return f"the name of the host is not known ({clean(error.strerror)})"
    return _without_numbers(error) or clean(error) or type(error).__name__


def _without_numbers(error: Exception) -> str:
    """What the system says of each error number; a host with two addresses has two."""
    numbers = dict.fromkeys(_NUMBER.findall(str(error)))
    return " and ".join(os.strerror(int(number)).lower() for number in numbers)


_OPEN_TIMEOUT = 10.0
_CLOSE_TIMEOUT = 0.5


class AuthenticationError(TmError):
    """The server does not take the key."""

    exit_code = ExitCode.AUTHENTICATION
    slug = "authentication"


class _Connect(connect):
    """Follows no redirect: it could carry the key to somebody else."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Link:
    """An open connection; its end is told as ConnectionError."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, options: AgentOptions) -> Link:
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
                ping_interval=None,  # both ends give signs of life of their own
                max_size=LARGEST_FRAME,
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
        """The next text."""
        try:
            message = await self._connection.recv(decode=True)
        except ConnectionClosed as error:
            raise ConnectionError(why_closed(error)) from None
        return str(message)

    async def send(self, text: str) -> None:
        """Send a text."""
        try:
            await self._connection.send(text)
        except ConnectionClosed as error:
            raise ConnectionError(why_closed(error)) from None

    async def close(self) -> None:
        """Say goodbye, but do not wait for a peer who may be dead."""
        try:
            await asyncio.wait_for(self._connection.close(), 2 * _CLOSE_TIMEOUT)
        except TimeoutError:
            self._connection.transport.abort()


def _refused(error: InvalidStatus) -> Exception:
    """What the server's answer means for the agent."""
    status = error.response.status_code
    reason = _reason(error.response.body) or f"status {status}"
    if status in (401, 403):
        return AuthenticationError(
            f"the server does not let the agent in: {reason}",
            hint="check TM_API_KEY or --api-key-file",
        )
    if status == 421:
        return ConfigurationError(
            f"the server does not answer to that address: {reason}",
            hint="tm serve --hostname NAME permits a name",
        )
    if status < 500 and status != 429:
        return ConfigurationError(
            f"the server does not take the agent: {reason}",
            hint="only an embedded server (`tm serve`) of the same version takes agents",
        )
    return ConnectionError(reason)


def _reason(body: bytes | bytearray | None) -> str:
    try:
        return clean(json.loads(body or b"")["error"])
    except (ValueError, KeyError, TypeError):
        return ""
