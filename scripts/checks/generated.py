"""Generated files are what their generators write now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import reference
from checks.pages import ROOT

GENERATED: dict[Path, tuple[Callable[[], str], str]] = {
    reference.PAGE: (reference.page, "make docs"),
}
"""Files, what gives their text, and the command that writes them."""


def findings(
    generated: dict[Path, tuple[Callable[[], str], str]] = GENERATED,
) -> Iterator[str]:
    """The files that are stale."""
    for path, (text, command) in generated.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text():
            yield f"{path.relative_to(ROOT)}: is not up to date; run `{command}`"
