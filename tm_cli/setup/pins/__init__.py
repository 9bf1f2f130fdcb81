"""Versions that `tm init` writes into pipelines: actions by commit, the image of a job, Python.

They are read from `action.yml` and `Dockerfile` in this folder, whose formats Dependabot updates.
`scripts/pins.py` carries them into pages, examples, `action.yml` and workflows.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files

from tm_cli import __version__

ACTION = "OWNER/tm"
"""The action of this repository; OWNER stands for the account that publishes it."""

_GITHUB = re.compile(
    r"(?:https|ssh)://(?:git@)?github\.com/([A-Za-z0-9][A-Za-z0-9-]*/tm)(?:\.git)?/?"
)

_USES = re.compile(r"^\s*- uses: (([\w./-]+)@[0-9a-f]{40} # v[\d.]+)$", re.MULTILINE)
_FROM = re.compile(r"^FROM (python:(3\.\d+)\S*)$", re.MULTILINE)


@cache
def actions() -> dict[str, str]:
    """Return `owner/name` of each action with what `uses:` takes: `owner/name@commit # version`."""
    return {name: use for use, name in _USES.findall(_text("action.yml"))}


def action() -> str:
    """Return the action of this version, by its commit where that is known."""
    source = _source()
    return f"{source[0]}@{source[1]}" if source else f"{ACTION}@v{__version__}"


def package(extra: str) -> str:
    """Return what pip installs to get this version; `extra` is empty or in brackets."""
    if source := _source():
        # An archive, because images of Python have no git.
        return f"tm-cli{extra} @ https://github.com/{source[0]}/archive/{source[1]}.zip"
    return f"tm-cli{extra}=={__version__}"


def _source() -> tuple[str, str] | None:
    """Return the repository on GitHub and the commit that pip installed this program from.

    https://packaging.python.org/en/latest/specifications/direct-url/
    """
    try:
        data = json.loads(distribution("tm-cli").read_text("direct_url.json") or "{}")
        found = _GITHUB.fullmatch(data["url"])
        commit = re.fullmatch(r"[0-9a-f]{40}", data["vcs_info"]["commit_id"])
    except (PackageNotFoundError, ValueError, LookupError, TypeError):
        return None
    return (found[1], commit[0]) if found and commit else None


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
