"""What a profile can detect, and the spread between runs on this class of machine."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tm_cli.server.judge import RunFacts, Thresholds
from tm_cli.server.judge.findings import is_unreliable
from tm_cli.server.judge.statistics.bootstrap import ASSUMED
from tm_cli.server.profiles import LOCAL, StoredProfile
from tm_cli.server.runs.attached_data import with_attached_data
from tm_cli.server.runs.noise import (
    CALIBRATED,
    FEWEST_RUNS,
    Asked,
    calibrate,
    comparable_runs,
    plan,
)
from tm_cli.server.runs.plan import load_of, thresholds_of_run, warmup_of_run
from tm_cli.server.runs.stretches import stopped_after
from tm_cli.server.store.stored_rows import damage
from tm_cli.server.validation import wire_time
from tm_cli.server.web.bodies import Refusal, read_model
from tm_cli.server.web.schemas import CalibrationBody, PlanBody
from tm_cli.server.web.services import Services


async def plan_profile(request: Request) -> Response:
    services = Services.of(request)
    profile = services.profile(request)
    body = await read_model(request, PlanBody)
    thresholds = Thresholds().changed(thresholds_of_run(body.gate, profile.fields.gate))
    document = await asyncio.to_thread(_planned, services, profile, body, thresholds)
    return JSONResponse(document)


def _planned(
    services: Services, profile: StoredProfile, body: PlanBody, thresholds: Thresholds
) -> dict[str, Any]:
    region = body.region or profile.fields.region or LOCAL
    warmup = warmup_of_run(body.warmup, profile.fields)
    load = load_of(
        with_attached_data(services.variables_sets, profile.fields), region, None, warmup
    )
    runs = comparable_runs(services.judge, profile.id, load.fingerprint, thresholds)
    asked = Asked(body.metric, body.detect, body.power)
    found = plan(services.judge, runs, thresholds, asked, float(services.quota.profile_rps))
    return {"profileId": profile.id, "region": region} | found


async def show_calibrations(request: Request) -> Response:
    return JSONResponse(_view(Services.of(request)))


def _view(services: Services) -> dict[str, Any]:
    calibrations = services.calibrations
    return {
        "runnerClass": calibrations.own_class,
        "assumedSpread": ASSUMED,
        "calibrations": calibrations.all(),
    }


async def put_calibration(request: Request) -> Response:
    """Measure the spread of this machine's class from runs that it has just made."""
    services = Services.of(request)
    ids = (await read_model(request, CalibrationBody)).run_ids
    record = await asyncio.to_thread(_calibrated, services, sorted(set(ids)))
    services.calibrations.put(record | {"measuredAt": wire_time(services.clock.now())})
    return JSONResponse(_view(services))


def _calibrated(services: Services, ids: Sequence[int]) -> dict[str, Any]:
    """The record of these runs, without those that cannot be used; raises `Refusal`."""
    found: list[RunFacts] = []
    refused = ""
    for number in ids:
        run = _usable(services, number)
        if isinstance(run, RunFacts):
            found.append(run)
        else:
            refused = refused or f": run {number} {run}"
    if len(found) < FEWEST_RUNS:
        raise Refusal(
            f"A calibration takes {FEWEST_RUNS} usable runs, and there are {len(found)}{refused}"
        )
    if len({run.fingerprint for run in found}) > 1:
        raise Refusal("The runs of a calibration must have one load")
    return calibrate(found)


def _usable(services: Services, number: int) -> RunFacts | str:
    """A run that can be measured by, or why it cannot."""
    row = services.history.find(number)
    if row is None:
        return "is not in the history"
    if row["damaged"]:
        return damage(row)
    if row["outcome"] != "COMPLETED" or row["against_url"] or stopped_after(row) is not None:
        return "is not a whole run of one target"
    try:
        run = services.judge.with_blocks(services.judge.facts(row), Thresholds())
    except ValueError as error:
        return f"cannot be read: {error}"
    if run.runner_class != services.calibrations.own_class:
        return "got its load from another class of machine"
    if run.generator_saturated:
        return "was limited by the load generator's machine"
    if not run.can_be_baseline or is_unreliable(run, Thresholds()):
        return "had too many errors or unsent requests, or lost a worker"
    if not run.blocks or not all(run.quantiles_ms.get(name) for name in CALIBRATED):
        return "has no response times"
    return run


async def forget_calibration(request: Request) -> Response:
    services = Services.of(request)
    services.calibrations.forget()
    return JSONResponse(_view(services))


ROUTES = [
    Route("/profiles/{id}/plan", plan_profile, methods=["POST"]),
    Route("/calibration", show_calibrations, methods=["GET"]),
    Route("/calibration", put_calibration, methods=["PUT"]),
    Route("/calibration", forget_calibration, methods=["DELETE"]),
]
