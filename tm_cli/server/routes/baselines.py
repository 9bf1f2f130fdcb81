"""Pinned baselines: read, set, remove."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tm_cli.server.profiles import LOCAL
from tm_cli.server.runs.plan import usable_baseline
from tm_cli.server.timestamps import wire_time
from tm_cli.server.web.bodies import Refusal, read_model
from tm_cli.server.web.schemas import PinBody
from tm_cli.server.web.services import Services


async def get_baseline(request: Request) -> Response:
    services = Services.of(request)
    return JSONResponse(_view(services, services.profile(request).id, _region(request)))


async def pin_baseline(request: Request) -> Response:
    """Pin a completed run of the profile; it holds for the region in which it ran."""
    services = Services.of(request)
    profile = services.profile(request)
    wanted = (await read_model(request, PinBody)).history_id
    row = usable_baseline(services, profile.id, wanted)
    if row["against_url"]:
        raise Refusal(f"Run {wanted} cannot be the baseline: it is an A/B run")
    services.pins.pin(profile.id, row["region"], wanted)
    return JSONResponse(_view(services, profile.id, row["region"]))


async def unpin_baseline(request: Request) -> Response:
    services = Services.of(request)
    services.pins.unpin(services.profile(request).id, _region(request))
    return Response(status_code=204)


def _region(request: Request) -> str:
    return request.query_params.get("region") or LOCAL


def _view(services: Services, profile_id: int, region: str) -> dict[str, Any]:
    pin = services.pins.find(profile_id, region)
    row = services.history.find(pin.history_id) if pin else None
    return {
        "profileId": profile_id,
        "region": region,
        "historyId": pin.history_id if pin else None,
        "pinnedAt": wire_time(pin.pinned_at) if pin and pin.pinned_at else None,
        "exists": row is not None,
        "runId": row["run_id"] if row else None,
        "startedAt": row["started_at"] if row else None,
        "autoVerdict": row["auto_verdict"] if row else None,
    }


ROUTES = [
    Route("/profiles/{id}/baseline", get_baseline, methods=["GET"]),
    Route("/profiles/{id}/baseline", pin_baseline, methods=["PUT"]),
    Route("/profiles/{id}/baseline", unpin_baseline, methods=["DELETE"]),
]
