"""Links between the pages lead somewhere."""

import re

import pytest

from markdown_pages import PAGES, ROOT, without_blocks

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def relative_links():
    for path in PAGES:
        for found in LINK.finditer(without_blocks(path.read_text(encoding="utf-8"))):
            if "://" not in found[1]:
                yield pytest.param(path, found[1], id=f"{path.name} -> {found[1]}")


def anchors(path):
    """The fragments of a page's headings, by the rule of the hosting site."""
    headings = HEADING.findall(without_blocks(path.read_text(encoding="utf-8")))
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize(("path", "link"), list(relative_links()))
def test_link_resolves(path, link):
    name, _, fragment = link.partition("#")
    target = (path.parent / name).resolve() if name else path
    assert target.exists()
    assert target.is_relative_to(ROOT)
    if fragment:
        assert fragment in anchors(target)


def test_index_lists_every_page():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for path in (ROOT / "docs").glob("*.md"):
        assert path.name == "README.md" or f"({path.name})" in index
