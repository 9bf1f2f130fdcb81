"""Files and directories as candidates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tm_cli.completion.candidates import Candidate

MOST = 200
"""Candidates of one directory; whoever has more types another letter."""


def list_files(cwd: Path, current: str, endings: Sequence[str]) -> list[Candidate]:
    """Return what begins like `current`: directories, and files with one of the `endings`, or any.

    Hidden ones only after a dot. Paths from the home directory are left to the shell.
    """
    folder, separator, begun = current.rpartition("/")
    if current.startswith("~"):
        return []
    try:
        there = sorted(Path(cwd, folder + separator).iterdir())
    except (OSError, ValueError):
        return []
    found = []
    for path in there:
        if path.name.startswith(begun) and (begun or not path.name.startswith(".")):
            name = f"{folder}{separator}{path.name}"
            if path.is_dir():
                found.append(Candidate(name + "/"))
            elif not endings or path.name.endswith(tuple(endings)):
                found.append(Candidate(name))
    return found[:MOST]
