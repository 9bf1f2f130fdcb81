"""API keys that `tm auth login` has stored, and key files.

A stored key is in the system keyring, or in a file of the user alone, under its system and base
URL, so that it is found for no other server.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tm_cli.errors import ConfigurationError
from tm_cli.runtime.files import make_private_dir, write_atomic
from tm_cli.values.api_key import ApiKey
from tm_cli.values.text import without_text

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

KEYRING = "(keyring)"
"""The place of a key in the system keyring."""

_USABLE = 1
"""Priority from which a backend of the package `keyring` is a keyring of the system."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key and its place: `KEYRING`, or a path."""

    key: ApiKey
    place: str


class StoredKeys:
    """The stored keys of one user; `directory` holds those that no keyring keeps, None for none.

    `problem` says why the keyring could not be asked, None when it could or was not needed.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory or Path(os.devnull)  # no file is below it
        self.problem: str | None = None

    def find(self, system: str, base_url: str) -> StoredKey | None:
        """Return the key for exactly this server, None when none is stored.

        Raises ConfigurationError for a file that others may read or that is not a key file.
        """
        path = self._path(system, base_url)
        if os.path.isfile(path):  # noqa: PTH113  # False where it may not be looked at
            return StoredKey(read_stored(path, system, base_url), str(path))
        text = self._in_keyring(system, base_url)
        return StoredKey(parse_stored(text, "the system keyring"), KEYRING) if text else None

    def save(self, system: str, base_url: str, key: ApiKey) -> str:
        """Store a key in place of an earlier one and return its place.

        The keyring is preferred; where there is none, or it refuses, a file of mode 0600 is
        written. Raises ConfigurationError when neither is possible.
        """
        try:
            text = key.reveal().decode()
        except UnicodeDecodeError:
            raise ConfigurationError("the API key is not UTF-8, and cannot be stored") from None
        path = self._path(system, base_url)
        try:
            if self._put_into_keyring(system, base_url, text):
                path.unlink(missing_ok=True)
                return KEYRING
            write_stored(path, {"system": system, "base_url": base_url, "key": text})
        except OSError as problem:
            raise ConfigurationError(
                f"cannot store the API key as {path}: {problem.strerror}",
                hint="TM_CONFIG_DIR names another directory",
            ) from None
        return str(path)

    def remove(self, system: str, base_url: str) -> list[str]:
        """Remove the key of a server and return the places where it was.

        Raises ConfigurationError when one cannot be removed.
        """
        places, path = [], self._path(system, base_url)
        try:
            path.unlink()
            places.append(str(path))
        except FileNotFoundError:
            pass
        except OSError as problem:
            raise ConfigurationError(f"cannot remove {path}: {problem.strerror}") from None
        if self._in_keyring(system, base_url) is not None and (backend := _backend()):
            try:
                backend.delete_password(_service(system), base_url)
            except Exception as problem:  # backends raise what they like
                raise ConfigurationError(_refused(problem)) from None
            places.append(KEYRING)
        if self.problem is not None:
            raise ConfigurationError(f"a key may be left: {self.problem}")
        return places

    def _path(self, system: str, base_url: str) -> Path:
        digest = hashlib.sha256(base_url.encode("utf-8", "surrogateescape")).hexdigest()
        return self._directory / f"{system}-{digest[:16]}.json"

    def _in_keyring(self, system: str, base_url: str) -> str | None:
        if (backend := _backend()) is None:
            return None
        try:
            return backend.get_password(_service(system), base_url)
        except Exception as problem:  # backends raise what they like
            self.problem = _refused(problem)
            return None

    def _put_into_keyring(self, system: str, base_url: str, key: str) -> bool:
        if (backend := _backend()) is None:
            return False
        try:
            backend.set_password(_service(system), base_url, key)
        except Exception as problem:  # backends raise what they like
            self.problem = _refused(problem)
            return False
        return True


def _backend() -> KeyringBackend | None:
    """The system's keyring, None without the package or where it knows no real keyring."""
    try:
        import keyring

        backend = keyring.get_keyring()
        is_usable = backend.priority >= _USABLE
    except Exception:  # the package is missing, or what it found does not work
        return None
    return backend if is_usable else None


