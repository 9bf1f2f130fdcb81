"""Account, regions, and what this server does not have."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tm_cli.server.profiles import LOCAL
from tm_cli.server.routes.profiles import slot_count
from tm_cli.server.web.bodies import Refusal
from tm_cli.server.web.services import Services


async def get_account(request: Request) -> Response:
    services = Services.of(request)
    return JSONResponse(
        {
            "deploymentMode": "SELF_HOSTED",
            "subscriptionType": "BUSINESS",
            "subscriptionStatus": "NONE",
            "trialEndsAt": None,
            "trialExpired": False,
            "graceEndsAt": None,
            "limits": _quota(services),
            "usage": _usage(services),
            "features": {
                "remoteRegions": True,
                "lifecycleScripts": False,
                "domainVerificationRequired": False,
                "baselinePins": True,
                "runLimits": True,
                "duet": True,
                "waitForTarget": True,
                "warmup": True,
                "stopEarly": True,
                "plans": True,
                "calibration": True,
                "journeys": True,
                "checks": True,
                "steps": True,
                "data": True,
                "startValues": True,
                "clientCertificates": True,
                "httpVersions": True,
                "locustfiles": True,
            },
        }
    )


def _quota(services: Services) -> dict[str, int | None]:
    quota = services.quota
    return {
        "maxRps": 0,
        "maxProfileRps": quota.profile_rps,
        "maxConcurrentRuns": quota.concurrent_runs,
        "maxProfiles": quota.profiles,
        "maxScheduledRuns": quota.schedule_slots,
        "maxNotifyEmails": quota.notify_emails,
        "maxVariablesSets": 0,
        "historyRetentionDays": None,
        "maxRequestBytes": 0,
        "maxRequestHeadersBytes": 0,
        "maxRequestHeaderCount": quota.header_count,
        "maxRequestHeaderBytes": 0,
        "apiRequestsPerMinute": quota.requests_per_minute,
    }


def _usage(services: Services) -> dict[str, int]:
    month = services.clock.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    profiles = services.profiles.all()
    active = services.supervisor.active
    live = sum(run.state.sent for run in active)
    return {
        "usedRequests": services.history.requests_since(month) + live,
        "includedRequests": 0,
        "activeRunCount": len(active),
        "profileCount": len(profiles),
        "scheduledRunCount": sum(map(slot_count, profiles)),
        "variablesSetCount": 0,
    }


async def list_regions(request: Request) -> Response:
    """This machine, and the regions with agents connected, in the order of their codes."""
    remote = Services.of(request).agents.regions
    regions = [_region(LOCAL, "Local", agents=1, connections=1)]
    regions += [
        _region(name, name, agents=agents, connections=connections)
        for name, (agents, connections) in remote.items()
        if connections
    ]
    return JSONResponse(sorted(regions, key=lambda region: str(region["regionCode"])))


def _region(code: str, name: str, *, agents: int, connections: int) -> dict[str, object]:
    return {
        "regionCode": code,
        "displayName": name,
        "isLocal": code == LOCAL,
        "agentCount": agents,
        "connectedCount": connections,
    }


async def list_nothing(request: Request) -> Response:
    return JSONResponse([])


async def refuse(request: Request) -> Response:
    noun = request.url.path.split("/")[3]
    raise Refusal(f"{noun} are not supported by the embedded server")


ROUTES = [
    Route("/account", get_account, methods=["GET"]),
    Route("/regions", list_regions, methods=["GET"]),
    Route("/domains", list_nothing, methods=["GET"]),
    Route("/domains", refuse, methods=["POST"]),
    Route("/domains/{id}", refuse, methods=["DELETE"]),
    Route("/domains/{id}/verify/dns", refuse, methods=["POST"]),
    Route("/domains/{id}/verify/http", refuse, methods=["POST"]),
    Route("/variables-sets", list_nothing, methods=["GET"]),
    Route("/variables-sets", refuse, methods=["POST"]),
    Route("/variables-sets/{id}", refuse, methods=["GET", "PATCH", "DELETE"]),
    Route("/variables-sets/{id}/mode", refuse, methods=["PATCH"]),
    Route("/captures/{action}", refuse, methods=["POST"]),
]
