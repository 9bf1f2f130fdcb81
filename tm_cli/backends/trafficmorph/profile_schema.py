"""The JSON Schema of profile documents, for editors and validators of other programs.

It says what can be said of each value by itself. What depends on two of them, such as a point
beyond the duration, or on files, the reader alone checks.
"""

from __future__ import annotations

import json
from typing import Any

from tm_cli.backends.trafficmorph import locustfiles
from tm_cli.backends.trafficmorph import profile_documents as documents
from tm_cli.backends.trafficmorph import profile_values as values
from tm_cli.values.json_schemas import (
    A_DURATION,
    DIALECT,
    Schema,
    any_of,
    definitions,
    duration,
    mapping,
    text,
    thresholds,
    words,
)
from tm_cli.values.load import data_sets
from tm_cli.values.load.journeys import checks, steps
from tm_cli.values.thresholds import STRETCH_SECONDS
from tm_cli.values.urls import LONGEST_URL

_SCALAR: Schema = {"type": ["string", "number", "boolean", "null"]}
"""What is taken as it is written, such as the value of a header."""
_BOOLEAN: Schema = {"type": "boolean"}
_HEADER_NAME = rf"^{checks.HEADER_NAME.pattern}$"
_HEADER_VALUE: Schema = {**_SCALAR, "pattern": r"^[^\r\n\u0000]*$"}
_A_HEADER_VALUE: Schema = {"$ref": "#/definitions/headerValue"}
_URL = r"^(?:[Hh][Tt][Tt][Pp][Ss]?://[^\u0000-\u0020\u007f/?#][^\u0000-\u0020\u007f]*$|[\s\S]*\$\{)"
_NOT_BLANK = r"\S"
_SOME: Schema = {"minLength": 1}


def profile_schema() -> Schema:
    """Return the schema; it has exactly the keys that the reader knows."""
    known = _values()
    keys = (*documents.REQUIRED, *documents.OPTIONAL)
    described = {key: {"description": _DESCRIPTIONS[key], **known[key]} for key in keys}
    optional = {
        key: value if key in documents.REQUIRED else _or_null(value)
        for key, value in described.items()
    }
    optional |= {alias: optional[key] for alias, key in documents.ALIASES.items()}
    return {
        "$schema": DIALECT,
        "title": "Profile document of tm",
        **mapping(optional, patternProperties={"^x-": {}}),
        "required": [key for key in documents.REQUIRED if key != "endpointUrl"],
        "anyOf": [{"required": [key]} for key in ("endpointUrl", "targetUrl", locustfiles.KEY)],
        "definitions": {**definitions(), "headerValue": _HEADER_VALUE, "checks": _checks()},
        "not": any_of(*({"required": [*pair]} for pair in documents.ALIASES.items())),
    }


def schema_text() -> str:
    """Return the schema as a file has it."""
    return json.dumps(profile_schema(), indent=2) + "\n"


def _or_null(value: Schema) -> Schema:
    """Null is the same as no key."""
    description = {"description": value.pop("description")} if "description" in value else {}
    return {**description, **any_of(value, {"type": "null"})}


def _fields(properties: dict[str, Schema], **further: Any) -> Schema:
    return mapping({key: _or_null(dict(each)) for key, each in properties.items()}, **further)


def _values() -> dict[str, Schema]:
    """The value of each key."""
    wait = duration(0, values.LONGEST_WAIT)
    script, url = text(values.LONGEST_SCRIPT), text(LONGEST_URL)
    cooldown = {"type": "integer", "minimum": 0, "maximum": values.LONGEST_COOLDOWN}
    seconds = {"minimum": values.SHORTEST, "maximum": values.LONGEST}
    return {
        "_format": {"const": values.FORMAT},
        "name": text(values.LONGEST_NAME, _NOT_BLANK),
        "duration": any_of({"type": "integer", **seconds}, A_DURATION),
        "endpointUrl": text(LONGEST_URL, _URL),
        "points": _points(),
        "requestPayload": {"maxLength": values.LONGEST_PAYLOAD},
        "loop": _BOOLEAN,
        "httpMethod": words(values.METHODS),
        "requestHeaders": _headers(),
        "interpolationMode": words(values.INTERPOLATIONS),
        "responseScript": script,
        "callbackUrl": url,
        "readinessUrl": url,
        "autoAlertEnabled": _BOOLEAN,
        "autoAlertMinSeverity": words(("WARN", "FAIL"), any_case=False),
        "autoAlertCooldownMinutes": cooldown,
        "autoAlertRecipients": {"type": "array", "items": text()},
        "schedule": _schedule(),
        "gate": thresholds(),
        "waitForTarget": wait,
        "warmup": duration(0, values.LONGEST_WAIT, multipleOf=STRETCH_SECONDS),
        "stopEarly": _BOOLEAN,
        "metrics": _metrics(),
        "steps": _steps(),
        "checks": {"$ref": "#/definitions/checks"},
        "cookies": _BOOLEAN,
        "followRedirects": _redirects(),
        "data": _data(),
        "clientCertificate": _certificate(),
        "httpVersion": {"enum": ["1", "1.1", "2", "2.0", 1, 1.1, 2]},
        "locustfile": _locustfile(),
        "tokenCommand": any_of(text(pattern=_NOT_BLANK), _list(text(pattern=_NOT_BLANK))),
        "tokenRefresh": duration(values.SHORTEST_REFRESH, values.LONGEST_WAIT),
    }


