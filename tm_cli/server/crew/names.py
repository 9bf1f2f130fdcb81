"""Valid names of regions and agents."""

from __future__ import annotations

import re

_NAME = re.compile(r"[a-z0-9._-]+")
_MAX_REGION_LENGTH = 30
_MAX_NAME_LENGTH = 60


def region_refusal(name: str, *, reserved: str = "local") -> str | None:
    if name == reserved:
        return f"the region {reserved} is the server's own machine"
    return _refusal("region", name, _MAX_REGION_LENGTH)


def agent_refusal(name: str) -> str | None:
    return _refusal("agent", name, _MAX_NAME_LENGTH)


def _refusal(noun: str, name: str, longest: int) -> str | None:
    if _NAME.fullmatch(name) and len(name) <= longest:
        return None
    rule = f"1 to {longest} characters out of a-z, 0-9, dot, underscore, hyphen"
    return f"the name of the {noun} needs {rule}"


def agent_name(host: str) -> str:
    short = host.partition(".")[0].lower()
    return re.sub(r"[^a-z0-9_-]+", "-", short)[:_MAX_NAME_LENGTH].strip("-") or "agent"
