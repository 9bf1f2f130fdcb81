"""Profiles as documents, as bodies of the API, and where two of them differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tm_cli.backends.trafficmorph.document_files import LOCAL_KEYS
from tm_cli.backends.trafficmorph.profile_documents import ALIASES
from tm_cli.values.text import trimmed_name

API_NAMES = {key: alias for alias, key in ALIASES.items()}
"""The fields of the API that documents have under another name."""
ONLY_IN_API = ("initScript", "cleanupScript", "variablesSetIds", "region")
"""Fields that no document has; an import keeps them."""
KEPT_IF_MISSING = ("schedule", "readinessUrl", "interpolationMode")
"""Keys of documents without which an import keeps the stored value."""
NOT_SENT = ("id", "status", "createdAt", "callbackSecret", "schedule")
"""Fields of an answer that a write leaves out; a schedule is kept when it is missing."""
DEFAULTS = {
    "loop": False,
    "httpMethod": "POST",
    "interpolationMode": "SPLINE",
    "autoAlertEnabled": False,
    "cookies": False,
    "followRedirects": 0,
}
"""What the API takes a missing value for."""


def body_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document in the portable form as the API writes profiles."""
    return {
        API_NAMES.get(key, key): value
        for key, value in document.items()
        if key not in ("_format", *LOCAL_KEYS)
    }


def body_of_change(stored: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored profile with changes as a write needs it, which resets what it leaves out."""
    return {key: each for key, each in stored.items() if key not in NOT_SENT} | dict(changes)


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that differs: its key as people write it, and both values, None for a missing one."""

    key: str
    stored: Any
    wanted: Any

    @property
    def top(self) -> str:
        """The key of the profile."""
        return self.key.partition(".")[0].partition("[")[0]


def differences(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[Difference]:
    """Return what an import of the document `wanted` would change in the exported one."""
    before, after = _comparable(stored), _comparable(wanted)
    for key in KEPT_IF_MISSING:
        if wanted.get(key) is None:
            before.pop(key, None)
            after.pop(key, None)
    keys = dict.fromkeys([*after, *before])
    return [each for key in keys for each in _between(key, before.get(key), after.get(key))]


def field_differences(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[Difference]:
    """Return the differences of two profiles under the names of the API."""
    before, after = _comparable(stored), _comparable(wanted)
    keys = dict.fromkeys([*after, *before])
    return [each for key in keys for each in _between(key, before.get(key), after.get(key))]


def _comparable(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that mean something: without defaults, and JSON texts as what they hold."""
    names = {ALIASES.get(key, key): value for key, value in document.items()}
    found = {
        key: _without_nulls(_decoded(key, value))
        for key, value in names.items()
        if key not in ("_format", *LOCAL_KEYS)
    }
    return {
        key: value
        for key, value in found.items()
        if value not in (None, "", [], {}) and value != DEFAULTS.get(key)
    }


def _decoded(key: str, value: Any) -> Any:
    if key == "name" and isinstance(value, str):
        return trimmed_name(value)
    if key == "requestHeaders":
        return _headers(value)
    if key == "schedule" and isinstance(value, Mapping):
        return _schedule(value)
    if key == "requestPayload" and isinstance(value, str):
        decoded = _json(value)
        return value if decoded is None or _encoded(decoded) != value else decoded
    if key == "points" and isinstance(value, list):
        return [(_get(point, "x", 0), _get(point, "y", 1)) for point in value]
    return value


def _get(point: Any, name: str, index: int) -> Any:
    return point.get(name) if isinstance(point, Mapping) else point[index]


def _encoded(value: Any) -> str:
    """JSON as the reader of documents writes it: any other text is another body."""
    return json.dumps(value)


def _json(text: str) -> Any:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict | list) else None


def _headers(value: Any) -> Any:
    """Return headers by name; a name that is there twice has a list of values."""
    items = _json(value) if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        return value
    found: dict[str, Any] = {}
    for item in items:
        name, text = str(item.get("name")), item.get("value")
        if name in found:
            earlier = found[name]
            text = [*(earlier if isinstance(earlier, list) else [earlier]), text]
        found[name] = text
    return found


def _schedule(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a client sets: slots get ids and times from the server."""
    found = {key: value.get(key) for key in ("mode", "timezone", "notifyEmails")}
    slots = value.get("slots")
    times = [
        (slot.get("dayOfWeek"), slot.get("time"))
        for slot in slots if isinstance(slot, Mapping)
    ] if isinstance(slots, list) else slots  # fmt: skip
    return {**found, "slots": sorted(times, key=str) if isinstance(times, list) else times}


def _without_nulls(value: Any) -> Any:
    match value:
        case dict():
            return {key: _without_nulls(each) for key, each in value.items() if each is not None}
        case list():
            return [_without_nulls(each) for each in value]
    return value


_WHOLE = ("points", "data", "schedule")
"""Keys whose values are told as one."""


def _between(key: str, before: Any, after: Any) -> Iterator[Difference]:
    if before == after:
        return
    if key in _WHOLE:
        yield Difference(key, before, after)
    elif isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys([*after, *before]):
            yield from _between(f"{key}.{name}", before.get(name), after.get(name))
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            one, other = (each[index] if index < len(each) else None for each in (before, after))
            yield from _between(f"{key}[{index}]", one, other)
    else:
        yield Difference(key, before, after)
