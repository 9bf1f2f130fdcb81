"""A user's locustfile on disk: its bytes, who may have written them, and what they declare."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tm_cli.runtime.trusted_files import TRUSTED_OWNERS, is_trusted_owner

SUFFIX = ".py"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OWN_VARIABLES = ("TM_", "RUNLOOP_", "STRAIT_")
LARGEST = 2 * 1024 * 1024
"""Bytes of a locustfile."""


class UnusableLocustfile(ValueError):
    """It cannot be read, is another one than was asked for, or is not to be trusted."""


def read_locustfile(path: Path, sha256: str | None = None) -> bytes:
    """Return the bytes of the file; raises UnusableLocustfile unless they have this SHA-256."""
    try:
        with path.open("rb") as file:
            source = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no file name"
        raise UnusableLocustfile(f"cannot read the locustfile {path}: {reason}") from None
    if len(source) > LARGEST:
        raise UnusableLocustfile(f"the locustfile {path} is longer than {LARGEST // 1024**2} MiB")
    found = hash_of(source)
    if sha256 not in (None, found):
        raise UnusableLocustfile(
            f"{path} is not the locustfile of the profile: its SHA-256 is {found}, that of the "
            f"profile {sha256}; start the document again to play the file as it is now, or restore "
            "the file"
        )
    return source


def hash_of(source: bytes) -> str:
    return hashlib.sha256(source).hexdigest()


def check_trusted(path: Path, environ: Mapping[str, str]) -> None:
    """Raise UnusableLocustfile if other users may have written the file, or modules next to it."""
    if not stat.S_ISREG(_check(path, environ).st_mode):
        raise UnusableLocustfile(f"the locustfile {path} is not a regular file")
    check_directory(path.parent, environ)


def check_directory(path: Path, environ: Mapping[str, str]) -> None:
    """Raise UnusableLocustfile if a locustfile could import modules of other users from there."""
    _check(path, environ)


def _check(path: Path, environ: Mapping[str, str]) -> os.stat_result:
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no file name"
        raise UnusableLocustfile(f"cannot read {path}: {reason}") from None
    if os.name == "posix" and (problem := _problem(path, status, environ)):
        raise UnusableLocustfile(f"no locustfile is played from there: {problem}")
    return status


def _problem(place: Path, status: os.stat_result, environ: Mapping[str, str]) -> str | None:
    if not is_trusted_owner(status.st_uid, environ):
        return (
            f"{place} belongs to another user (id {status.st_uid}); "
            f"{TRUSTED_OWNERS}={status.st_uid} trusts that user"
        )
    # where users have groups of their own, files are writable for these by default
    is_own_group = status.st_gid == os.getegid()
    others = stat.S_IWOTH if is_own_group else stat.S_IWOTH | stat.S_IWGRP
    if status.st_mode & others:
        return f"other users may write to {place}; chmod go-w {place}"
    return None


def check_variable(name: str) -> str:
    """Return the name of an environment variable that a locustfile may be given.

    ValueError for another one: those of tm and its servers may hold a key.
    """
    if not _VARIABLE.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of an environment variable")
    if name.upper().startswith(_OWN_VARIABLES):
        raise ValueError(f"{name} is a setting of tm, which a locustfile does not get")
    return name


def may_be_read(name: str) -> bool:
    """Whether a locustfile may be given this variable."""
    try:
        check_variable(name)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Declarations:
    """What a locustfile says without being run.

    `hosts` are the values of `host` in its classes, and `ignored` what the curve takes the place
    of.
    """

    hosts: tuple[str, ...]
    ignored: tuple[str, ...]


def declarations(source: bytes, name: str) -> Declarations:
    """Read the file as a syntax tree; raises UnusableLocustfile when it is not Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise UnusableLocustfile(f"{name}{line} is not Python: {reason}") from None
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    hosts = dict.fromkeys(value for one in classes if (value := _host(one)))
    return Declarations(tuple(hosts), tuple(_ignored(classes)))


def _assigned(one: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    for statement in one.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value


def _host(one: ast.ClassDef) -> str | None:
    for name, value in _assigned(one):
        if name == "host" and isinstance(value, ast.Constant) and isinstance(value.value, str):
            return value.value
    return None


def _ignored(classes: list[ast.ClassDef]) -> Iterator[str]:
    for one in classes:
        if any(ast.unparse(base).endswith("LoadTestShape") for base in one.bases):
            yield f"the LoadTestShape {one.name}"
        elif any(name == "fixed_count" for name, _ in _assigned(one)):
            yield f"fixed_count of {one.name}"