def _schedule() -> Schema:
    day = {"type": "integer", "minimum": 1, "maximum": 7}
    slot = {
        "type": "object",
        "required": ["dayOfWeek", "time"],
        "properties": {"dayOfWeek": day, "time": text(pattern=values.SLOT_TIME)},
    }
    mode = {"enum": [None, *values.SCHEDULE_MODES]}
    slots = {"type": ["array", "null"], "items": slot}
    return {"type": "object", "properties": {"mode": mode, "slots": slots}}


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item, "minItems": 1}


def _points() -> Schema:
    number = {"type": "number", "minimum": 0}
    pair = {"type": "array", "items": number, "minItems": 2, "maxItems": 2}
    point = any_of(pair, mapping({"x": number, "y": number}, required=["x", "y"]))
    return {"type": "array", "items": point, "minItems": 2, "maxItems": values.MOST_POINTS}


def _headers() -> Schema:
    name = text(pattern=_HEADER_NAME)
    item = mapping({"name": name, "value": _A_HEADER_VALUE}, required=["name", "value"])
    return any_of(
        text(pattern=r"^\s*(?:\[[\s\S]*\]\s*)?$"),  # JSON
        {"type": "object", "propertyNames": name, "additionalProperties": _A_HEADER_VALUE},
        {"type": "array", "items": item},
    )


def _metrics() -> Schema:
    query = text(pattern=_NOT_BLANK)
    headers = {
        "type": "object",
        "propertyNames": text(pattern=_HEADER_NAME),
        "additionalProperties": text(pattern=r"^[^\r\n\u0000]*$"),
    }
    fields = {"query": query, "prometheus": query, "headers": _or_null(headers)}
    item = mapping(fields, required=["query"])
    name = text(pattern="^[A-Za-z_][A-Za-z0-9_]*$")
    return {"type": "object", "propertyNames": name, "additionalProperties": any_of(query, item)}


def _redirects() -> Schema:
    return any_of(_BOOLEAN, {"type": "integer", "minimum": 0, "maximum": steps.MOST_REDIRECTS})


def _steps() -> Schema:
    header = text(pattern=_HEADER_NAME)
    think = any_of(duration(0, checks.LONGEST_TIME), text(pattern=r"\.\."))
    pauses = {"type": "array", "items": duration(0, checks.LONGEST_TIME), "minItems": 1}
    request = _fields(
        {
            "name": text(steps.LONGEST_NAME, _NOT_BLANK),
            "request": text(pattern=r"^\s*(?:[A-Za-z]+\s+)?\S+\s*$"),
            "headers": {
                "type": "object",
                "propertyNames": header,
                "additionalProperties": _SCALAR,
            },
            "body": {"maxLength": steps.LONGEST_BODY},
            "checks": {"$ref": "#/definitions/checks"},
            "extract": _extractions(),
            "weight": {"type": "number", "exclusiveMinimum": 0, "maximum": 1e6},
            "continueOnError": _BOOLEAN,
            "followRedirects": _redirects(),
        },
        required=["request"],
    )
    pause = mapping({"think": any_of(think, {**pauses, "maxItems": 2})}, required=["think"])
    return {**_list(any_of(request, pause)), "maxItems": steps.MOST_STEPS}


