"""From a profile to the engine's job; refuses what this server cannot execute."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tm_cli.server.limits import ServerLimits
from tm_cli.server.profile import ProfileFields
from tm_cli.server.refusal import Refusal
from tm_cli.server.regions import LOCAL

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


def choose_region(asked: str | None, fields: ProfileFields, remote: Mapping[str, int]) -> str:
    """The region of a run: as asked, else the profile's, else the local one.

    `remote` has the other regions with the number of their workers; one without is refused.
    """
    region = (asked or "").strip() or (fields.region or "").strip() or LOCAL
    if region == LOCAL or remote.get(region):
        return region
    reason = "no agent is connected there" if region in remote else "there is no such region"
    ready = ", ".join([LOCAL, *(name for name in sorted(remote) if remote[name])])
    raise Refusal(f"Region {region!r} is not available: {reason}; available now: {ready}")


@dataclass(frozen=True, slots=True)
class Aim:
    """A target, and the addresses that were judged; None where an agent judges for itself."""

    url: str
    addresses: Sequence[str] | None = None


def engine_job(
    run_id: str,
    fields: ProfileFields,
    limits: ServerLimits,
    aim: Aim,
    against: Aim | None = None,
) -> dict[str, Any]:
    """The first line for the engine, as data."""
    return {
        "against": _aim(against) | {"seed": _seed(run_id)} if against else None,
        **_aim(aim),
        "run_id": run_id,
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


@dataclass(frozen=True, slots=True)
class Load:
    """What makes two runs comparable; `traits` are what the fingerprint is made of, by name."""

    fingerprint: str
    traits: Mapping[str, str]


def load_of(fields: ProfileFields, region: str, against_url: str | None) -> Load:
    """Equal for runs that may be compared: same target, method, curve, duration and region.

    A duet is comparable with duets against the same other target only.
    """
    facts: Sequence[object] = (
        fields.target_url,
        fields.http_method,
        _curve(fields),
        fields.duration,
        fields.interpolation_mode,
        region,
        *([against_url] if against_url else []),
    )
    traits = {
        "target": fields.target_url,
        "method": fields.http_method,
        "curve": _digest([_curve(fields), fields.interpolation_mode]),
        "duration": str(fields.duration),
        "region": region,
        "second target": against_url or "",
    }
    return Load(_digest(facts), traits)


def _digest(facts: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _aim(aim: Aim) -> dict[str, Any]:
    addresses = None if aim.addresses is None else list(aim.addresses)
    return {"target_url": aim.url, "addresses": addresses}


def _seed(run_id: str) -> int:
    """Which of a pair of requests goes where is chance, but the same on every worker."""
    return int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:4])


def _curve(fields: ProfileFields) -> list[list[float]]:
    return [[float(point.x), float(point.y)] for point in fields.points]
