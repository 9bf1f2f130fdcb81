"""From a profile to the engine's job; refuses what this server cannot execute."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tm_cli.server.judge import Limits
from tm_cli.server.judge.baseline import differences
from tm_cli.server.profiles import LOCAL, Profile, ProfileFields
from tm_cli.server.runs.run import Run
from tm_cli.server.runs.verdicts import facts
from tm_cli.server.store.stored_rows import StoredRow, damage
from tm_cli.server.web.bodies import Refusal
from tm_cli.server.web.schemas import ServerLimits, StartBody
from tm_cli.server.web.services import Services

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


async def prepare_run(
    services: Services, profile: Profile, asked: StartBody
) -> tuple[Run, dict[str, Any]]:
    """Check everything that can be checked before the start; raises Refusal."""
    fields = profile.fields
    require_runnable(fields)
    region = choose_region(asked.region, fields, services.agents.workers)
    aim = Aim(fields.target_url, await services.check_target(fields.target_url, region))
    rival = await _rival(services, asked, aim, region)
    load = load_of(fields, region, rival.url if rival else None)
    run = Run(
        run_id=str(uuid.uuid4()),
        profile_id=profile.id,
        profile_name=fields.name,
        target_url=fields.target_url,
        region=region,
        tags=tuple(dict.fromkeys(asked.tags or ())),
        triggered_by="api",
        fingerprint=load.fingerprint,
        duration=float(fields.duration),
        loop=fields.loop,
        started_at=services.clock.now(),
        traits=load.traits,
        against_url=rival.url if rival else None,
        gate=_limits(asked.gate, fields.gate),
        wish=None if rival else _wish(services, profile.id, region, asked.baseline_run_id, load),
    )
    return run, engine_job(run.run_id, fields, services.limits, aim, rival)


async def _rival(services: Services, asked: StartBody, aim: Aim, region: str) -> Aim | None:
    """The other target of a duet, judged like the first."""
    url = asked.against_url
    if url is None:
        return None
    if asked.baseline_run_id is not None:
        raise Refusal("A run against another target has no baseline: leave baselineRunId out")
    if url == aim.url:
        raise Refusal("againstUrl is the profile's own target: nothing would be compared")
    try:
        return Aim(url, await services.check_target(url, region))
    except Refusal as refusal:
        raise Refusal(refusal.message.replace("targetUrl", "againstUrl", 1)) from None


def _limits(*documents: Mapping[str, Any] | None) -> dict[str, Any]:
    """The limits of the run; a later document has the last word."""
    if not any(documents):
        return {}
    limits = Limits()
    try:
        for document in documents:
            limits = limits.changed(document)
    except ValueError as error:  # each by itself was checked, but they do not go together
        raise Refusal(str(error)) from None
    return limits.document()


def _wish(
    services: Services, profile_id: int, region: str, asked: int | None, load: Load
) -> tuple[str, int] | None:
    """The baseline that the user has named; one for this run alone must be usable now.

    A pinned one that is not leads to NO_BASELINE, so that the run itself is not lost.
    """
    if asked is None:
        pin = services.pins.find(profile_id, region)
        return ("pinned", pin.history_id) if pin else None
    row = measure(services, profile_id, asked)
    if difference := differences(load, facts(row, services.clock.now())):
        raise Refusal(f"Run {asked} cannot be the baseline: it has {difference}")
    return "asked", asked


def measure(services: Services, profile_id: int, history_id: int) -> StoredRow:
    """The row of a run that others of the profile can be measured by, or a refusal."""
    row = services.history.find(history_id)
    if row is None or row["profile_id"] != profile_id:
        raise Refusal(f"This profile has no run {history_id} in the history")
    if row["damaged"]:
        raise Refusal(f"Run {history_id} cannot be the baseline: {damage(row)}")
    if row["outcome"] != "COMPLETED":
        outcome = row["outcome"].lower()
        raise Refusal(f"Run {history_id} cannot be the baseline: it was {outcome}, not completed")
    if not facts(row, services.clock.now()).is_measure:
        raise Refusal(f"Run {history_id} cannot be the baseline: it mostly failed")
    return row
