"""Tools for stored profiles: look, create, change, copy, delete."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tm_cli.api.client import given
from tm_cli.backends.trafficmorph.profile_fields import body_of_change
from tm_cli.errors import Refused, TmError, UsageError
from tm_cli.mcp import schema as shared
from tm_cli.mcp.results import LARGEST_RESULT, OWN_KEYS, cleaned
from tm_cli.mcp.schema import (
    Effect,
    Schema,
    Tool,
    choice,
    flag,
    items,
    number,
    published,
    record,
    switch,
    text,
    whole,
)
from tm_cli.mcp.session import CallSession
from tm_cli.values.load.placeholders import needs_filling, placeholders
from tm_cli.values.text import folded_name, sanitize

if TYPE_CHECKING:
    from tm_cli.api.trafficmorph import ProfileSummary

HIDDEN = ("callbackSecret", "requestHeaders")
"""A secret, and headers that log in to the target: nothing for an assistant."""

SENDING = ("responseScript", "steps")
"""Parts of a profile that can send requests to other servers than its target."""

OF_THIS_MACHINE = ("locustfile", "clientCertificate")
"""Keys of a document that name files: code that a run plays, and a private key."""

MASK = "***"
_SECRET_HEADER = re.compile(
    r"auth|cookie|token|secret|key|session|passw|credential|signature|csrf|xsrf|jwt|saml",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"\s*(?:bearer|basic|digest|negotiate)\s", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\$\$[\w.-]+\$\$|\$\{\w+\}")

WIRE_NAMES = {
    "name": "name",
    "target_url": "targetUrl",
    "duration_seconds": "duration",
    "points": "points",
    "http_method": "httpMethod",
    "request_body": "requestBody",
    "request_headers": "requestHeaders",
    "loop": "loop",
    "response_script": "responseScript",
    "init_script": "initScript",
    "cleanup_script": "cleanupScript",
    "callback_url": "callbackUrl",
    "auto_alert_enabled": "autoAlertEnabled",
    "auto_alert_min_severity": "autoAlertMinSeverity",
    "auto_alert_cooldown_minutes": "autoAlertCooldownMinutes",
    "auto_alert_recipients": "autoAlertRecipients",
    "schedule": "schedule",
    "variables_set_ids": "variablesSetIds",
    "region": "region",
    "readiness_url": "readinessUrl",
    "interpolation_mode": "interpolationMode",
}
"""Arguments, and what the fields of a profile are called on the wire."""


def list_profiles(session: CallSession, arguments: dict[str, Any]) -> Any:
    return [profile.document() for profile in session.client.list_profiles()]


def get_profile(session: CallSession, arguments: dict[str, Any]) -> Any:
    return masked(session.client.get_profile_fields(arguments["profile_id"]))


def show_profile(session: CallSession, arguments: dict[str, Any]) -> int:
    """Show one profile without its secrets."""
    from tm_cli.commands.shared.profile_argument import ProfileRef, find_profile

    profile = ProfileRef(arguments["profile_id"], f"profile {arguments['profile_id']}")
    found = find_profile(session.client, profile).document()
    shown = {name: value for name, value in masked(found).items() if name not in HIDDEN}
    return session.emit({**shown, "hidden": [name for name in HIDDEN if found.get(name)]}, str)


def create_profile(session: CallSession, arguments: dict[str, Any]) -> Any:
    """Create a profile; the API would replace all of one that has the name."""
    body = _wire(arguments)
    body["requestHeaders"] = _unmasked(body.get("requestHeaders"), None)
    _refuse_more_variables(session, body, {})
    _refuse_taken_name(session, arguments["name"], hint="tm_update_profile changes that one")
    return masked(session.client.create_profile(given(body)).document())


def update_profile(session: CallSession, arguments: dict[str, Any]) -> Any:
    """Read, merge and write: the API resets what a write leaves out."""
    profile_id = arguments["profile_id"]
    current = session.client.get_profile_fields(profile_id)
    body = body_of_change(current, _wire(arguments))
    body["requestHeaders"] = _unmasked(body.get("requestHeaders"), current.get("requestHeaders"))
    is_same = _origin(body.get("targetUrl")) == _origin(current.get("targetUrl"))
    _refuse_more_variables(session, body, current if is_same else {})
    if "name" in arguments:
        _refuse_taken_name(
            session, arguments["name"], own_id=profile_id, hint="choose another name"
        )
    return masked(session.client.update_profile(profile_id, given(body)).document())


def delete_profile(session: CallSession, arguments: dict[str, Any]) -> Any:
    session.client.delete_profile(arguments["profile_id"])
    return {"profile_id": arguments["profile_id"], "deleted": True}


def delete_schedule(session: CallSession, arguments: dict[str, Any]) -> Any:
    session.client.delete_schedule(arguments["profile_id"])
    return {"profile_id": arguments["profile_id"], "schedule_deleted": True}


def export_profile(session: CallSession, arguments: dict[str, Any]) -> Any:
    """Return the document; one that would be cut would be another profile when imported."""
    document = masked(session.client.export_profile(arguments["profile_id"]))
    if len(json.dumps(document)) > LARGEST_RESULT:
        raise TmError(
            "the document is too large for the result of a tool",
            hint="`tm profiles export` writes it to a file",
            code="too_large",
        )
    if cleaned(document) != document:
        session.terminal.write_line(
            "tm: characters that cannot be shown were left out of the document; "
            "`tm profiles export` writes it unchanged"
        )
    return document


def import_profile(session: CallSession, arguments: dict[str, Any]) -> Any:
    written = {key: value for key, value in arguments["profile"].items() if key not in OWN_KEYS}
    document = {**written, "name": arguments.get("name", written.get("name"))}
    _check_document(document)
    headers = document.get("requestHeaders")
    stored = _source(session, written) if _is_masked(headers) or needs_filling(document) else {}
    if _is_masked(headers):
        document["requestHeaders"] = _unmasked(headers, stored.get("requestHeaders"))
    _refuse_more_variables(session, document, stored)
    if not arguments.get("overwrite"):
        _refuse_taken_name(
            session, document["name"], hint="give another name, or overwrite: true to replace it"
        )
    return masked(session.client.import_profile(document).document())


def _check_document(document: Mapping[str, Any]) -> None:
    """Raise UsageError for what no import here can mean."""
    if not isinstance(document["name"], str) or not document["name"].strip():
        raise UsageError("the document has no name", hint="give name; nothing was sent")
    if other := [key for key in document if "_" in key.strip("_")]:
        # A server may take `target_url` for `endpointUrl`, and nothing here has looked at it.
        raise UsageError(
            f"unknown key {sanitize(other[0])!r}: keys are written like endpointUrl",
            hint="nothing was sent",
        )
    for key in OF_THIS_MACHINE:
        if document.get(key) is not None:
            raise UsageError(
                f"{key} names files of this machine, which an assistant must not choose",
                hint="use `tm profiles import`; nothing was sent",
            )
    if isinstance(steps := document.get("steps"), list) and _is_hidden_in(steps):
        raise _hidden("a header of a step")


def _source(session: CallSession, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The profile of this server that a document was exported from; empty if there is none.

    None whose requests go elsewhere: a document could have been written to learn its secrets.
    """
    name = document.get("name")
    found = _named(session, name) if isinstance(name, str) else None
    fields = session.client.get_profile_fields(found.id) if found else {}
    is_same = _origin(document.get("endpointUrl")) == _origin(fields.get("targetUrl")) and all(
        (document.get(key) or None) == (fields.get(key) or None) for key in SENDING
    )
    return fields if is_same else {}


