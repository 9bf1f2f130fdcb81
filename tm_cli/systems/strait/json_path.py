"""Paths into a JSON document that name one value: `score`, `$.items[0].name`, `a["b c"][-1]`.

They are the singular queries of RFC 9535; the leading `$.` may be left out.
"""

from __future__ import annotations

import json
import re
from typing import Any

_NAME = re.compile(r"[^\W\d][\w-]*")
_BRACKETS = re.compile(
    r"""\[\s*(?:(?P<index>-?(?:0|[1-9][0-9]{0,8}))|(?P<double>"(?:[^"\\]|\\.)*")|'(?P<single>[^'\\]*)')\s*\]"""
)

Step = str | int
"""The name of a member, or the position of an item; from the end if it is negative."""


class NotThere(Exception):
    """The document has no value at this path."""


def parse_path(text: str) -> tuple[tuple[Step, ...], str]:
    """Return the steps of the path at the beginning of `text`, and the rest.

    Raises ValueError when it does not begin with a path.
    """
    steps: list[Step] = []
    rest = text
    if rest.startswith("$"):
        rest = rest[1:]
    elif name := _NAME.match(rest):
        steps.append(name[0])
        rest = rest[name.end() :]
    elif not rest.startswith("["):
        raise ValueError("it does not begin with a path such as result or $.items[0].name")
    while True:
        if found := _BRACKETS.match(rest):
            steps.append(_inside(found))
            rest = rest[found.end() :]
        elif rest.startswith(".") and (name := _NAME.match(rest, 1)):
            steps.append(name[0])
            rest = rest[name.end() :]
        else:
            return tuple(steps), rest


def _inside(found: re.Match[str]) -> Step:
    if found["index"] is not None:
        return int(found["index"])
    if found["double"] is not None:
        return str(json.loads(found["double"]))
    return str(found["single"])


def follow(document: Any, steps: tuple[Step, ...]) -> Any:
    """Return the value that the steps lead to; raises NotThere."""
    value = document
    for step in steps:
        match value, step:
            case dict(), str() if step in value:
                value = value[step]
            case list(), int() if -len(value) <= step < len(value):
                value = value[step]
            case _:
                raise NotThere
    return value
