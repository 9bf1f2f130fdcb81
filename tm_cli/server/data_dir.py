"""The server's directory: private, used by one server at a time, with the key next to the data."""

from __future__ import annotations

import hmac
import json
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from tm_cli.errors import ConfigurationError
from tm_cli.runtime.announcement import find_running_in_checked, read_announcement
from tm_cli.runtime.files import write_atomic
from tm_cli.runtime.trusted_files import (
    DATABASE,
    INFO_FILE,
    KEY_FILE,
    LOCK_FILE,
    prepare_data_dir,
    read_key,
)
from tm_cli.server.store.profiles import SettingStore
from tm_cli.server.web.guard import digest_of

_DIGEST = "api_key_sha256"
_PROOF_TIMEOUT = 1.0
_HINT = "check its owner and permissions, or choose another directory with TM_DATA_DIR"


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """Where a running server is found; the key itself stays in its file.

    `public_url` is what clients on other hosts call it, if they can. `allow_public_targets` counts
    for all runs, whatever the command that starts one is set to.
    """

    base_url: str
    api_key_file: Path
    pid: int
    public_url: str | None = None
    allow_public_targets: bool = False


def _lock_directory(path: Path) -> int | None:
    """Lock the directory itself: programs that clean up delete lock files while they are held.

    Returns a descriptor that holds the lock until it is closed; None where directories know no
    locks, as on Windows, where no open file can be deleted, and on some network file systems.
    Raises BlockingIOError when another server has it.
    """
    if sys.platform == "win32":
        return None
    import fcntl

    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


@dataclass(frozen=True, slots=True)
class DataDir:
    """Names and permissions of what the server keeps."""

    path: Path

    @property
    def database(self) -> Path:
        return self.path / DATABASE

    @property
    def key_file(self) -> Path:
        return self.path / KEY_FILE

    @property
    def info_file(self) -> Path:
        return self.path / INFO_FILE

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Make the directory and hold it; raises ConfigurationError when another server does."""
        lock = FileLock(self.path / LOCK_FILE, timeout=0, mode=0o600)
        directory = None
        try:
            prepare_data_dir(self.path, os.environ)
            lock.acquire()
            directory = _lock_directory(self.path)
        except (Timeout, BlockingIOError):
            lock.release()
            raise self._in_use() from None
        except OSError as error:
            lock.release()
            raise ConfigurationError(f"cannot use {self.path}: {error}", hint=_HINT) from error
        try:
            # Where the directory knows no locks, the lock file of a server may have been deleted.
            if find_running_in_checked(self.path, os.environ, _PROOF_TIMEOUT):
                raise self._in_use()
            try:
                yield
            finally:
                self.info_file.unlink(missing_ok=True)
        finally:
            if directory is not None:
                os.close(directory)
            lock.release()

    def _in_use(self) -> ConfigurationError:
        where = "another server"
        if (announced := read_announcement(self.path, os.environ)) is not None:
            where = f"the server at {announced.base_url.rstrip('/')} (process {announced.pid})"
        return ConfigurationError(
            f"{self.path} is in use by {where}",
            hint="stop that server, or give this one another data directory",
        )

    def key(self, settings: SettingStore) -> str:
        """The key, generated at the first start; the database has its digest."""
        stored = settings.get(_DIGEST)
        try:
            key = read_key(self.path, os.environ)
        except FileNotFoundError:
            return self._new_key(settings)
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"cannot read {self.key_file}: {error}", hint=_HINT) from error
        if stored is None or not hmac.compare_digest(digest_of(key), stored):
            raise ConfigurationError(
                f"{self.key_file} does not hold the key of this server",
                hint="delete the file, and the next start makes a new key",
            )
        return key

    def _new_key(self, settings: SettingStore) -> str:
        key = "tm_" + secrets.token_hex(32)
        settings.put(_DIGEST, digest_of(key))
        write_atomic(self.key_file, key + "\n", mode=0o600)
        # Some file systems know no permissions; then the key would be refused from now on.
        return read_key(self.path, os.environ)

    def announce(self, info: ServerInfo) -> None:
        """Write `server.json`, which is removed when the directory is released.

        By then the database is closed: a copy of it is whole once this file is gone.
        """
        content = {
            "base_url": info.base_url,
            "pid": info.pid,
            "api_key_file": os.path.realpath(info.api_key_file),
            "allow_public_targets": info.allow_public_targets,
        }
        write_atomic(self.info_file, json.dumps(content) + "\n", mode=0o600)
