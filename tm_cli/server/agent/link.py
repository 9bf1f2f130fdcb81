"""The connection of an agent to its server."""

from __future__ import annotations

import asyncio
import json

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from tm_cli import __version__
from tm_cli.errors import ConfigurationError, TmError
from tm_cli.exit_codes import ExitCode
from tm_cli.server.agent.options import AgentOptions
from tm_cli.server.agent.outage import why_closed, why_not_opened
from tm_cli.server.crew.frames import MAX_FRAME
from tm_cli.text import clean

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
