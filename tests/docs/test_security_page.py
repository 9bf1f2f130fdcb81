"""Every promise of docs/security.md names the tests that prove it, and they are there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
ROWS = [
    line
    for table in re.findall(
        r"\| (?:Promise|In a project file)\b[^\n]*\n\|[-|]+\n((?:\|.*\n)+)", PAGE
    )
    for line in table.splitlines()
]


@cache
def functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:60])
def test_promise_names_a_test(row):
    assert TEST.search(row)


@pytest.mark.parametrize(("path", "name"), sorted(set(TEST.findall(PAGE))))
def test_named_test_is_there(path, name):
    assert name in functions(path)


def test_page_has_promises_of_each_kind():
    assert len(ROWS) > 30
