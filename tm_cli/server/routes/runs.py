"""Runs: start, stop, pause, resume, status."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tm_cli.server.profiles import StoredProfile
from tm_cli.server.runs.plan import prepare_run
from tm_cli.server.runs.progress import RunState
from tm_cli.server.web.bodies import Refusal, parse_json, read_bytes, read_model, validated
from tm_cli.server.web.schemas import StartBody, ValuesBody
from tm_cli.server.web.services import Services, path_id


async def start(request: Request) -> Response:
    services = Services.of(request)
    return await _start(services, services.profile(request), StartBody())


async def start_run(request: Request) -> Response:
    """Start a run, optionally with region and tags; a body may be missing or empty."""
    services = Services.of(request)
    body = await read_bytes(request)
    asked = validated(StartBody, parse_json(request, body)) if body.strip() else StartBody()
    return await _start(services, services.profile(request), asked)


async def _start(services: Services, profile: StoredProfile, asked: StartBody) -> Response:
    try:
        run, job = await prepare_run(services, profile, asked)
    except Refusal as refusal:
        raise refusal.hiding(asked.values or {}) from None
    services.supervisor.start(run, job)
    return _control(profile.id, run.run_id, "RUNNING")


async def stop(request: Request) -> Response:
    """End the active run; succeeds without one, too."""
    profile_id = path_id(request)
    live = Services.of(request).supervisor.stop(profile_id)
    return _control(profile_id, live.run.run_id if live else None, "IDLE")


async def pause(request: Request) -> Response:
    profile_id = path_id(request)
    live = Services.of(request).supervisor.find(profile_id)
    if live is None or not live.is_active:
        return _control(profile_id, None, "IDLE")
    live.pause()
    return _control(profile_id, live.run.run_id, live.status)


async def resume(request: Request) -> Response:
    services = Services.of(request)
    profile = services.profile(request)
    live = services.supervisor.find(profile.id)
    if live and live.completed:
        raise Refusal("Run already completed. Start a new run or reset.")
    if live is None or not live.is_active:
        raise Refusal("No active run to resume for selected profile")
    live.resume()
    return _control(profile.id, live.run.run_id, live.status)


async def renew_values(request: Request) -> Response:
    """Replace renewable values of an active run, such as a token that expires."""
    services = Services.of(request)
    values = (await read_model(request, ValuesBody)).values
    live = services.supervisor.find(services.profile(request).id)
    if live is None or not live.is_active or live.run.run_id != request.path_params["run_id"]:
        raise Refusal("This run is not active")
    if not live.renew(values):
        raise Refusal("values: the start has named others as renewable")
    return Response(status_code=204)


async def get_run_status(request: Request) -> Response:
    services = Services.of(request)
    profile = services.profile(request)
    live = services.supervisor.find(profile.id)
    if live is None or live.status == "IDLE":
        return JSONResponse(_status(profile.id, None, "IDLE"))
    run = live.run
    head = _status(profile.id, run.run_id, live.status)
    known = {"region": run.region, "tags": run.tags, "stopsEarly": run.stops_early}
    warmup = {"warmupSeconds": run.warmup} if run.warmup else {}
    found = live.steps.counters(live.state.elapsed)
    steps = {"steps": found} if found else {}
    return JSONResponse(head | known | warmup | steps | live.state.counters())


def _status(profile_id: int, run_id: str | None, status: str) -> dict[str, object]:
    """The status response with every counter at its initial value."""
    rest: dict[str, object] = {
        "profileId": profile_id,
        "runId": run_id,
        "status": status,
        "region": None,
        "tags": [],
    }
    return rest | RunState(0.0).counters()


def _control(profile_id: int, run_id: str | None, status: str) -> Response:
    return JSONResponse({"runId": run_id, "status": status, "profileId": profile_id})


ROUTES = [
    Route("/profiles/{id}/start", start, methods=["POST"]),
    Route("/profiles/{id}/runs", start_run, methods=["POST"]),
    Route("/profiles/{id}/stop", stop, methods=["POST"]),
    Route("/profiles/{id}/pause", pause, methods=["POST"]),
    Route("/profiles/{id}/resume", resume, methods=["POST"]),
    Route("/profiles/{id}/runs/{run_id}/values", renew_values, methods=["PUT"]),
    Route("/profiles/{id}/status", get_run_status, methods=["GET"]),
]
