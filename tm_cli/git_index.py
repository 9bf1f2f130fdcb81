"""Whether a directory holds files of a git repository: those come from others, not from tm."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_TIMEOUT = 5.0
_LONGEST_NAME = 0xFFF
"""The index counts the bytes of a name up to here."""


def has_tracked_files(directory: Path, environ: Mapping[str, str]) -> bool:
    """Whether git tracks `directory` or anything in it, be it checked out at the moment or not.

    False as well where git cannot be asked and its index cannot be read.
    """
    there = Path(os.path.realpath(directory))
    questions = [(place, there) for place in there.parents if _is_repository(place)][:1]
    questions += [(there, there)] if _is_repository(there) else []
    return any(_tracks(top, path, environ) for top, path in questions)


def _is_repository(place: Path) -> bool:
    return os.path.lexists(place / ".git")


def _tracks(top: Path, path: Path, environ: Mapping[str, str]) -> bool:
    said = _ask_git(top, path, environ)
    return _stands_in_index(top, path) if said is None else bool(said)


def _ask_git(top: Path, path: Path, environ: Mapping[str, str]) -> bytes | None:
    """Return the names that git tracks; None when it is not installed, or refuses to tell.

    The repository may be hostile and belong to others. Its configuration must not start anything:
    no file system monitor, no hook, no transport for objects that are missing.
    """
    if (git := _find_git(environ)) is None:
        return None
    name = path.relative_to(top).as_posix()
    magic = ":(icase,literal)" if sys.platform in ("win32", "darwin") else ":(literal)"
    options = ("core.fsmonitor=false", f"core.hooksPath={os.devnull}", "safe.directory=*")
    command = [git, "-C", str(top)]
    for option in options:
        command += ["-c", option]
    command += ["ls-files", "--cached", "-z", "--", "." if name == "." else magic + name]
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


def _stands_in_index(top: Path, path: Path) -> bool:
    """Look for the name in the index itself, for images that have a checkout and no git."""
    try:
        place = _git_dir(top) / "index"
        index = place.read_bytes() if place.is_file() else b""
    except (OSError, ValueError):
        return False
    if path == top:
        return int.from_bytes(index[8:12], "big") > 0
    name = re.escape(os.fsencode(path.relative_to(top).as_posix()))
    return any(_is_entry(index, found) for found in re.finditer(name + rb"(?:/[^\0]*)?\0", index))


def _git_dir(top: Path) -> Path:
    """Return the directory of the index; in a worktree `.git` is a file that names it."""
    place = top / ".git"
    if place.is_file():
        return top / place.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
    return place


def _is_entry(index: bytes, found: re.Match[bytes]) -> bool:
    """Whether a whole name begins here: the length of the name stands in the flags before it.

    Entries with more flags have two bytes more. Version 4 shortens names, so this finds few.
    """
    length = min(len(found[0]) - 1, _LONGEST_NAME)
    flags = (index[found.start() - 2 : found.start()], index[found.start() - 4 : found.start() - 2])
    return any(int.from_bytes(two, "big") & _LONGEST_NAME == length for two in flags)
