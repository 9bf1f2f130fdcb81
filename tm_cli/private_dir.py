"""Directories for what is the user's alone and belongs into no repository."""

from __future__ import annotations

from pathlib import Path


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
