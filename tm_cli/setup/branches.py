"""The branches of a repository, and which of them a filter of a GitHub workflow takes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
"""Names without a character that a filter, YAML or a shell would expand."""
_PACKED = re.compile(r"^[0-9a-f]{40,64} refs/(?:heads|remotes/[^/\s]+)/(\S+)$", re.MULTILINE)
_USUAL = ("main", "master")


@dataclass(frozen=True, slots=True)
class Branches:
    """The names that git knows here, and the default branch of the remote, as far as known."""

    names: frozenset[str] = frozenset()
    default: str | None = None


def read_branches(directory: Path) -> Branches:
    """Read them from the files of git, without a process; none where there is no repository."""
    place = _git_dir(directory)
    if place is None:
        return Branches()
    names = {name for name in _names(place) if _PLAIN.fullmatch(name)}
    current = _target(place / "HEAD", "refs/heads/")
    names |= {current} if current else set()
    return Branches(frozenset(names), _default(place, names, current))


def _default(place: Path, names: set[str], current: str | None) -> str | None:
    """The branch that the remote's HEAD named at the last clone, else a usual or the only one."""
    with suppress(OSError):
        for remote in sorted((place / "refs" / "remotes").iterdir(), key=_origin_first):
            if found := _target(remote / "HEAD", f"refs/remotes/{remote.name}/"):
                return found
    return next((name for name in _USUAL if name in names), current)


def _origin_first(remote: Path) -> tuple[bool, str]:
    return remote.name != "origin", remote.name


def _git_dir(directory: Path) -> Path | None:
    """Where refs are kept; in a worktree `.git` is a file, and they are elsewhere."""
    place = directory / ".git"
    with suppress(OSError, UnicodeDecodeError):
        if place.is_file():
            place = directory / place.read_text("utf-8").removeprefix("gitdir:").strip()
            if (common := place / "commondir").is_file():
                place /= common.read_text("utf-8").strip()
        return place if (place / "HEAD").is_file() else None
    return None


def _names(place: Path) -> Iterator[str]:
    remotes = place / "refs" / "remotes"
    with suppress(OSError, UnicodeDecodeError):
        for top in (place / "refs" / "heads", *(remotes.iterdir() if remotes.is_dir() else ())):
            files = (path for path in top.rglob("*") if path.is_file() and path.name != "HEAD")
            yield from (path.relative_to(top).as_posix() for path in files)
        if (place / "packed-refs").is_file():
            yield from _PACKED.findall((place / "packed-refs").read_text("utf-8"))


def _target(path: Path, prefix: str) -> str | None:
    with suppress(OSError, UnicodeDecodeError):
        name = path.read_text("utf-8").strip().removeprefix(f"ref: {prefix}")
        return name if _PLAIN.fullmatch(name) and len(name) < 200 else None
    return None


def takes(filters: Sequence[str], branch: str) -> bool:
    """Whether `branches:` of an event takes a branch: the last pattern that fits decides."""
    taken = False
    for pattern in filters:
        if re.fullmatch(_expression(pattern.removeprefix("!")), branch):
            taken = not pattern.startswith("!")
    return taken


def _expression(pattern: str) -> str:
    """Return the regular expression of a filter: `**`, `*`, `?` and `+`, sets and escapes."""
    parts = re.findall(r"\*\*|\\.|\[[^\]]*\]|.", pattern, re.DOTALL)
    known = {"**": ".*", "*": "[^/]*", "?": "?", "+": "+"}
    kept = (part if part[0] == "[" and len(part) > 1 else None for part in parts)
    return "".join(
        keep or known.get(part) or re.escape(part[-1:])
        for keep, part in zip(kept, parts, strict=True)
    )
