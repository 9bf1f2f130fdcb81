"""Captures in a directory of an SFTP server."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tm_cli.server.capture_sources.remote import RemoteError, RemoteFile, reason_of
from tm_cli.values.text import sanitize

if TYPE_CHECKING:
    from asyncssh import SFTPAttrs, SFTPClient, SFTPClientFile, SSHClientConnection

_CHUNK = 1024 * 1024
_CONNECT_TIMEOUT = 10.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class SftpSource:
    """A directory, by default that of the login.

    `host_keys` come from `parse_host_keys` or `read_known_hosts`. Nothing of the user's own SSH is
    used: no agent, no `~/.ssh`.
    """

    name: str
    host: str
    port: int
    user: str
    root_path: str | None
    host_keys: Any
    password: str | None = field(default=None, repr=False)
    private_key: Any = field(default=None, repr=False)
    kind: str = "SFTP"

    async def files(self) -> list[RemoteFile]:
        async with self._connection() as connection:
            return await or_abort(connection, self._listed(connection))

    async def _listed(self, connection: SSHClientConnection) -> list[RemoteFile]:
        client = await _sftp(connection)
        return [
            RemoteFile(str(entry.filename), _size(entry.attrs), _modified(entry.attrs))
            async for entry in client.scandir(self.root_path or ".")
            if _may_be_regular(entry.attrs)
        ]

    async def read(self, name: str) -> AsyncGenerator[bytes, None]:
        async with self._connection() as connection:
            file = await or_abort(connection, self._opened(connection, name))
            while chunk := await or_abort(connection, file.read(_CHUNK)):
                yield cast(bytes, chunk)
            await or_abort(connection, file.close())

    async def _opened(self, connection: SSHClientConnection, name: str) -> SFTPClientFile:
        client = await _sftp(connection)
        path = f"{(self.root_path or '.').rstrip('/')}/{name}"
        if not _may_be_regular(await client.lstat(path)):
            raise RemoteError("it is not a regular file")
        return await client.open(path, "rb")

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[SSHClientConnection]:
        """Log in; raises RemoteError, also for what fails while the connection is used."""
        import asyncssh

        by: Sequence[str] = (
            ["publickey"] if self.private_key else ["password", "keyboard-interactive"]
        )
        try:
            connection = await asyncssh.connect(
                self.host,
                self.port,
                username=self.user,
                password=self.password,
                client_keys=[self.private_key] if self.private_key else None,
                known_hosts=self.host_keys,
                preferred_auth=by,
                config=None,
                agent_path=None,
                x509_trusted_certs=None,
                gss_host=None,
                connect_timeout=_CONNECT_TIMEOUT,
                login_timeout=_CONNECT_TIMEOUT,
            )
            try:
                yield connection
            finally:
                connection.abort()  # closing would wait for the other side
        except asyncssh.HostKeyNotVerifiable:
            raise RemoteError(
                f"the host key of {self.host} is not the one in the configuration"
            ) from None
        except asyncssh.PermissionDenied:
            raise RemoteError(f"{self.host} refuses the login of {self.user}") from None
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
            raise RemoteError("no such file or directory") from None
        except TimeoutError:
            raise RemoteError(f"no answer in {_CONNECT_TIMEOUT:g} s") from None
        except (asyncssh.Error, OSError) as error:
            reason = getattr(error, "reason", None)
            shown = sanitize(reason, longest=200) if reason else reason_of(error)
            raise RemoteError(shown or type(error).__name__) from None


async def or_abort(connection: SSHClientConnection, work: Coroutine[Any, Any, Found]) -> Found:
    """Do the work; when it is cancelled, abort the connection first.

    The library closes what it has opened even then, and would wait for the other side.
    """
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        connection.abort()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise


async def _sftp(connection: SSHClientConnection) -> SFTPClient:
    return await connection.start_sftp_client(path_errors="surrogateescape")


def parse_host_keys(texts: Sequence[str] | None) -> Any:
    """The keys of a server as `SftpSource` takes them; raises ValueError."""
    import asyncssh

    try:
        return [asyncssh.import_public_key(text) for text in texts or ()], [], []
    except ValueError as error:
        raise ValueError(
            f"host_key: {sanitize(error)}; expected for instance ssh-ed25519 AAAAC3..."
        ) from None


def read_known_hosts(path: Path) -> Any:
    """A file of OpenSSH as `SftpSource` takes it; raises ValueError."""
    import asyncssh

    try:
        return asyncssh.read_known_hosts(str(path))
    except (OSError, ValueError) as error:
        raise ValueError(f"known_hosts_file: {path}: {reason_of(error)}") from None


def read_private_key(path: Path, passphrase: str | None) -> Any:
    """A key as `SftpSource` takes it; raises ValueError, with nothing of the file in it."""
    import asyncssh

    try:
        return asyncssh.read_private_key(path, passphrase)
    except (OSError, ValueError) as error:
        raise ValueError(f"private_key_file: {path}: {reason_of(error)}") from None


def _may_be_regular(attributes: SFTPAttrs) -> bool:
    """Neither a directory nor a link, which may lead out of the root; servers may not tell."""
    mode = attributes.permissions
    return mode is None or stat.S_IFMT(mode) in (0, stat.S_IFREG)


def _size(attributes: SFTPAttrs) -> int:
    return -1 if attributes.size is None else attributes.size


def _modified(attributes: SFTPAttrs) -> datetime:
    try:
        return datetime.fromtimestamp(attributes.mtime or 0, UTC)
    except (ValueError, OverflowError, OSError):
        return _EPOCH
