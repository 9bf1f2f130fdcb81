"""Every command and option has a help text, and every command shows an example."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from checks.command_tree import leaves

EXAMPLE = re.compile(r"^\s*tm ", re.MULTILINE)
Leaf = tuple[tuple[str, ...], Any]


def findings(commands: Iterable[Leaf] | None = None) -> Iterator[str]:
    """What the help of the visible commands lacks."""
    for words, leaf in commands or leaves():
        if not leaf.hidden:
            yield from (f"tm {' '.join(words)}: {text}" for text in _lacks(leaf))


def _lacks(leaf: Any) -> Iterator[str]:
    text = leaf.help or ""
    if not text.strip():
        yield "has no help"
    if not EXAMPLE.search(text):
        yield "shows no example"
    for parameter in leaf.params:
        if not (parameter.help or parameter.hidden):
            yield f"{parameter.name} has no help"