def _service(system: str) -> str:
    return f"tm {system}"


def _refused(problem: Exception) -> str:
    """Name only the type of the problem: its text may hold anything, the key as well."""
    return f"the system keyring could not be used ({type(problem).__name__})"


_FILE_NAME = re.compile(r"[^/\\\\]*\.[a-z]{1,6}")


def shown_key_file(path: Path) -> str:
    """Return a path for people, unless it may be a key that was given in place of its file."""
    with suppress(OSError, RuntimeError, ValueError):
        file = path.expanduser()
        is_in_directory = len(file.parts) > 1 and file.parent != Path(file.anchor)
        if os.path.lexists(file) or (is_in_directory and file.parent.is_dir()):
            return str(path)
    if _FILE_NAME.fullmatch(path.name):
        return str(path)
    return without_text(str(path))


def read_key_file(path: Path) -> ApiKey:
    """Return the key in `path`, without a byte order mark and the line break at its end.

    Raises ConfigurationError when it cannot be read, others may change it, or it holds no key.
    """
    shown = shown_key_file(path)
    where = f"the API key file {shown}"
    try:
        text = path.expanduser().read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as problem:
        raise ConfigurationError(
            f"cannot read {where}: {problem.strerror}",
            hint=None if shown == str(path) else "it names a file; a key itself is for TM_API_KEY",
        ) from None
    except RuntimeError:  # `~user` of a user who does not exist, or `~` without a home
        raise ConfigurationError(f"cannot read {where}: no such home") from None
    except ValueError:
        raise ConfigurationError(f"cannot read {where}: no file has such a name") from None
    try:
        return ApiKey(text.removesuffix("\n").removesuffix("\r"))
    except ValueError as problem:
        raise ConfigurationError(f"{shown}: {problem}") from None


def key_file_warning(path: Path) -> str | None:
    """Return a warning about a key file that everyone may write, None for any other.

    It is read nevertheless: some CI runners write the files of their secrets like this.
    """
    with suppress(OSError, RuntimeError, ValueError):
        if os.name == "posix" and path.expanduser().stat().st_mode & stat.S_IWOTH:
            file = shlex.quote(str(path))
            return f"every user of this machine can change the API key in {path}; chmod 600 {file}"
    return None


def write_stored(path: Path, content: dict[str, str]) -> None:
    """Write a file for its owner alone, whole or not at all; raises OSError."""
    make_private_dir(path.parent)
    if os.name == "posix":
        path.parent.chmod(stat.S_IRWXU)
    write_atomic(path, json.dumps(content), mode=0o600)


def read_stored(path: Path, system: str, base_url: str) -> ApiKey:
    """Return the key that a file holds for exactly this server.

    Raises ConfigurationError when others may read the file, and when it holds anything else.
    """
    again = "remove it, and store the key again with `tm auth login`"
    try:
        with path.open(encoding="utf-8-sig") as file:
            if os.name == "posix":
                _check_private(path, os.fstat(file.fileno()))
            content = json.load(file)
    except OSError as problem:
        raise ConfigurationError(f"cannot read {path}: {problem.strerror}") from None
    except (ValueError, RecursionError):
        raise ConfigurationError(f"{path} is not a stored key", hint=again) from None
    if not isinstance(content, dict) or not isinstance(key := content.get("key"), str):
        raise ConfigurationError(f"{path} is not a stored key", hint=again)
    if (content.get("system"), content.get("base_url")) != (system, base_url):
        raise ConfigurationError(f"{path} holds the key of another server", hint=again)
    return parse_stored(key, str(path))


def _check_private(path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.getuid():
        raise ConfigurationError(f"{path} holds an API key and belongs to another user")
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationError(
            f"{path} holds an API key and others may read it",
            hint=f"chmod 600 {shlex.quote(str(path))}, and consider a new key",
        )


def parse_stored(text: str, place: str) -> ApiKey:
    """Return the key that a place holds; raises ConfigurationError naming the place."""
    try:
        return ApiKey(text)
    except ValueError as problem:
        raise ConfigurationError(f"{place}: {problem}") from None
