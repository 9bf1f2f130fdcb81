"""Reads and writes the files of a set-up."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tm_cli.errors import ConfigurationError, OutputError
from tm_cli.scaffold.plan import Action, Change


def read_text(directory: Path, path: str) -> str | None:
    """Return the text of a file, None when there is none.

    Raises ConfigurationError when it is there and cannot be read as text.
    """
    place = directory / path
    if not os.path.lexists(place):
        return None
    try:
        return place.read_bytes().decode("utf-8-sig")
    except OSError as problem:
        raise ConfigurationError(f"cannot read {path}: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is there and is not UTF-8 text") from None


def write(directory: Path, changes: Iterable[Change]) -> None:
    """Carry the changes out; a file that has appeared meanwhile is not touched.

    Raises OutputError when a file cannot be written.
    """
    for change in changes:
        place = directory / change.path
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            if change.action is Action.WRITTEN:
                with place.open("x", encoding="utf-8", newline="\n") as file:
                    file.write(change.text)
            elif change.action in (Action.REPLACED, Action.EXTENDED):
                _replace(place, change.text)
        except OSError as problem:
            raise OutputError(
                f"cannot write {change.path}: {problem.strerror or problem}",
                hint="what is written so far stays; run `tm init` again",
            ) from None


def _replace(place: Path, text: str) -> None:
    """Replace a file in one step, keeping its permissions; a link stays a link."""
    place = place.resolve()
    descriptor, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(name).chmod(place.stat().st_mode & 0o7777)
        Path(name).replace(place)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
