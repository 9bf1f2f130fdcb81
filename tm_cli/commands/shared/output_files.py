"""Files that `--output` names."""

from __future__ import annotations

from pathlib import Path

from tm_cli.errors import OutputError
from tm_cli.runtime.files import write_atomic


def require_free(cwd: Path, output: Path, *, force: bool) -> None:
    """Raise OutputError where a file is in the way that must not be overwritten."""
    if (cwd / output).exists() and not force:
        raise OutputError(f"{output} exists already", hint="--force overwrites it")


def write_output(cwd: Path, output: Path, text: str) -> None:
    """Write a file in one step; raises OutputError."""
    try:
        write_atomic(cwd / output, text)
    except OSError as problem:
        raise OutputError(f"cannot write {output}: {problem.strerror}") from None
