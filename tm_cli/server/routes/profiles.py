"""Routes of profiles and of their pinned baselines."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tm_cli.server.profiles import LOCAL, ProfileFields, Schedule, Slot, StoredProfile, StoredSlot
from tm_cli.server.runs.attached_data import check_attached
from tm_cli.server.runs.lifecycle import require_storable
from tm_cli.server.runs.plan import usable_baseline
from tm_cli.server.validation import wire_time
from tm_cli.server.web.bodies import MAX_PROFILE_BYTES, Refusal, read_json, read_model, validated
from tm_cli.server.web.schemas import PinBody, ProfileBody, ScheduleBody, Url
from tm_cli.server.web.services import Services, path_id


async def get_baseline(request: Request) -> Response:
    services = Services.of(request)
    return JSONResponse(_pin_view(services, services.profile(request).id, _region(request)))


async def pin_baseline(request: Request) -> Response:
    """Pin a completed run of the profile; it holds for the region in which it ran."""
    services = Services.of(request)
    profile = services.profile(request)
    wanted = (await read_model(request, PinBody)).history_id
    row = usable_baseline(services, profile.id, wanted)
    if row["against_url"]:
        raise Refusal(f"Run {wanted} cannot be the baseline: it is an A/B run")
    services.pins.pin(profile.id, row["region"], wanted)
    return JSONResponse(_pin_view(services, profile.id, row["region"]))


async def unpin_baseline(request: Request) -> Response:
    services = Services.of(request)
    services.pins.unpin(services.profile(request).id, _region(request))
    return Response(status_code=204)


def _region(request: Request) -> str:
    return request.query_params.get("region") or LOCAL


def _pin_view(services: Services, profile_id: int, region: str) -> dict[str, Any]:
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


BASELINE_ROUTES = [
    Route("/profiles/{id}/baseline", get_baseline, methods=["GET"]),
    Route("/profiles/{id}/baseline", pin_baseline, methods=["PUT"]),
    Route("/profiles/{id}/baseline", unpin_baseline, methods=["DELETE"]),
]

FORMAT = "trafficmorph-profile-v1"
_LEFT_OUT_IF_UNSET = (
    *("schedule", "waitForTarget", "warmup", "stopEarly"),
    *("steps", "checks", "cookies", "followRedirects"),
    *("data", "clientCertificate", "httpVersion", "locustfile"),
)
NEVER_INSIDE = ("initScript", "cleanupScript", "variablesSetIds", "region")


class PortableBody(ProfileBody):
    """A profile under the names of the document."""

    target_url: Annotated[Url, Field(alias="endpointUrl")]
    request_body: Annotated[
        Annotated[str, StringConstraints(max_length=1_000_000)] | None,
        Field(alias="requestPayload"),
    ] = None


def export_document(fields: ProfileFields) -> dict[str, Any]:
    document: dict[str, Any] = {"_format": FORMAT}
    for key, value in fields.to_wire().items():
        if key not in NEVER_INSIDE:
            document[_document_name(key)] = value
    for key in _LEFT_OUT_IF_UNSET:
        if document[key] in (None, ()):
            del document[key]
    if fields.schedule:
        document["schedule"]["slots"] = [
            slot.model_dump(by_alias=True, include=set(Slot.model_fields))
            for slot in fields.schedule.slots
        ]
    return document


def _document_name(wire_name: str) -> str:
    return {"targetUrl": "endpointUrl", "requestBody": "requestPayload"}.get(wire_name, wire_name)


def read_document(document: Any) -> tuple[PortableBody, list[str]]:
    """Check a document; return its profile and the warnings.

    Raises `Refusal` when it cannot be imported. A schedule that cannot be kept only warns.
    """
    if not isinstance(document, dict) or document.get("_format") != FORMAT:
        raise Refusal(f"_format must be {FORMAT}")
    plain = {
        key: value
        for key, value in document.items()
        if key != "schedule" and key not in NEVER_INSIDE
    }
    body = validated(PortableBody, plain)
    schedule, warnings = _read_schedule(document.get("schedule"), looping=bool(body.loop))
    return body.model_copy(update={"schedule": schedule}), warnings


def _read_schedule(data: Any, *, looping: bool) -> tuple[ScheduleBody | None, list[str]]:
    if data is None:
        return None, []
    if looping:
        return None, ["The schedule was not kept: a looping profile cannot be scheduled"]
    try:
        return validated(ScheduleBody, data), []
    except Refusal as refusal:
        return None, [f"The schedule was not kept: {refusal.message}"]


def imported(body: PortableBody, current: ProfileFields | None) -> ProfileFields:
    """The profile after an import: what documents never have stays as it was.

    So a schedule that fires once and has expired is not set again by the same document, which a
    gate may import for each run.
    """
    fields = body.stored(current)
    if current is None:
        return fields
    kept = {"init_script": current.init_script, "cleanup_script": current.cleanup_script}
    is_same = current.schedule is not None and fields.schedule == current.schedule.as_set
    schedule = current.schedule if is_same else fields.schedule
    return fields.model_copy(update={**kept, "schedule": schedule})


async def list_profiles(request: Request) -> Response:
    profiles = Services.of(request).profiles.all()
    return JSONResponse(
        [
            {
                "id": profile.id,
                "name": profile.fields.name,
                "createdAt": wire_time(profile.created_at),
            }
            for profile in profiles
        ]
    )


async def create_profile(request: Request) -> Response:
    services = Services.of(request)
    body = await read_model(request, ProfileBody, most=MAX_PROFILE_BYTES)
    current = services.profiles.named(body.name)
    fields = body.stored(current.fields if current else None)
    profile = _upsert(services, current, fields)
    return JSONResponse(_view(services, profile), 201)


async def get_profile(request: Request) -> Response:
    services = Services.of(request)
    return JSONResponse(_view(services, services.profile(request)))


async def update_profile(request: Request) -> Response:
    """Replace the profile with the id of the path; its name is just another value."""
    services = Services.of(request)
    body = await read_model(request, ProfileBody, most=MAX_PROFILE_BYTES)
    current = services.profile(request)
    fields = body.stored(current.fields)
    check_lists(services, fields, current)
    return JSONResponse(_view(services, services.profiles.replace(current, fields)))


async def delete_profile(request: Request) -> Response:
    services = Services.of(request)
    profile_id = path_id(request)
    if not services.profiles.delete(profile_id):
        raise Refusal("Profile not found")
    services.supervisor.stop(profile_id)
    return Response(status_code=204)


async def delete_schedule(request: Request) -> Response:
    services = Services.of(request)
    profile = services.profile(request)
    if profile.fields.schedule:
        services.profiles.replace(profile, profile.fields.model_copy(update={"schedule": None}))
    return Response(status_code=204)


async def export_profile(request: Request) -> Response:
    return JSONResponse(export_document(Services.of(request).profile(request).fields))


async def import_profile(request: Request) -> Response:
    services = Services.of(request)
    body, warnings = read_document(await read_json(request, most=MAX_PROFILE_BYTES))
    current = services.profiles.named(body.name)
    fields = imported(body, current.fields if current else None)
    try:
        _check_slots(services, fields, current)
    except Refusal as refusal:
        warnings.append(f"The schedule was not kept: {refusal.message}")
        kept = current.fields.schedule if current else None
        fields = fields.model_copy(update={"schedule": kept})
    profile = _upsert(services, current, fields)
    return JSONResponse(
        {
            "id": profile.id,
            "name": profile.fields.name,
            "callbackSecret": profile.callback_secret,
            "warnings": warnings,
        },
        201,
    )


def _upsert(
    services: Services, current: StoredProfile | None, fields: ProfileFields
) -> StoredProfile:
    check_lists(services, fields, current)
    if current:
        return services.profiles.replace(current, fields)
    services.quota.check_profiles(len(services.profiles.all()) + 1)
    return services.profiles.add(fields)


def check_lists(services: Services, fields: ProfileFields, current: StoredProfile | None) -> None:
    """Refuse larger requests, more addresses or slots than the account has, and unknown sets."""
    require_storable(fields)
    quota = services.quota
    quota.check_request(fields)
    known = current.fields.variables_set_ids if current else ()
    new = [each for each in fields.variables_set_ids if each not in known]
    check_attached(services.variables_sets, fields, new)
    if len(fields.auto_alert_recipients) > quota.notify_emails:
        raise Refusal(f"autoAlertRecipients: more than {quota.notify_emails} addresses")
    _check_slots(services, fields, current)


def _check_slots(services: Services, fields: ProfileFields, current: StoredProfile | None) -> None:
    if fields.schedule is None:
        return
    if fields.loop:
        raise Refusal("schedule: a looping profile cannot be scheduled")
    if len(fields.schedule.notify_emails) > services.quota.notify_emails:
        raise Refusal(f"schedule.notifyEmails: more than {services.quota.notify_emails}")
    others = [
        profile for profile in services.profiles.all() if profile.id != (current and current.id)
    ]
    slots = sum(slot_count(profile) for profile in others) + len(fields.schedule.slots)
    if slots > services.quota.schedule_slots:
        raise Refusal(f"schedule.slots: more than {services.quota.schedule_slots} altogether")


def slot_count(profile: StoredProfile) -> int:
    return len(profile.fields.schedule.slots) if profile.fields.schedule else 0


def _view(services: Services, profile: StoredProfile) -> dict[str, Any]:
    fields = profile.fields
    live = services.supervisor.find(profile.id)
    view = {
        "id": profile.id,
        **fields.to_wire(),
        "callbackSecret": profile.callback_secret,
        "createdAt": wire_time(profile.created_at),
        "status": live.status if live else "IDLE",
    }
    if fields.schedule:
        view["schedule"] = _schedule_view(profile, fields.schedule)
    else:
        del view["schedule"]  # the official Python client cannot read a null here
    return view


def _schedule_view(profile: StoredProfile, schedule: Schedule) -> dict[str, Any]:
    return {
        "profileId": profile.id,
        "profileName": profile.fields.name,
        "mode": schedule.mode,
        "timezone": schedule.timezone,
        "notifyEmails": schedule.notify_emails,
        "slots": [
            {"id": number, **_slot_view(slot)}
            for number, slot in enumerate(schedule.slots, start=1)
        ],
    }


def _slot_view(slot: StoredSlot) -> dict[str, Any]:
    view = slot.to_wire()
    if slot.last_fired_at is None:
        del view["lastFiredAt"]  # the official Python client cannot read a null time
    return view


ROUTES = [
    Route("/profiles", list_profiles, methods=["GET"]),
    Route("/profiles", create_profile, methods=["POST"]),
    Route("/profiles/import", import_profile, methods=["POST"]),
    Route("/profiles/{id}", get_profile, methods=["GET"]),
    Route("/profiles/{id}", update_profile, methods=["PUT"]),
    Route("/profiles/{id}", delete_profile, methods=["DELETE"]),
    Route("/profiles/{id}/schedule", delete_schedule, methods=["DELETE"]),
    Route("/profiles/{id}/export", export_profile, methods=["GET"]),
]
