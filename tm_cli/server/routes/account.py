"""Account and regions."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tm_cli.server.profiles import LOCAL
from tm_cli.server.quota import Quota
from tm_cli.server.routes.profiles import slot_count
from tm_cli.server.sandbox import is_installed
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
            "limits": _limits(services.quota),
            "usage": _usage(services),
            "features": {
                "remoteRegions": True,
                "lifecycleScripts": is_installed(),
                "scripts": is_installed(),
                "domainVerificationRequired": services.domain_rule.required,
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
                "variablesSets": True,
            },
        }
    )


def _limits(quota: Quota) -> dict[str, int | None]:
    return {
        "maxRps": quota.max_rps,
        "maxProfileRps": quota.profile_rps,
        "maxConcurrentRuns": quota.concurrent_runs,
        "maxProfiles": quota.profiles,
        "maxScheduledRuns": quota.schedule_slots,
        "maxNotifyEmails": quota.notify_emails,
        "maxVariablesSets": quota.variables_sets,
        "historyRetentionDays": quota.history_days,
        "maxRequestBytes": quota.request_bytes,
        "maxRequestHeadersBytes": quota.headers_bytes,
        "maxRequestHeaderCount": quota.header_count,
        "maxRequestHeaderBytes": quota.header_bytes,
        "apiRequestsPerMinute": quota.requests_per_minute,
    }


def _usage(services: Services) -> dict[str, int]:
    profiles = services.profiles.all()
    return {
        "usedRequests": services.supervisor.used_requests,
        "includedRequests": services.quota.monthly_requests,
        "activeRunCount": len(services.supervisor.active),
        "profileCount": len(profiles),
        "scheduledRunCount": sum(map(slot_count, profiles)),
        "variablesSetCount": services.variables_sets.count(),
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


ROUTES = [
    Route("/account", get_account, methods=["GET"]),
    Route("/regions", list_regions, methods=["GET"]),
]
