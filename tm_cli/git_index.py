"""Whether a directory holds files of a git repository: those come from others, not from tm."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from tm_cli.errors import ConfigurationError

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
    said = _ask_git(top, path, environ)
    names = _look_into_index(top, path) if said is None else said.split(b"\0")
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
    if (git := _find_git(environ)) is None:
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


def _find_git(environ: Mapping[str, str]) -> str | None:
    """Return git from an absolute entry of PATH; Windows would look in the project first."""
    name = "git.exe" if sys.platform == "win32" else "git"
    for entry in environ.get("PATH", os.defpath).split(os.pathsep):
        program = Path(entry) / name
        if program.is_absolute() and os.access(program, os.X_OK) and program.is_file():
            return str(program)
    return None


def _look_into_index(top: Path, path: Path) -> list[bytes]:
    """Look for the name in the index itself, for images that have a checkout and no git."""
    try:
        place = _git_dir(top) / "index"
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


def _git_dir(top: Path) -> Path:
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
