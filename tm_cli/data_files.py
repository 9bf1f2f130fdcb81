"""The files of the embedded server: which are believed, and which may be written.

A data directory can come with a repository, out of a cache, or from another user. Then its key,
its address and its history are somebody else's, and its links lead elsewhere.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tm_cli.errors import ConfigurationError
from tm_cli.git_index import has_tracked_files
from tm_cli.ownership import TRUSTED_OWNERS, is_trusted_owner
from tm_cli.private_dir import make_private_dir

DATABASE = "tm.db"
KEY_FILE = "api-key"
INFO_FILE = "server.json"
LOCK_FILE = "server.lock"
LOG_FILE = "server.log"
DATABASE_FILES = (DATABASE, "tm.db-journal", "tm.db-wal", "tm.db-shm")
FILES = (*DATABASE_FILES, KEY_FILE, INFO_FILE, LOCK_FILE, LOG_FILE)

_IGNORED = ".gitignore"
_LONGEST_KEY = 4 * 1024
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_ELSEWHERE = "choose another directory with TM_DATA_DIR"
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # a pipe in the place of a file must not hold us up
_BINARY = getattr(os, "O_BINARY", 0)


def check_data_dir(path: Path, environ: Mapping[str, str]) -> None:
    """Raise ConfigurationError unless a server of the user may keep its data in `path`.

    What does not exist yet is fine. Nothing is changed.
    """
    status = _status(path)
    if status is not None:
        _check_directory(path, status, environ)
        for name in FILES:
            check_data_file(path / name, environ)
    if has_tracked_files(path, environ):
        raise ConfigurationError(
            f"{path} holds files of a git repository: a history from a repository is not believed",
            hint=f"git rm -r --cached {_shown(path)}, and delete what is not yours; "
            f"or {_ELSEWHERE}",
        )
    if (key := _status(path / KEY_FILE)) is not None:
        _check_private(path / KEY_FILE, key)


def prepare_data_dir(path: Path, environ: Mapping[str, str]) -> None:
    """Make `path` ready for a server: there, the user's own, and for the user alone.

    Raises ConfigurationError like `check_data_dir`, and OSError when it cannot be made.
    """
    check_data_dir(path, environ)
    make_private_dir(path)
    is_known = os.access in os.supports_effective_ids
    if not os.access(path, os.W_OK | os.X_OK, effective_ids=is_known):
        raise ConfigurationError(f"nothing can be written in {path}", hint=_ELSEWHERE)
    _take_over(path)
    for name in FILES:  # again: until now others might have put something there
        check_data_file(path / name, environ)


def check_data_file(path: Path, environ: Mapping[str, str]) -> None:
    """Raise ConfigurationError unless `path` is a regular file of the user, or not there."""
    if (status := _status(path)) is not None:
        _check_file(path, status, environ)


def open_data_file(path: Path, flags: int, environ: Mapping[str, str]) -> int:
    """Open a file and return its descriptor; a new one is for its owner alone.

    Raises ConfigurationError for what `check_data_file` refuses, and OSError.
    """
    check_data_file(path, environ)
    descriptor = os.open(path, flags | _NO_FOLLOW | _NO_WAIT | _BINARY, 0o600)
    try:
        _check_file(path, os.fstat(descriptor), environ)
    except ConfigurationError:
        os.close(descriptor)
        raise
    return descriptor


def read_private_file(path: Path, environ: Mapping[str, str], limit: int) -> str:
    """Return the text of a file that only the user can read or write.

    Raises ConfigurationError when others can, or when it is longer than `limit` bytes; OSError and
    ValueError when it cannot be read.
    """
    with os.fdopen(open_data_file(path, os.O_RDONLY, environ), "rb") as file:
        _check_private(path, os.fstat(file.fileno()))
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ConfigurationError(f"{path} is too long")
    return content.decode("utf-8")


def read_key(data_dir: Path, environ: Mapping[str, str]) -> str:
    """Return the API key of a server; raises what `read_private_file` does."""
    return read_private_file(data_dir / KEY_FILE, environ, _LONGEST_KEY).strip()


def is_private_dir(path: Path) -> bool:
    """Whether only the owner can put files into `path`; it must exist."""
    return os.name != "posix" or not os.lstat(path).st_mode & _OTHERS_WRITE


def _status(path: Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise ConfigurationError(f"cannot look at {path}: {reason}", hint=_ELSEWHERE) from None


def _check_directory(path: Path, status: os.stat_result, environ: Mapping[str, str]) -> None:
    if _is_link(status):
        raise ConfigurationError(
            f"{path} is a link, and the embedded server keeps its data in no linked directory",
            hint="name the directory itself with TM_DATA_DIR, or remove the link",
        )
    if not stat.S_ISDIR(status.st_mode):
        raise ConfigurationError(
            f"cannot keep the embedded server's data in {path}: it is not a directory",
            hint=_ELSEWHERE,
        )
    _check_owner(path, status, environ)


def _check_file(path: Path, status: os.stat_result, environ: Mapping[str, str]) -> None:
    if _is_link(status) or not stat.S_ISREG(status.st_mode):
        what = "a link" if _is_link(status) else "not a regular file"
        raise ConfigurationError(
            f"{path} is {what}: the embedded server has not made it",
            hint=f"remove it, or {_ELSEWHERE}",
        )
    if status.st_nlink > 1:
        file, copy = _shown(path), _shown(path.with_name(f"{path.name}.copy"))
        raise ConfigurationError(
            f"{path} has a second name elsewhere (a hard link), under which it can be changed",
            hint=f"keep a copy of its own: cp -p {file} {copy} && mv {copy} {file}; "
            f"or {_ELSEWHERE}",
        )
    _check_owner(path, status, environ)


def _check_owner(path: Path, status: os.stat_result, environ: Mapping[str, str]) -> None:
    if os.name == "posix" and not is_trusted_owner(status.st_uid, environ):
        raise ConfigurationError(
            f"{path} belongs to another user (id {status.st_uid})",
            hint=f"{_ELSEWHERE}, or trust that user: {TRUSTED_OWNERS}={status.st_uid}",
        )


def _check_private(path: Path, status: os.stat_result) -> None:
    if os.name == "posix" and status.st_mode & _OTHERS:
        raise ConfigurationError(
            f"other users may read or write {path}",
            hint=f"chmod 600 {_shown(path)}; where that changes nothing, {_ELSEWHERE}",
        )


def _is_link(status: os.stat_result) -> bool:
    """Symbolic links, and what Windows calls a junction."""
    junction = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", None)
    return stat.S_ISLNK(status.st_mode) or (
        junction is not None and getattr(status, "st_reparse_tag", 0) == junction
    )


def _take_over(path: Path) -> None:
    """Take from others what they may do in a directory of ours; a cache may have given it.

    A directory with other things in it stays as it is, but others must not be able to write there.
    """
    status = os.lstat(path)
    if _may_change(status) and all(_is_ours(item.name) for item in path.iterdir()):
        if os.name == "posix" and status.st_mode & _OTHERS:
            path.chmod(0o700)
        with suppress(FileExistsError), (path / _IGNORED).open("x", encoding="utf-8") as file:
            file.write("*\n")
    if not is_private_dir(path):  # also where a file system knows no permissions
        raise ConfigurationError(
            f"other users may write to {path}",
            hint=f"chmod go-w {_shown(path)}; where that changes nothing, {_ELSEWHERE}",
        )


def _may_change(status: os.stat_result) -> bool:
    return os.name != "posix" or os.geteuid() in (0, status.st_uid)


def _is_ours(name: str) -> bool:
    is_draft = name.startswith(".") and name.endswith(".new")
    return name in FILES or name == _IGNORED or is_draft


def _shown(path: Path) -> str:
    """The path as one would type it here, in quotes where it needs them."""
    try:
        shown = os.path.relpath(path)
    except (OSError, ValueError):  # no current directory, or another drive
        shown = str(path)
    shown = str(path) if shown.startswith("..") else shown
    return shlex.quote(shown) if os.name == "posix" else f'"{shown}"'
