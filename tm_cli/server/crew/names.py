"""What regions and agents may be called. Pure."""

from __future__ import annotations

import re

_NAME = re.compile(r"[a-z0-9._-]+")
_LONGEST_REGION = 30
_LONGEST_NAME = 60


def region_refusal(name: str, *, reserved: str = "local") -> str | None:
    """Say why agents cannot join a region of this name, or None."""
    if name == reserved:
        return f"the region {reserved} is the server's own machine"
    return _refusal("region", name, _LONGEST_REGION)


def agent_refusal(name: str) -> str | None:
    """Say why no agent can have this name, or None."""
    return _refusal("agent", name, _LONGEST_NAME)


def _refusal(noun: str, name: str, longest: int) -> str | None:
    if _NAME.fullmatch(name) and len(name) <= longest:
        return None
    rule = f"1 to {longest} characters out of a-z, 0-9, dot, underscore, hyphen"
    return f"the name of the {noun} needs {rule}"


def agent_name(host: str) -> str:
    """A name for an agent, made of that of its host."""
    short = host.partition(".")[0].lower()
    return re.sub(r"[^a-z0-9_-]+", "-", short)[:_LONGEST_NAME].strip("-") or "agent"
