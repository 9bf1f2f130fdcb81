"""Files that are replaced in one step, so that nobody ever reads half of one."""

from __future__ import annotations

import itertools
import os
from contextlib import suppress
from pathlib import Path

_numbers = itertools.count()
_drafts: set[Path] = set()


def write_whole(path: Path, content: str | bytes, *, mode: int | None = None) -> None:
    """Replace `path` by a file with this content, whole or not at all; text becomes UTF-8.

    A link is replaced, not followed. A device or a pipe (`/dev/null`, `>(jq .)`) stays what it is
    and is written to. With `mode`, the file has these permissions, and before that its owner's
    alone; without it, those of any new file. Raises OSError.
    """
    if is_stream(path):
        path.write_bytes(_as_bytes(content))
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}-{next(_numbers)}.new")
    _drafts.add(draft)
    try:
        _write(draft, content, 0o666 if mode is None else 0o600)
        if mode is not None:
            draft.chmod(mode)
        draft.replace(path)
    except BaseException:  # a signal, too, must not leave the draft behind
        with suppress(OSError):
            draft.unlink()
        raise
    finally:
        _drafts.discard(draft)


def is_stream(path: Path) -> bool:
    """Whether what is there already is neither a file nor a directory: a device or a pipe."""
    return path.exists() and not path.is_file() and not path.is_dir()


def drop_drafts() -> None:
    """Remove what is half written; for a process that ends without unwinding its stack."""
    for draft in tuple(_drafts):
        with suppress(OSError):
            draft.unlink()


def _write(draft: Path, content: str | bytes, mode: int) -> None:
    draft.unlink(missing_ok=True)  # of a process that was killed and had the same number
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(draft, flags, mode), "wb") as file:
        file.write(_as_bytes(content))
        file.flush()
        os.fsync(file.fileno())


def _as_bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content
