"""Reads the tables of pipelines, whatever has been written there. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def table(value: Any) -> Mapping[str, Any]:
    """Return a table, an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def tables(value: Any) -> dict[str, Mapping[str, Any]]:
    """Return the tables in a table by their names."""
    return {str(key): item for key, item in table(value).items() if isinstance(item, Mapping)}


def texts(value: Any) -> dict[str, str]:
    """Return variables as texts; GitLab's may be tables with a `value`."""
    found = {}
    for name, item in table(value).items():
        plain = item.get("value") if isinstance(item, Mapping) else item
        found[str(name)] = str(plain).lower() if isinstance(plain, bool) else str(plain)
    return found


def lines(script: Any) -> Iterator[str]:
    """Return the texts of a list, however deep they are, or of one text."""
    if isinstance(script, str):
        yield script
    elif isinstance(script, list):
        for item in script:
            yield from lines(item)
