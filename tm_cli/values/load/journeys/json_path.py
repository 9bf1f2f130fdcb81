"""Paths into JSON documents: the part of RFC 9535 that names one value.

That is `$`, followed by any number of `.name`, `['name']`, `["name"]`, `[3]` and `[-1]`.
"""

from __future__ import annotations

import re
from typing import Any

JsonPath = tuple[str | int, ...]

LONGEST = 500
_STEP = re.compile(
    r"""\.([^\W\d][\w-]*)|\[\s*(?:(0|-?[1-9][0-9]{0,8})|'([^'\\]*)'|"([^"\\]*)")\s*\]"""
)


def parse_json_path(text: str) -> JsonPath:
    """Return the names and indexes of a path; raises ValueError."""
    at, steps = 1, list[str | int]()
    if not text.startswith("$") or len(text) > LONGEST:
        raise ValueError("a path begins with $, as in $.items[0].id")
    while at < len(text):
        step = _STEP.match(text, at)
        if step is None:
            raise ValueError(
                f"the path ends at {text[:at]}; what may follow is .name, ['name'], [0] or [-1]"
            )
        name, index, quoted, double = step.groups()
        steps.append(
            int(index) if index else next(s for s in (name, quoted, double) if s is not None)
        )
        at = step.end()
    return tuple(steps)


def find_in_json(document: Any, path: JsonPath) -> Any:
    """Return the value at a path; raises LookupError when there is none."""
    for step in path:
        if not isinstance(document, list if isinstance(step, int) else dict):
            raise LookupError
        document = document[step]  # type: ignore[index]
    return document
