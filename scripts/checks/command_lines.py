"""Every `tm` command line on pages and in examples is one that the program takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import yaml

from checks.command_tree import check_names, parse
from checks.pages import PAGES, ROOT, blocks, page, tm_words, without_blocks

EXAMPLES = ROOT / "examples"
FEWEST = 25
SPAN = re.compile(r"`(tm [^`]+)`")
Line = tuple[str, str]


def findings(paths: Sequence[Path] = PAGES, examples: Path = EXAMPLES) -> Iterator[str]:
    """Command lines, make targets and YAML examples that cannot work."""
    whole = [*in_blocks(paths), *in_examples(examples), *in_workflows(paths)]
    yield from refused(whole, parse)
    yield from refused(in_prose(paths), check_names)
    yield from missing_targets(paths)
    yield from unreadable_yaml(paths)


def nothing_to_check() -> Iterator[str]:
    """Patterns that match nothing on the real pages would find nothing wrong either."""
    for what, lines in (("blocks", in_blocks(PAGES)), ("prose", in_prose(PAGES))):
        if len([line for _, line in lines if tm_words(line)]) < FEWEST:
            yield f"fewer than {FEWEST} command lines found in {what}"


def in_blocks(paths: Iterable[Path]) -> Iterator[Line]:
    """Command lines of shell blocks."""
    for block in blocks("sh", "console", "text", paths=paths):
        for line in block.text.splitlines():
            if block.language == "sh" or line.startswith("$ "):
                yield block.name, line


def in_prose(paths: Iterable[Path]) -> Iterator[Line]:
    """Command lines between code marks, where arguments may be left out."""
    for path in paths:
        for found in SPAN.finditer(without_blocks(path.read_text(encoding="utf-8"))):
            if "..." not in found[1]:
                yield path.name, found[1]


def in_examples(examples: Path) -> Iterator[Line]:
    """Command lines of the example files."""
    for path in sorted(examples.iterdir()):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.lstrip().startswith(("tm ", "#   tm ", "run: tm ")):
                yield path.name, line.strip().lstrip("# ").removeprefix("run: ")


def in_workflows(paths: Iterable[Path]) -> Iterator[Line]:
    """Command lines in workflows of pages."""
    for block in blocks("yaml", paths=paths):
        if "- name:" in block.text or "jobs:" in block.text:
            for line in block.text.splitlines():
                yield block.name, line.strip().removeprefix("- ").removeprefix("run: ")


def refused(lines: Iterable[Line], take: Callable[[Sequence[str]], None]) -> Iterator[str]:
    """The lines that raise when they are taken."""
    for place, line in lines:
        if line.count("'") % 2 or line.count('"') % 2:  # goes on in the next line
            continue
        if (words := tm_words(line)) is None:
            continue
        try:
            take(words)
        except Exception as error:
            yield f"{place}: tm {' '.join(words)}: {error!r}"


def missing_targets(paths: Iterable[Path]) -> Iterator[str]:
    """Targets of make that the pages name and the Makefile does not have."""
    makefile = page("Makefile")
    for block in blocks("sh", paths=paths):
        for line in block.text.splitlines():
            target = line.split()[1] if line.startswith("make ") else None
            if target and not re.search(rf"^[\w ]*\b{target}\b[\w ]*:", makefile, re.MULTILINE):
                yield f"{block.name}: the Makefile has no target {target}"


def unreadable_yaml(paths: Iterable[Path]) -> Iterator[str]:
    """YAML examples that are not YAML, or are empty."""
    for block in blocks("yaml", paths=paths):
        try:
            found = yaml.safe_load(block.text)
        except yaml.YAMLError as error:
            yield f"{block.name}: {error}"
        else:
            if not found:
                yield f"{block.name}: says nothing"
