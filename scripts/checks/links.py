"""Links between the pages lead somewhere, and the index lists every page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from checks.pages import PAGES, ROOT, without_blocks

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def findings(paths: Iterable[Path] = PAGES, root: Path = ROOT) -> Iterator[str]:
    """What is wrong with the links of the pages."""
    for path in paths:
        for found in LINK.finditer(without_blocks(path.read_text(encoding="utf-8"))):
            if "://" not in found[1] and (problem := _problem(path, found[1], root)):
                yield f"{path.relative_to(root)}: {found[1]}: {problem}"
    yield from _not_in_the_index(root / "docs")


def _problem(path: Path, link: str, root: Path) -> str | None:
    name, _, fragment = link.partition("#")
    target = (path.parent / name).resolve() if name else path
    if not target.exists():
        return "there is no such file"
    if not target.is_relative_to(root):
        return "leads out of the repository"
    if fragment and fragment not in anchors(target):
        return "there is no such heading"
    return None


def anchors(path: Path) -> set[str]:
    """The fragments of a page's headings, by the rule of the hosting site."""
    headings = HEADING.findall(without_blocks(path.read_text(encoding="utf-8")))
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def _not_in_the_index(docs: Path) -> Iterator[str]:
    index = (docs / "README.md").read_text(encoding="utf-8")
    for path in sorted(docs.glob("*.md")):
        if path.name != "README.md" and f"({path.name})" not in index:
            yield f"docs/README.md: does not list {path.name}"
