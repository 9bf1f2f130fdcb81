"""The pages of the repository, cut into what checks and tests compare with the program."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ASSIGNMENT = re.compile(r"[A-Z_]+=.*")
_SHELL_ENDS = {"|", "||", "&&", ";", ">", ">>", "<"}


def page(name: str) -> str:
    """The text of a page."""
    return (ROOT / name).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Block:
    """A fenced block; its name appears in findings and test ids."""

    name: str
    language: str
    text: str


def blocks(*languages: str, paths: Iterable[Path] = PAGES) -> list[Block]:
    """Every fenced block in one of `languages`."""
    return [
        Block(f"{path.name}-{number}", found[1], found[2])
        for path in paths
        for number, found in enumerate(_FENCE.finditer(path.read_text(encoding="utf-8")), start=1)
        if found[1] in languages
    ]


def without_blocks(text: str) -> str:
    """The prose of a page."""
    return _FENCE.sub("", text)


def section(name: str, heading: str) -> str:
    """The text below a heading, up to the next one of any level."""
    return re.split(r"^#+ ", page(name).partition(f" {heading}\n")[2], flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of all table rows in `text`, without heads and rules."""
    cells = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    rules = [number for number, row in enumerate(cells) if set("".join(row)) <= set("-: ")]
    heads = {number - 1 for number in rules} | set(rules)
    return [row for number, row in enumerate(cells) if number not in heads]


def bare(cell: str) -> str:
    """A cell without code marks."""
    return cell.strip("`")


def tm_words(line: str) -> list[str] | None:
    """The words after `tm` in a line of shell, or None when it calls something else."""
    words = shlex.split(line.strip().removeprefix("$ "), comments=True)
    while words and (words[0] == "export" or _ASSIGNMENT.fullmatch(words[0])):
        words = words[1:]
    if not words or words[0] != "tm":
        return None
    end = next((n for n, word in enumerate(words) if word.rstrip(";") in _SHELL_ENDS), len(words))
    return [word.rstrip(";") for word in words[1:end]]
