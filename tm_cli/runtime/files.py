"""Atomic writes: a file is replaced in one step and never read half-written."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tm_cli.errors import ConfigurationError
from tm_cli.runtime.device_paths import find_device

_numbers = itertools.count()
_drafts: set[Path] = set()


def write_atomic(path: Path, content: str | bytes, *, mode: int | None = None) -> None:
    """Replace `path` by a file with this content, whole or not at all; text becomes UTF-8.

    A link to a file is replaced, not followed. What is or leads to a device, a pipe or an open
    descriptor (`/dev/null`, `/dev/stdout`, `>(jq .)`) stays what it is and is written to. With
    `mode`, the file has these permissions, and before that its owner's alone, and nothing but a
    file will do; without it, those of any new file. Raises OSError.
    """
    with replacing(path, mode=mode) as write:
        write(_as_bytes(content))


@contextmanager
def replacing(path: Path, *, mode: int | None = None) -> Iterator[Callable[[bytes], object]]:
    """Write a file piece by piece by the same rules: it is there at the end, or not at all.

    Each piece goes to a device at once.
    """
    if (device := find_device(path)) is not None:
        if mode is not None:
            raise OSError(errno.EINVAL, "it is a device or a pipe, not a file")
        yield device.write
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}-{next(_numbers)}.new")
    _drafts.add(draft)
    try:
        with _opened(draft, 0o666 if mode is None else 0o600) as file:
            yield file.write
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            draft.chmod(mode)
        draft.replace(path)
    except BaseException:  # a signal, too, must not leave the draft behind
        with suppress(OSError):
            draft.unlink()
        raise
    finally:
        _drafts.discard(draft)


def append(path: Path, content: bytes) -> None:
    """Write behind what is there, in a file, a device or a pipe; raises OSError."""
    if (device := find_device(path)) is not None:
        device.write(content)
        return
    with path.open("ab") as file:
        file.write(content)


def drop_drafts() -> None:
    """Remove what is half written; for a process that ends without unwinding its stack."""
    for draft in tuple(_drafts):
        with suppress(OSError):
            draft.unlink()


def _opened(draft: Path, mode: int) -> BinaryIO:
    draft.unlink(missing_ok=True)  # of a process that was killed and had the same number
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(draft, flags, mode), "wb")


def _as_bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def expand_home(path: str | Path, named_by: str) -> Path:
    """Return the path with the home that its `~` means; raises ConfigurationError for none."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ConfigurationError(
            f"{named_by} names {path}, which is in the home of a user who does not exist"
        ) from None


def make_private_dir(path: Path) -> None:
    """Create `path` for its owner alone, with a `.gitignore` that leaves all of it out.

    A directory that is there already is left as it is. Raises OSError when it cannot be made.
    """
    try:
        path.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        if not path.is_dir():
            raise
        return
    (path / ".gitignore").write_text("*\n", encoding="utf-8")