def _checks() -> Schema:
    status = {"type": "integer", "minimum": 200, "maximum": 399}
    some = {**_SCALAR, **_SOME, "maxLength": checks.LONGEST_TEXT}
    pattern = {**_SCALAR, **_SOME, "maxLength": checks.LONGEST_PATTERN}
    size = any_of({"type": "number", "minimum": 0}, text(pattern=r"^[0-9.]+ ?(?:[KMG]i?)?B?$"))
    names = {"propertyNames": text(pattern=_HEADER_NAME), "maxProperties": checks.MOST_CHECKS}
    return _fields(
        {
            "status": any_of(status, _list(status)),
            "body": any_of(some, _fields({"contains": some, "lacks": some, "regex": pattern})),
            "header": {"type": "object", "additionalProperties": some, **names},
            "json": {"type": "object", "maxProperties": checks.MOST_CHECKS},
            "maxTime": any_of(
                {"type": "number", "exclusiveMinimum": 0, "maximum": checks.REQUEST_TIMEOUT},
                A_DURATION,
            ),
            "size": _fields({"min": size, "max": size}),
        }
    )


def _extractions() -> Schema:
    place = mapping(
        {
            "json": text(checks.LONGEST_TEXT, **_SOME),
            "header": text(pattern=_HEADER_NAME),
            "regex": text(checks.LONGEST_PATTERN, **_SOME),
        },
        minProperties=1,
        maxProperties=1,
    )
    return {
        "type": "object",
        "propertyNames": text(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,99}$"),
        "additionalProperties": place,
        "maxProperties": checks.MOST_CHECKS,
    }


def _data() -> Schema:
    file = text(pattern=_NOT_BLANK)
    fields = {"file": file, "csv": text(), "name": {}, "mode": words(data_sets.MODES)}
    one = any_of({"required": ["file"]}, {"required": ["csv"]})
    item = any_of(file, {**_fields(fields), **one})
    items = {"type": "array", "items": item, "maxItems": data_sets.MOST_DATA_SETS}
    return any_of(item, items)


def _certificate() -> Schema:
    file = text(pattern=_NOT_BLANK)
    fields = {"cert": file, "key": file, "password": text(pattern=r"\$\{")}
    return any_of(file, {**_fields(fields), "required": ["cert"]})


def _locustfile() -> Schema:
    file, names = text(pattern=r"\.[Pp][Yy]$"), any_of(text(), {"type": "array", "items": text()})
    timeout = any_of(
        {"type": "number", "exclusiveMinimum": 0, "maximum": locustfiles.LONGEST_TIMEOUT},
        A_DURATION,
    )
    fields = {"file": file, "class": names, "tags": names, "env": names, "timeout": timeout}
    return any_of(file, {**_fields({**fields, "sha256": text()}), "required": ["file"]})


_DESCRIPTIONS = {
    "_format": "The document is an export, and keeps the defaults of the API: POST and SPLINE.",
    "name": "Name of the profile.",
    "duration": "Duration of a run, 10s to 48h.",
    "endpointUrl": "Target of the requests; with steps the beginning of their URLs.",
    "points": "The curve: [second, requests per second].",
    "requestPayload": "Body of each request; a mapping or a list is sent as JSON.",
    "loop": "Repeat the curve until the run is stopped.",
    "httpMethod": "Default: GET, or POST with a requestPayload.",
    "requestHeaders": "Headers of each request.",
    "interpolationMode": "Between the points: LINEAR (the default) or SPLINE (a smooth curve).",
    "responseScript": "JavaScript that the server runs on each response.",
    "callbackUrl": "URL to which the server reports the end of a run.",
    "readinessUrl": "URL that must answer before the load is sent.",
    "autoAlertEnabled": "Whether the server sends alerts.",
    "autoAlertMinSeverity": "The least verdict that is worth an alert.",
    "autoAlertCooldownMinutes": "Minimum time between two alerts.",
    "autoAlertRecipients": "E-mail addresses.",
    "schedule": "Weekly starts: mode, timezone, notifyEmails, slots.",
    "gate": "Limits of the verdict.",
    "waitForTarget": "How long to wait until the target answers, such as 60s.",
    "warmup": "First seconds that are sent and not judged: a multiple of 5.",
    "stopEarly": "End the run as soon as its verdict is known.",
    "metrics": "Prometheus queries to record during the run, by name.",
    "steps": "The requests of one visitor, in order.",
    "checks": "What answers must be like.",
    "cookies": "Each visitor keeps cookies.",
    "followRedirects": "How many redirects are followed; true is five.",
    "data": "CSV files whose columns fill in the macros of the requests.",
    "clientCertificate": "What an https target is shown: cert and key.",
    "httpVersion": "1.1 or 2.",
    "locustfile": "A Locust file that visitors play, in place of the requests.",
    "tokenCommand": "A command that prints the value of ${TOKEN}.",
    "tokenRefresh": "How often the command is run again, such as 10m.",
}
