"""The pages for contributors name every package, and only files that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from checks.pages import ROOT, without_blocks

PAGES = ("docs/architecture.md", "CONTRIBUTING.md")
PATH = re.compile(r"`((?!tests/)[a-z_.]+/[a-z_./]*)`")  # named_tests looks at tests


def findings(root: Path = ROOT) -> Iterator[str]:
    """Files that do not exist, and packages without a word about them."""
    for page in PAGES:
        for path in _named(root / page):
            if not (root / "tm_cli" / path).exists() and not (root / path).exists():
                yield f"{page}: there is no {path}"
    known = {path.split("/")[0] for path in _named(root / PAGES[0])}
    for package in sorted((root / "tm_cli").glob("*/__init__.py")):
        if package.parent.name not in known:
            yield f"{PAGES[0]}: says nothing about {package.parent.name}/"


def _named(page: Path) -> list[str]:
    return sorted(set(PATH.findall(without_blocks(page.read_text(encoding="utf-8")))))
