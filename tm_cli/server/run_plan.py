"""What a start asks for becomes a run and a job for the engine, or a refusal."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from tm_cli.server.job import Aim, choose_region, engine_job, fingerprint, require_runnable, traits
from tm_cli.server.judge import Limits
from tm_cli.server.profile import Profile
from tm_cli.server.refusal import Refusal
from tm_cli.server.run import Run
from tm_cli.server.schemas import StartBody
from tm_cli.server.services import Services


async def prepare_run(
    services: Services, profile: Profile, asked: StartBody
) -> tuple[Run, dict[str, Any]]:
    """Check everything that can be checked before the start; raises Refusal."""
    fields, against = profile.fields, asked.against_url
    require_runnable(fields)
    region = choose_region(asked.region, fields, services.agents.workers)
    aim = Aim(fields.target_url, await services.check_target(fields.target_url, region))
    other = None
    if against is not None:
        if asked.baseline_run_id is not None:
            raise Refusal("a run against another target has no baseline: leave baselineRunId out")
        other = Aim(against, await services.check_target(against, region))
    print_ = fingerprint(fields, region, against)
    run = Run(
        run_id=str(uuid.uuid4()),
        profile_id=profile.id,
        profile_name=fields.name,
        target_url=fields.target_url,
        region=region,
        tags=tuple(dict.fromkeys(asked.tags or ())),
        triggered_by="api",
        fingerprint=print_,
        duration=float(fields.duration),
        loop=fields.loop,
        started_at=services.clock.now(),
        traits=traits(fields, region, against),
        against_url=against,
        gate=_limits(asked.gate, fields.gate),
        wish=None
        if against
        else _wish(services, profile.id, region, asked.baseline_run_id, print_),
    )
    return run, engine_job(run.run_id, fields, services.limits, aim, other)


def _limits(*documents: Mapping[str, Any] | None) -> dict[str, Any]:
    """The limits of the run; a later document has the last word."""
    if not any(documents):
        return {}
    limits = Limits()
    for document in documents:
        limits = limits.changed(document)
    return limits.document()


def _wish(
    services: Services, profile_id: int, region: str, asked: int | None, fingerprint: str
) -> tuple[str, int] | None:
    """The baseline that the user has named; one for this run alone must be usable now.

    A pinned one that is not leads to NO_BASELINE, so that the run itself is not lost.
    """
    if asked is None:
        pin = services.pins.find(profile_id, region)
        return ("pinned", pin.history_id) if pin else None
    row = services.history.find(asked)
    if row is None or row["profile_id"] != profile_id:
        raise Refusal(f"baselineRunId: this profile has no run {asked} in the history")
    if row["outcome"] != "COMPLETED":
        raise Refusal(f"baselineRunId: run {asked} was {row['outcome'].lower()}, not completed")
    if row["fingerprint"] != fingerprint:
        raise Refusal(
            f"baselineRunId: run {asked} cannot be compared: it has another target, method, curve, "
            "duration or region"
        )
    return "asked", asked
