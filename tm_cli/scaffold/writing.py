"""Reads and writes the files of a set-up."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from tm_cli.device_paths import find_device
from tm_cli.errors import ConfigurationError, OutputError
from tm_cli.scaffold.plan import Action, Change
from tm_cli.whole_files import write_whole


def read_text(directory: Path, path: str) -> str | None:
    """Return the text of a file, None when there is none.

    Raises ConfigurationError when it is there and cannot be read as text.
    """
    place = directory / path
    if not os.path.lexists(place):
        return None
    try:
        if find_device(place) is not None:
            raise ConfigurationError(f"{path} is a device or a pipe, not a file")
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
                if find_device(place) is None:
                    place = place.resolve()  # a link stays a link
                write_whole(place, change.text, mode=stat.S_IMODE(place.stat().st_mode))
        except OSError as problem:
            raise OutputError(
                f"cannot write {change.path}: {problem.strerror or problem}",
                hint="what is written so far stays; run `tm init` again",
            ) from None
