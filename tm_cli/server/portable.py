"""The portable profile document: export, and the rules of its import."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from tm_cli.server.bodies import validated
from tm_cli.server.profile import ProfileFields
from tm_cli.server.refusal import Refusal
from tm_cli.server.schemas import ProfileBody, ScheduleBody, Url

FORMAT = "trafficmorph-profile-v1"
_NEVER_INSIDE = ("initScript", "cleanupScript", "variablesSetIds", "region")


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
        if key not in _NEVER_INSIDE:
            document[_document_name(key)] = value
    if fields.schedule is None:
        del document["schedule"]
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
        if key != "schedule" and key not in _NEVER_INSIDE
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
    """The profile after an import: fields that documents never have stay as they were."""
    fields = body.stored(current)
    if current is None:
        return fields
    scripts = {"init_script": current.init_script, "cleanup_script": current.cleanup_script}
    return fields.model_copy(update=scripts)