def _origin(url: Any) -> tuple[str, str]:
    """Scheme and host; the whole URL where a host is not known before it is filled in."""
    text = str(url).strip()
    try:
        parts = urlsplit(text)
    except ValueError:
        return "", text
    is_known = parts.netloc and "$" not in parts.netloc
    return parts.scheme.lower(), parts.netloc.lower() if is_known else text


def _refuse_more_variables(
    session: CallSession, body: Mapping[str, Any], stored: Mapping[str, Any]
) -> None:
    """Raise Refused for placeholders that the `stored` profile does not have.

    A start fills them in from the environment of `tm mcp`: an assistant that was misled could send
    any variable of it to any server.
    """
    from tm_cli.commands.runs.features import features_of

    known = {each.name for each in placeholders(stored)}
    is_moved = body.get("readinessUrl") != stored.get("readinessUrl")
    more = [
        each
        for each in placeholders(body)
        if each.name and (each.name not in known or (is_moved and each.place == "readinessUrl"))
    ]
    if more and (features := features_of(session)) is not None and features.start_values:
        raise Refused(
            f"{sanitize(more[0].place)} uses ${{{more[0].name}}}: a start would fill it in from "
            "the environment of tm",
            hint="`tm profiles update` and `import` accept it; $${ stands for ${",
            code="not_supported",
        )


