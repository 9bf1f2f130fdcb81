"""Whether a pipeline takes in a file beside it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from tm_cli.scaffold.documents import read_yaml


def include_line(path: str) -> str:
    """Return the line that takes in `path`."""
    return f"include: [{{local: {path}}}]" if path.endswith(".yml") else f"include {path}"


def includes(text: str, path: str) -> bool:
    """Whether the pipeline in `text` takes in `path`."""
    patterns = _of_gitlab(text) if path.endswith(".yml") else _of_make(text)
    return any(fnmatchcase(path, pattern.removeprefix("./").lstrip("/")) for pattern in patterns)


def _of_gitlab(text: str) -> Iterator[str]:
    try:
        document = read_yaml(text)
    except ValueError:
        return
    wanted: Any = document.get("include") if isinstance(document, Mapping) else None
    for item in wanted if isinstance(wanted, list) else [wanted]:
        local = item.get("local") if isinstance(item, Mapping) else item
        if isinstance(local, str):
            yield local


def _of_make(text: str) -> Iterator[str]:
    for line in re.findall(r"^ *[-s]?include\s+([^#\n]*)", text, re.MULTILINE):
        yield from line.split()
