"""The stage of a GitLab job that joins others. Pure."""

from __future__ import annotations

import re

from tm_cli.scaffold.documents import read_yaml

USUAL = "test"

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def stage_for(pipeline: str) -> str:
    """Return `test` where the pipeline has it, else its last stage that is a plain word."""
    try:
        document = read_yaml(pipeline)
    except ValueError:
        return USUAL
    stages = document.get("stages") if isinstance(document, dict) else None
    if not isinstance(stages, list) or USUAL in stages:
        return USUAL
    plain = [name for name in stages if isinstance(name, str) and _PLAIN.fullmatch(name)]
    return plain[-1] if plain else USUAL
