"""Profile documents: files in a repository that describe a load test.

They hold the portable form of the API (section 7 of its contract) in JSON or YAML. What is easier
to write in a file is accepted too: `duration: 1m`, headers as a mapping, points as pairs, a JSON
body as a document, limits such as `10%`, and the API's own names `targetUrl` and `requestBody`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tm_cli.backends import documents
from tm_cli.values.durations import parse_duration
from tm_cli.values.text import did_you_mean
from tm_cli.values.thresholds import read_thresholds
from tm_cli.values.urls import with_ascii_host

FORMAT = "trafficmorph-profile-v1"
SUFFIXES = frozenset({".json", ".yaml", ".yml"})

REQUIRED = ("name", "duration", "endpointUrl", "points")
OPTIONAL = (
    "_format",
    "requestPayload",
    "loop",
    "httpMethod",
    "requestHeaders",
    "interpolationMode",
    "responseScript",
    "callbackUrl",
    "readinessUrl",
    "autoAlertEnabled",
    "autoAlertMinSeverity",
    "autoAlertCooldownMinutes",
    "autoAlertRecipients",
    "schedule",
    "gate",
    "waitForTarget",
)
ALIASES = {"targetUrl": "endpointUrl", "requestBody": "requestPayload"}


LONGEST_WAIT = 3600.0
"""Seconds that a server may be asked to wait for the target."""


def names_document(text: str) -> bool:
    """Whether a PROFILE argument means a file: by its suffix or by a path separator."""
    return Path(text).suffix.lower() in SUFFIXES or "/" in text or "\\" in text


def read_document(path: Path) -> dict[str, Any]:
    """Return the portable profile document in `path`.

    Raises ConfigurationError when the file cannot be read, is neither JSON nor YAML, repeats a
    key, misses a required one or has one that no profile has.
    """
    hint = "`tm profiles export` writes one to start from"
    return documents.read_document(path, "profile document", portable, hint=hint)


def portable(document: Any) -> dict[str, Any]:
    """Return `document` in the portable form; raises ValueError when it cannot be one."""
    if not isinstance(document, Mapping):
        raise ValueError("it is not a mapping of keys to values")
    fields = {ALIASES.get(str(key), str(key)): value for key, value in document.items()}
    if len(fields) != len(document):
        raise ValueError("it gives one value under two names")
    for key in fields:
        if key not in REQUIRED and key not in OPTIONAL:
            known = [*REQUIRED, *OPTIONAL, *ALIASES]
            hint = did_you_mean(key, known, "`tm profiles export` shows the keys")
            raise ValueError(f"unknown key {key!r}; {hint}")
    if missing := [key for key in REQUIRED if fields.get(key) is None]:
        raise ValueError(f"{' and '.join(missing)} missing")
    return {"_format": FORMAT, **fields, **_converted(fields)}


def _converted(fields: Mapping[str, Any]) -> dict[str, Any]:
    converted: dict[str, Any] = {
        "duration": _seconds(fields["duration"]),
        "points": _points(fields["points"]),
    }
    if isinstance(url := fields["endpointUrl"], str) and "$$" not in url:
        converted["endpointUrl"] = with_ascii_host(url)
    headers = fields.get("requestHeaders")
    if isinstance(headers, Mapping):
        headers = [{"name": str(name), "value": str(value)} for name, value in headers.items()]
    if isinstance(headers, list):
        converted["requestHeaders"] = json.dumps(headers)
    payload = fields.get("requestPayload")
    if isinstance(payload, Mapping | list):
        converted["requestPayload"] = json.dumps(payload)
    if fields.get("waitForTarget") is not None:
        converted["waitForTarget"] = _wait_time(fields["waitForTarget"])
    if fields.get("gate") is not None:
        converted["gate"] = read_thresholds(fields["gate"])
    return converted


def _seconds(value: Any) -> int:
    seconds = parse_duration(value) if isinstance(value, str) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds % 1 != 0:
        raise ValueError(f"duration {value!r} is not a whole number of seconds")
    return int(seconds)


def _wait_time(value: Any) -> float:
    seconds = parse_duration(value) if isinstance(value, str) else value
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not 0 <= seconds <= LONGEST_WAIT:
        raise ValueError(f"waitForTarget {value!r} is not a duration of at most an hour")
    return float(seconds)


def _points(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("points is not a list")
    return [
        {"x": point[0], "y": point[1]} if isinstance(point, list) and len(point) == 2 else point
        for point in value
    ]
