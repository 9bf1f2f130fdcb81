"""Tests that pages name are there, and every promise of docs/security.md names one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from checks.pages import PAGES, ROOT

TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
PLACE = re.compile(r"`(tests/[\w/]*(?:\.\w+)?)`")
TABLE = re.compile(r"\| (?:Promise|In a project file)\b[^\n]*\n\|[-|]+\n((?:\|.*\n)+)")
SECURITY = ROOT / "docs" / "security.md"
FEWEST = 30


def findings(paths: Iterable[Path] = PAGES, security: Path = SECURITY) -> Iterator[str]:
    """Named tests that do not exist, and promises without a test."""
    for path in paths:
        text = path.read_text(encoding="utf-8")
        for file, name in TEST.findall(text):
            if name not in functions(file):
                yield f"{path.name}: there is no {file}::{name}"
        for file in PLACE.findall(text):
            if not (ROOT / file).exists():
                yield f"{path.name}: there is no {file}"
    yield from unproven(security)


def unproven(path: Path) -> Iterator[str]:
    """Promises that name no test; a page without promises is wrong, too."""
    text = path.read_text(encoding="utf-8")
    promises = [line for table in TABLE.findall(text) for line in table.splitlines()]
    for line in promises:
        if not TEST.search(line):
            yield f"{path.name}: no test proves: {line.split('|')[1].strip()}"
    if len(promises) < FEWEST:
        yield f"{path.name}: has {len(promises)} promises, fewer than {FEWEST}"


@cache
def functions(path: str) -> set[str]:
    """The names of all functions of a file; of a file that is not there, none."""
    if not (ROOT / path).is_file():
        return set()
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}
