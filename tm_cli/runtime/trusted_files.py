"""Whether a file may be believed: the user's own, no link, not tracked by git."""

from __future__ import annotations

import os
import re
import shlex
import stat
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from tm_cli.errors import ConfigurationError
from tm_cli.runtime.files import make_private_dir

TRUSTED_OWNERS = "TM_TRUSTED_OWNERS"
"""Variable with the ids of other users whose files count as the user's, with commas between."""

_ROOT = 0


def is_trusted_owner(uid: int, environ: Mapping[str, str]) -> bool:
    """Whether files of the user `uid` count as the user's own.

    They do for the user that tm runs as, for root, for the user who called `sudo`, and for those
    named in TM_TRUSTED_OWNERS. Platforms without user ids have no other owners.
    """
    if not hasattr(os, "geteuid"):
        return True
    me = os.geteuid()
    if uid in (me, _ROOT):
        return True
    named = environ.get(TRUSTED_OWNERS, "").split(",")
    if me == _ROOT:  # for anybody else the variable says nothing about who is at the keyboard
        named.append(environ.get("SUDO_UID", ""))
    return uid in {int(text) for item in named if _is_id(text := item.strip())}


def _is_id(text: str) -> bool:
    """Decimal digits alone: `int` takes more, and refuses texts that are too long."""
    return text.isascii() and text.isdecimal() and len(text) <= 20


_TIMEOUT = 5.0
_READABLE = (b"DIRC\0\0\0\2", b"DIRC\0\0\0\3")
"""How an index begins whose names are whole; version 4 shortens them."""

_LONGEST_NAME = 0xFFF
"""The index counts the bytes of a name up to here."""


def has_tracked_files(directory: Path, environ: Mapping[str, str]) -> bool:
    """Whether git tracks `directory` or anything in it, be it checked out at the moment or not.

    False as well where there is no index. Raises ConfigurationError where there is one, and neither
    git nor this module can read it.
    """
    there = Path(os.path.realpath(directory))
    questions = [(place, there) for place in there.parents if _is_repository(place)][:1]
    questions += [(there, there)] if _is_repository(there) else []
    return any(_tracks(top, path, environ) for top, path in questions)


def _is_repository(place: Path) -> bool:
    return os.path.lexists(place / ".git")


def _tracks(top: Path, path: Path, environ: Mapping[str, str]) -> bool:
    listed = _ask_git(top, path, environ)
    names = _read_index(top, path) if listed is None else listed.split(b"\0")
    return _is_any_in(names, top, path)


def _is_any_in(names: Iterable[bytes], top: Path, path: Path) -> bool:
    """Whether one of the names is that of `path` or of something in it.

    They may differ in case from what was asked for: to some disks that is the same, on any system.
    """
    if path == top:
        return any(names)
    ours = os.fsencode(path.relative_to(top).as_posix())
    found = {name[: len(ours)] for name in names if name}
    return ours in found or any(_is_same(top / os.fsdecode(other), path) for other in found)


def _is_same(other: Path, path: Path) -> bool:
    try:
        return other.samefile(path)
    except OSError:
        return False


def _ask_git(top: Path, path: Path, environ: Mapping[str, str]) -> bytes | None:
    """Return the names that git tracks; None when it is not installed, or refuses to tell.

    The repository may be hostile and belong to others. Its configuration must not start anything:
    no file system monitor, no hook, no transport for objects that are missing.
    """
    if (git := find_git(environ)) is None:
        return None
    name = path.relative_to(top).as_posix()
    options = ("core.fsmonitor=false", f"core.hooksPath={os.devnull}", "safe.directory=*")
    command = [git, "-C", str(top)]
    for option in options:
        command += ["-c", option]
    command += [
        "ls-files",
        "--cached",
        "-z",
        "--",
        "." if name == "." else f":(icase,literal){name}",
    ]
    kept = {name: value for name, value in environ.items() if not name.startswith("GIT_")}
    quiet = {"GIT_OPTIONAL_LOCKS": "0", "GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"}
    try:
        answer = subprocess.run(  # noqa: S603 - the program comes from PATH, never from here
            command,
            env={**kept, **quiet},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return answer.stdout if answer.returncode == 0 else None


def find_git(environ: Mapping[str, str]) -> str | None:
    """Return git from an absolute entry of PATH; Windows would look in the project first."""
    name = "git.exe" if sys.platform == "win32" else "git"
    for entry in environ.get("PATH", os.defpath).split(os.pathsep):
        program = Path(entry) / name
        if program.is_absolute() and os.access(program, os.X_OK) and program.is_file():
            return str(program)
    return None


def _read_index(top: Path, path: Path) -> list[bytes]:
    """Look for the name in the index itself, for images that have a checkout and no git."""
    try:
        place = find_git_dir(top) / "index"
        if not place.is_file():
            return []
        index = place.read_bytes()
        is_split = any(place.parent.glob("sharedindex.*"))
    except (OSError, ValueError):
        raise _unreadable(top) from None
    if is_split or not index.startswith(_READABLE):
        raise _unreadable(top)
    if path == top:
        return [b"any"] if int.from_bytes(index[8:12], "big") else []
    name = re.escape(os.fsencode(path.relative_to(top).as_posix()))
    found = re.finditer(name + rb"(?:/[^\0]*)?\0", index, re.IGNORECASE)
    return [match[0] for match in found if _is_entry(index, match)]


def _unreadable(top: Path) -> ConfigurationError:
    return ConfigurationError(
        f"cannot tell which files come with the git repository {top}, "
        "and a history from a repository is not believed",
        hint="install git, or choose a data directory elsewhere with TM_DATA_DIR",
    )


def find_git_dir(top: Path) -> Path:
    """Return the directory of the index; in a worktree `.git` is a file that names it."""
    place = top / ".git"
    if place.is_file():
        return top / place.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
    return place


def _is_entry(index: bytes, found: re.Match[bytes]) -> bool:
    """Whether a whole name begins here: the length of the name stands in the flags before it.

    Entries with more flags have two bytes more.
    """
    length = min(len(found[0]) - 1, _LONGEST_NAME)
    flags = (index[found.start() - 2 : found.start()], index[found.start() - 4 : found.start() - 2])
    return any(int.from_bytes(two, "big") & _LONGEST_NAME == length for two in flags)


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
