"""Turns a profile into the engine's job; refuses what this server cannot execute."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from tm_cli.server.engine.job import Against, EngineJob
from tm_cli.server.limits import Quota
from tm_cli.server.profile import ProfileFields
from tm_cli.server.refusal import Refusal
from tm_cli.server.regions import LOCAL

_PROFILE_NAMES = {"target_url": "targetUrl", "headers": "requestHeaders", "body": "requestBody"}
_MACRO = re.compile(r"\$\$[^\s$]+\$\$")


def require_runnable(fields: ProfileFields) -> None:
    """Raise `Refusal`, naming the field, for features that this server does not have."""
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
class CheckedTarget:
    """A target, and the addresses that were checked; None where an agent checks for itself."""

    url: str
    addresses: list[str] | None = None


def engine_job(
    run_id: str,
    fields: ProfileFields,
    limits: Quota,
    target: CheckedTarget,
    second_target: CheckedTarget | None = None,
) -> EngineJob:
    """The job of a run; raises `Refusal` for what the load generator cannot send."""
    try:
        return EngineJob(
            run_id=run_id,
            target_url=target.url,
            addresses=target.addresses,
            against=_against(run_id, second_target),
            method=fields.http_method,
            headers=fields.headers,
            body=fields.request_body,
            points=[(point.x, point.y) for point in fields.points],
            duration=fields.duration,
            interpolation=fields.interpolation_mode,
            loop=fields.loop,
            max_rps=limits.profile_rps,
        )
    except ValidationError as error:
        raise _refusal(error, _PROFILE_NAMES) from None


def _against(run_id: str, target: CheckedTarget | None) -> Against | None:
    if target is None:
        return None
    try:
        return Against(target_url=target.url, addresses=target.addresses, seed=_seed(run_id))
    except ValidationError as error:
        raise _refusal(error, {"target_url": "againstUrl"}) from None


def _refusal(error: ValidationError, names: Mapping[str, str]) -> Refusal:
    first = error.errors(include_url=False, include_input=False)[0]
    field = str(first["loc"][0]) if first["loc"] else ""
    return Refusal(f"{names.get(field, field)}: {first['msg'].removeprefix('Value error, ')}")


@dataclass(frozen=True, slots=True)
class LoadFingerprint:
    """What makes two runs comparable; `traits` are what the fingerprint is made of, by name."""

    fingerprint: str
    traits: Mapping[str, str]


def load_of(fields: ProfileFields, region: str, against_url: str | None) -> LoadFingerprint:
    """Equal for runs that may be compared: same target, method, curve, duration and region.

    An A/B run is comparable only with those against the same second target.
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
    return LoadFingerprint(_digest(facts), traits)


def _digest(facts: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _seed(run_id: str) -> int:
    """The order within pairs of requests is random, but the same on every worker."""
    return int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:4])


def _curve(fields: ProfileFields) -> list[list[float]]:
    return [[float(point.x), float(point.y)] for point in fields.points]
