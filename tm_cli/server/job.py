"""From a profile to the engine's job; refuses what this server cannot execute."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from tm_cli.server.limits import ServerLimits
from tm_cli.server.profile import ProfileFields
from tm_cli.server.refusal import Refusal

LOCAL = "local"
SLOTS = 256
REQUEST_TIMEOUT = 10.0
_FRAMING = {"content-length", "transfer-encoding", "expect"}
_MACRO = re.compile(r"\$\$[^\s$]+\$\$")


def require_runnable(fields: ProfileFields) -> None:
    """Raise `Refusal`, naming the field, when the profile asks for what is not built in."""
    scripts = {
        "responseScript": fields.response_script,
        "initScript": fields.init_script,
        "cleanupScript": fields.cleanup_script,
    }
    for name, script in scripts.items():
        if script:
            raise Refusal(f"{name} is not supported by the embedded server")
    if fields.variables_set_ids:
        raise Refusal("variablesSetIds is not supported by the embedded server")
    texts = {
        "targetUrl": fields.target_url,
        "requestBody": fields.request_body or "",
        "requestHeaders": "\n".join(value for _, value in fields.headers),
    }
    for name, text in texts.items():
        if found := _MACRO.search(text):
            raise Refusal(f"{name} uses {found[0]}: the embedded server has no macros")
    _require_sendable(fields)


def _require_sendable(fields: ProfileFields) -> None:
    """Refuse what the load generator would refuse a moment later, when nobody listens."""
    for name, value in fields.headers:
        if name.lower() in _FRAMING:
            raise Refusal(f"requestHeaders: {name} is set by the load generator itself")
        if any(not (" " <= char <= "\xff") and char != "\t" for char in value):
            raise Refusal(f"requestHeaders: {name} has characters that a header cannot carry")
    if urlsplit(fields.target_url).path.startswith("//"):
        raise Refusal("targetUrl: the path begins with two slashes")


def choose_region(asked: str | None, fields: ProfileFields) -> str:
    """The region of a run; there is only the local one."""
    region = (asked or "").strip() or (fields.region or "").strip() or LOCAL
    if region != LOCAL:
        raise Refusal(f"Region {region!r} is not available: the embedded server runs locally")
    return region


def engine_job(run_id: str, fields: ProfileFields, limits: ServerLimits) -> dict[str, Any]:
    """The first line for the engine, as data."""
    return {
        "run_id": run_id,
        "target_url": fields.target_url,
        "method": fields.http_method,
        "headers": [list(pair) for pair in fields.headers],
        "body": fields.request_body,
        "points": _curve(fields),
        "duration": float(fields.duration),
        "interpolation": fields.interpolation_mode,
        "loop": fields.loop,
        "slots": SLOTS,
        "timeout": REQUEST_TIMEOUT,
        "max_rps": float(limits.profile_rps),
    }


def fingerprint(fields: ProfileFields, region: str) -> str:
    """Equal for runs that may be compared: same target, method, curve, duration and region."""
    facts: Sequence[object] = (
        fields.target_url,
        fields.http_method,
        _curve(fields),
        fields.duration,
        fields.interpolation_mode,
        region,
    )
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _curve(fields: ProfileFields) -> list[list[float]]:
    return [[float(point.x), float(point.y)] for point in fields.points]
