"""Turns a start request into a run and an engine job, or refuses it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from tm_cli.server.engine.job import EngineJob
from tm_cli.server.job import (
    CheckedTarget,
    LoadFingerprint,
    choose_region,
    engine_job,
    load_of,
    require_runnable,
)
from tm_cli.server.judge import Thresholds
from tm_cli.server.judge.baseline import differences
from tm_cli.server.profile import StoredProfile
from tm_cli.server.refusal import Refusal
from tm_cli.server.run import ServerRun
from tm_cli.server.schemas import StartBody
from tm_cli.server.services import Services
from tm_cli.server.store.stored_rows import StoredRow, damage
from tm_cli.server.verdicts import facts


async def prepare_run(
    services: Services, profile: StoredProfile, asked: StartBody
) -> tuple[ServerRun, EngineJob]:
    """Check everything that can be checked before the start; raises `Refusal`."""
    fields = profile.fields
    require_runnable(fields)
    region = choose_region(asked.region, fields, services.agents.workers)
    addresses = await services.check_target(fields.target_url, region)
    target = CheckedTarget(fields.target_url, addresses)
    second = await _second_target(services, asked, target, region)
    load = load_of(fields, region, second.url if second else None)
    run = ServerRun(
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
        against_url=second.url if second else None,
        gate=_thresholds(asked.gate, fields.gate),
        selected_baseline=None
        if second
        else _selection(services, profile.id, region, asked.baseline_run_id, load),
    )
    return run, engine_job(run.run_id, fields, services.limits, target, second)


async def _second_target(
    services: Services, asked: StartBody, target: CheckedTarget, region: str
) -> CheckedTarget | None:
    url = asked.against_url
    if url is None:
        return None
    if asked.baseline_run_id is not None:
        raise Refusal("A run against another target has no baseline: leave baselineRunId out")
    if url == target.url:
        raise Refusal("againstUrl is the profile's own target: nothing would be compared")
    try:
        return CheckedTarget(url, await services.check_target(url, region))
    except Refusal as refusal:
        raise Refusal(refusal.message.replace("targetUrl", "againstUrl", 1)) from None


def _thresholds(*documents: Mapping[str, Any] | None) -> dict[str, Any]:
    """The thresholds of the run; later documents override earlier ones."""
    if not any(documents):
        return {}
    thresholds = Thresholds()
    try:
        for document in documents:
            thresholds = thresholds.changed(document)
    except ValueError as error:  # each by itself was checked, but they do not go together
        raise Refusal(str(error)) from None
    return thresholds.document()


def _selection(
    services: Services, profile_id: int, region: str, asked: int | None, load: LoadFingerprint
) -> tuple[str, int] | None:
    """The selected baseline; one for this run alone must be usable now.

    A pinned one that is not leads to NO_BASELINE, so that the run itself is not lost.
    """
    if asked is None:
        pin = services.pins.find(profile_id, region)
        return ("pinned", pin.history_id) if pin else None
    row = usable_baseline(services, profile_id, asked)
    if difference := differences(load, facts(row, services.clock.now())):
        raise Refusal(f"Run {asked} cannot be the baseline: it has {difference}")
    return "asked", asked


def usable_baseline(services: Services, profile_id: int, history_id: int) -> StoredRow:
    """The row of a run that can be a baseline of the profile; raises `Refusal`."""
    row = services.history.find(history_id)
    if row is None or row["profile_id"] != profile_id:
        raise Refusal(f"This profile has no run {history_id} in the history")
    if row["damaged"]:
        raise Refusal(f"Run {history_id} cannot be the baseline: {damage(row)}")
    if row["outcome"] != "COMPLETED":
        outcome = row["outcome"].lower()
        raise Refusal(f"Run {history_id} cannot be the baseline: it was {outcome}, not completed")
    if not facts(row, services.clock.now()).can_be_baseline:
        raise Refusal(f"Run {history_id} cannot be the baseline: it mostly failed")
    return row