def _wire(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {wire: arguments[name] for name, wire in WIRE_NAMES.items() if name in arguments}


def _refuse_taken_name(
    session: CallSession, name: str, *, hint: str, own_id: int | None = None
) -> None:
    found = _named(session, name, own_id)
    if found is not None:
        raise Refused(
            f"a profile named {sanitize(found.name)!r} exists already: profile {found.id}",
            hint=hint,
            code="name_taken",
        )


def _named(session: CallSession, name: str, own_id: int | None = None) -> ProfileSummary | None:
    """Another profile with this name, compared as the server does."""
    for profile in session.client.list_profiles():
        if profile.id != own_id and folded_name(profile.name) == folded_name(name):
            return profile
    return None


def masked(profile: Mapping[str, Any]) -> dict[str, Any]:
    """Return a profile or document with asterisks for its secret and what logs in to its target."""
    found = dict(profile)
    if found.get("callbackSecret"):
        found["callbackSecret"] = MASK
    if written := found.get("requestHeaders"):
        headers = _read_headers(written)
        shown = [
            {**header, "value": _masked_value(header.get("name"), header.get("value"))}
            for header in headers or ()
        ]
        is_known = headers is not None
        found["requestHeaders"] = json.dumps(shown, ensure_ascii=False) if is_known else MASK
    certificate = found.get("clientCertificate")
    if isinstance(certificate, dict) and certificate.get("password"):
        password = _masked_value("password", certificate["password"])
        found["clientCertificate"] = {**certificate, "password": password}
    if isinstance(found.get("steps"), list):
        found["steps"] = [_masked_step(step) for step in found["steps"]]
    return found


def _masked_step(step: Any) -> Any:
    if not isinstance(step, dict) or not isinstance(step.get("headers"), dict):
        return step
    headers = step["headers"]
    return {**step, "headers": {name: _masked_value(name, headers[name]) for name in headers}}


def _is_hidden_in(steps: list[Any]) -> bool:
    headers = [step.get("headers") for step in steps if isinstance(step, dict)]
    return any(MASK in found.values() for found in headers if isinstance(found, dict))


def _masked_value(name: Any, value: Any) -> Any:
    """Return the value of a header; placeholders alone are not a secret."""
    text = str(value)
    is_filled_in = not _PLACEHOLDER.sub("", _SCHEME.sub("", text)).strip()
    is_secret = _SECRET_HEADER.search(str(name)) or _SCHEME.match(text)
    return MASK if is_secret and not is_filled_in else value


def _read_headers(written: Any) -> list[dict[str, Any]] | None:
    """The headers in a JSON text; None where it is not the text of a list of objects with names."""
    try:
        found = json.loads(written) if isinstance(written, str) else written
    except (ValueError, RecursionError):
        return None
    is_list = isinstance(found, list) and all(
        isinstance(item, dict) and isinstance(item.get("name"), str) for item in found
    )
    return found if is_list else None


def _is_masked(written: Any) -> bool:
    headers = _read_headers(written) or ()
    return written == MASK or any(header.get("value") == MASK for header in headers)


def _unmasked(written: Any, stored: Any) -> Any:
    """Return headers whose asterisks are the stored values again; raises UsageError without one."""
    if written == MASK:
        if stored is None:
            raise _hidden("requestHeaders")
        return stored
    if not _is_masked(written):
        return written
    values: dict[str, list[Any]] = {}
    for item in _read_headers(stored) or ():
        values.setdefault(item["name"].lower(), []).append(item.get("value"))
    found = []
    for header in _read_headers(written) or ():
        of_name = values.get(header["name"].lower(), [])
        own = of_name.pop(0) if of_name else None  # the first one is the first of its name there
        if header.get("value") == MASK and own is None:
            raise _hidden(f"the header {header['name']!r}")
        found.append({**header, "value": own} if header.get("value") == MASK else header)
    return json.dumps(found, ensure_ascii=False)


def _hidden(place: str) -> UsageError:
    return UsageError(
        f"the value of {place} is hidden, and it cannot be filled in",
        hint="give the value, or use `tm profiles export` and `import`",
    )


LONGEST_URL = 2048
NAME = text("Name of the profile; no other one may have it.", longest=120, pattern=r"\S")
TARGET_URL = text(
    "URL that gets the load. Its host may have to be verified before a run. Macros such as "
    "$$name$$ are filled in for each request.",
    longest=LONGEST_URL,
)
DURATION = whole("Length of a run in seconds; no point may lie beyond it.", most=172_800)
POINTS = items(
    "The curve: at least two points, x in seconds from the start, y in requests per second.",
    {
        "type": "object",
        "properties": {
            "x": number("Seconds from the start.", most=172_800),
            "y": number("Requests per second.", most=1e9),
        },
        "required": ["x", "y"],
    },
    least=2,
    most=5000,
)


def _script(description: str) -> Schema:
    return text(f'{description} "" removes it.', longest=50_000, least=0)


_SLOT = record(
    "One time of the week.",
    {
        "dayOfWeek": whole("1 is Monday, 7 is Sunday.", most=7),
        "time": text("HH:MM, in the time zone of the schedule.", pattern=r"^\d{2}:\d{2}$"),
    },
    ("dayOfWeek", "time"),
    extra=True,
)
SETTINGS: Mapping[str, Schema] = {
    "http_method": text(
        "GET, POST, PUT, PATCH, DELETE, HEAD or OPTIONS. Left out: POST.", longest=16
    ),
    "request_body": text(
        "Body of every request; macros are filled in.", longest=1_000_000, least=0
    ),
    "request_headers": text(
        'Headers, as JSON in a text: [{"name": "Accept", "value": "text/html"}]. The value *** of '
        "tm_get_profile leaves a header as it is.",
        longest=50_000,
        least=0,
    ),
    "loop": switch("Repeat the curve until the run is stopped; such a run has no verdict."),
    "response_script": _script(
        "JavaScript, function process(statusCode, mime, body), called for every response; it may "
        "return further requests as [{url, method, delayMs}]."
    ),
    "init_script": _script(
        "JavaScript, function init(), called once before the load; what it returns gives values to "
        "macros."
    ),
    "cleanup_script": _script("JavaScript, function cleanup(metrics), called once after the run."),
    "callback_url": text(
        'URL that is told about the end of a run. "" removes it.', longest=LONGEST_URL, least=0
    ),
    "auto_alert_enabled": switch("Send a mail when the verdict of a run is bad."),
    "auto_alert_min_severity": choice("The mildest verdict that sends one.", ("WARN", "FAIL")),
    "auto_alert_cooldown_minutes": whole(
        "Minutes between two of these mails.", least=0, most=10_080
    ),
    "auto_alert_recipients": items(
        "Their addresses; [] removes all.", text("An address.", longest=320), most=1000
    ),
    "schedule": record(
        "When the server starts runs by itself. Replaces a schedule that is there; left out, that "
        "one stays, and tm_delete_schedule removes it.",
        {
            "mode": choice("PERIODIC: every week. ONCE: once.", ("ONCE", "PERIODIC")),
            "timezone": text("IANA name, such as Europe/Berlin."),
            "slots": items("Times of the week.", _SLOT, least=1, most=1000),
            "notifyEmails": items("Who is told.", text("An address.", longest=320), most=1000),
        },
        ("mode", "timezone", "slots"),
        extra=True,
    ),
    "variables_set_ids": items(
        "Variables sets that fill macros, from tm_list_variables_sets; replaces the list, [] "
        "removes all.",
        whole("Id of a set."),
        most=50,
    ),
    "region": text(
        'Region that usually generates the load, from tm_list_regions. "" is the server itself.',
        longest=30,
        least=0,
    ),
    "readiness_url": text(
        'URL that is asked before a scheduled run. "" removes it.', longest=LONGEST_URL, least=0
    ),
    "interpolation_mode": choice(
        "Between the points: SPLINE (smooth) or LINEAR. Left out: SPLINE.", ("SPLINE", "LINEAR")
    ),
}  # fmt: skip
ONE_PROFILE = {"profile_id": shared.PROFILE_ID}

PROFILE_TOOLS: tuple[Tool, ...] = (
    published(
        "tm_list_profiles",
        "List profiles",
        "List the stored profiles (descriptions of load tests) with id, name and creation time.",
        Effect.READS,
        list_profiles,
    ),
    published(
        "tm_get_profile",
        "Get a profile",
        "Get all of one stored profile: target, request, curve, scripts, alerts, schedule, and the "
        "status of its run. Values of headers that log in, and the callback secret, are ***.",
        Effect.READS,
        get_profile,
        ONE_PROFILE,
        ("profile_id",),
    ),
    published(
        "tm_create_profile",
        "Create a profile",
        "Create a profile. Needed: name, target_url, duration_seconds and points, e.g. "
        '[{"x": 0, "y": 10}, {"x": 60, "y": 100}] for 10 to 100 requests/s within a minute. '
        "Refused when the name is taken: upper and lower case are the same. Returns the profile.",
        Effect.CHANGES,
        create_profile,
        {
            "name": NAME,
            "target_url": TARGET_URL,
            "duration_seconds": DURATION,
            "points": POINTS,
            **SETTINGS,
        },
        ("name", "target_url", "duration_seconds", "points"),
    ),
    published(
        "tm_update_profile",
        "Change a profile",
        "Change a profile; what is left out stays as it is. A name that another profile has is "
        "refused. An early server, whose profiles have no variablesSetIds, resets sets, region, "
        "readiness URL and interpolation with every change. Returns the profile.",
        Effect.SETS,
        update_profile,
        {
            **ONE_PROFILE,
            "name": NAME,
            "target_url": TARGET_URL,
            "duration_seconds": DURATION,
            "points": POINTS,
            **SETTINGS,
        },
        ("profile_id",),
    ),
    published(
        "tm_delete_profile",
        "Delete a profile",
        "Delete a profile and its schedule for good. Its run is cancelled; its history stays.",
        Effect.CHANGES,
        delete_profile,
        ONE_PROFILE,
        ("profile_id",),
    ),
    published(
        "tm_delete_schedule",
        "Remove a schedule",
        "Remove the schedule of a profile; succeeds without one, too. A run that goes on is not "
        "stopped.",
        Effect.SETS,
        delete_schedule,
        ONE_PROFILE,
        ("profile_id",),
    ),
    published(
        "tm_export_profile",
        "Export a profile",
        "Return a profile as a trafficmorph-profile-v1 document for tm_import_profile. It has no "
        "id, init and cleanup scripts, variables sets, region and secret; values of headers that "
        "log in are ***, which an import on the same server fills in.",
        Effect.READS,
        export_profile,
        ONE_PROFILE,
        ("profile_id",),
    ),
    published(
        "tm_import_profile",
        "Import a profile",
        "Create a profile from a trafficmorph-profile-v1 document. A taken name is refused unless "
        "overwrite is true; then that profile is replaced, and keeps what documents do not have. "
        "Returns id, name and warnings, e.g. about a schedule that could not be kept.",
        Effect.CHANGES,
        import_profile,
        {
            "profile": {
                "type": "object",
                "additionalProperties": True,
                "maxProperties": 1000,
                "description": "The document, as an object.",
            },
            "name": text("Name instead of the document's.", longest=120, pattern=r"\S"),
            "overwrite": flag("Replace the profile that has the name."),
        },
        ("profile",),
    ),
    Tool(
        "tm_show_profile",
        "Show a profile",
        "Show one stored profile: target, method, duration, curve, status. Request headers and "
        "secrets are left out; `hidden` names what was.",
        Effect.READS,
        show_profile,
        ONE_PROFILE,
        ("profile_id",),
    ),
)
