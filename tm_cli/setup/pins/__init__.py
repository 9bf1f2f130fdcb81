"""Versions that `tm init` writes into pipelines: actions by commit, the image of a job, Python.

They are read from `action.yml` and `Dockerfile` in this folder, whose formats Dependabot updates.
`scripts/pins.py` carries them into pages, examples, `action.yml` and workflows.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

ACTION = "OWNER/tm"
"""The action of this repository; OWNER stands for the account that publishes it."""

_USES = re.compile(r"^\s*- uses: (([\w./-]+)@[0-9a-f]{40} # v[\d.]+)$", re.MULTILINE)
_FROM = re.compile(r"^FROM (python:(3\.\d+)\S*)$", re.MULTILINE)


@cache
def actions() -> dict[str, str]:
    """Return `owner/name` of each action with what `uses:` takes: `owner/name@commit # version`."""
    return {name: use for use, name in _USES.findall(_text("action.yml"))}


def image() -> str:
    """Return the container image of a job, such as `python:3.13-slim`."""
    return _from()[0]


def python_version() -> str:
    """Return the Python of that image, such as `3.13`."""
    return _from()[1]


@cache
def _from() -> tuple[str, str]:
    found = _FROM.search(_text("Dockerfile"))
    if found is None:
        raise ValueError("tm_cli/setup/pins/Dockerfile names no image of Python")
    return found[1], found[2]


def _text(name: str) -> str:
    return (files(__name__) / name).read_text(encoding="utf-8")
