"""The values of a profile document, each read by itself into the portable form."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from tm_cli.api import strict_json
from tm_cli.backends.trafficmorph import locustfiles
from tm_cli.gate.target_metrics import check_metric_name
from tm_cli.values.documents import InvalidDocument, KeyPath, expected, shown
from tm_cli.values.durations import parse_duration
from tm_cli.values.load.journeys.checks import read_checks
from tm_cli.values.load.journeys.steps import read_redirects, read_steps
from tm_cli.values.load.placeholders import has_any
from tm_cli.values.text import as_number, sanitize
from tm_cli.values.thresholds import STRETCH_SECONDS, read_thresholds
from tm_cli.values.urls import LONGEST_URL, not_yet, quote_base_url, with_ascii_host

FORMAT = "trafficmorph-profile-v1"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
INTERPOLATIONS = ("SPLINE", "LINEAR")

SHORTEST_REFRESH = 10
"""Seconds between two calls of the command for a token."""
SHORTEST, LONGEST = 10, 172_800
"""Seconds of a run."""
LONGEST_WAIT = 3600.0
"""Seconds that a server may be asked to wait for the target."""
LONGEST_NAME = 120
MOST_POINTS = 5000
LONGEST_PAYLOAD = 1_000_000
LONGEST_SCRIPT = 50_000
LONGEST_COOLDOWN = 10_080
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _text(longest: int, *, least: int = 0) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not isinstance(value, str):
            quotes = "" if isinstance(value, dict | list) else "; write it in quotes"
            raise expected(value, f"text{quotes}")
        if len(value) > longest:
            raise InvalidDocument(f"is longer than {longest} characters")
        if len(value.strip()) < least:
            raise InvalidDocument("is blank")
        return value

    return read


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise expected(value, "true or false")
    return value


def _one_of(words: tuple[str, ...], *, any_case: bool = True) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        word = value.upper() if any_case and isinstance(value, str) else value
        if word not in words:
            raise expected(value, f"one of {', '.join(words)}" if words[1:] else words[0])
        return str(word)

    return read


def _url(value: Any) -> str:
    url = _text(LONGEST_URL)(value)
    if has_any(url[: url.find("/", url.find("//") + 2)]):  # scheme and host come with the start
        return url
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url or any(char <= " " or char == "\x7f" for char in url):
        wanted = not_yet(url) or "expected an http or https URL such as http://localhost:8080/"
        raise InvalidDocument(f"is {quote_base_url(sanitize(url, longest=60))}; {wanted}")
    try:
        return url if "$$" in url else with_ascii_host(url)
    except ValueError as problem:
        raise InvalidDocument(f"has an unusable host: {problem}") from None


def _seconds(value: Any) -> int:
    seconds = parse_duration(value) if isinstance(value, str) else as_number(value)
    if seconds is None or seconds % 1 != 0:
        raise expected(value, "a whole number of seconds, or a duration such as 90s or 1h30m")
    if not SHORTEST <= seconds <= LONGEST:
        raise expected(value, f"{SHORTEST}s to {LONGEST // 3600}h")
    return int(seconds)


def _wait_time(value: Any) -> float:
    seconds = parse_duration(value) if isinstance(value, str) else value
    number = as_number(seconds)
    if number is None or not 0 <= number <= LONGEST_WAIT:
        raise expected(value, "a duration of at most an hour, such as 60s")
    return float(number)


def _http_version(value: Any) -> str:
    versions = {"1": "1.1", "1.1": "1.1", "2": "2", "2.0": "2"}
    if isinstance(value, bool) or str(value) not in versions:
        raise expected(value, "1.1 or 2")
    return versions[str(value)]


def _refresh_time(value: Any) -> float:
    seconds = _wait_time(value)
    if seconds < SHORTEST_REFRESH:
        raise expected(value, f"{SHORTEST_REFRESH}s or more")
    return seconds


def _warmup(value: Any) -> float:
    seconds = _wait_time(value)
    if seconds % STRETCH_SECONDS:
        wanted = f"a multiple of {STRETCH_SECONDS}s, the stretches in which the server measures"
        raise expected(value, wanted)
    return seconds


def _points(value: Any) -> list[dict[str, float]]:
    if not isinstance(value, list):
        raise InvalidDocument("is not a list")
    if not 2 <= len(value) <= MOST_POINTS:
        raise InvalidDocument(f"has {len(value)} points; expected 2 to {MOST_POINTS}")
    return [_point(index, point) for index, point in enumerate(value)]


def _point(index: int, point: Any) -> dict[str, float]:
    if isinstance(point, list) and len(point) == 2:
        steps: KeyPath = (0, 1)
    elif isinstance(point, Mapping) and point.keys() == {"x", "y"}:
        steps = ("x", "y")
    else:
        raise expected(point, "a point, [second, rate] or {x: second, y: rate}", index)
    for step in steps:
        if as_number(point[step]) is None or point[step] < 0:
            raise expected(point[step], "a number from 0 up", index, step)
    return {name: point[step] for name, step in zip("xy", steps, strict=True)}


def _payload(value: Any) -> str:
    text = json.dumps(value) if isinstance(value, Mapping | list) else value
    return _text(LONGEST_PAYLOAD)(text)


def _headers(value: Any) -> str:
    """Headers as the API has them: JSON text."""
    if isinstance(value, str):
        if not value.strip():
            return value
        try:
            items = strict_json.parse(value)
        except ValueError as problem:
            raise InvalidDocument(f"is not JSON text: {problem}") from None
        _check_headers(items)
        return value
    pairs = value
    if isinstance(value, Mapping):
        pairs = [{"name": name, "value": text} for name, text in value.items()]
        for name, text in value.items():
            _check_header(name, text, (name,))
    _check_headers(pairs)
    return json.dumps(pairs)


def _check_headers(items: Any) -> None:
    if not isinstance(items, list):
        raise expected(items, "a mapping of names to values")
    for index, item in enumerate(items):
        if not isinstance(item, Mapping) or item.keys() != {"name", "value"}:
            raise expected(item, "a header, {name: ..., value: ...}", index)
        _check_header(item["name"], item["value"], (index,))


def _check_header(name: Any, value: Any, path: KeyPath) -> None:
    if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
        raise InvalidDocument("cannot be the name of a header", path)
    if not isinstance(value, str):
        kind = shown(value) if isinstance(value, dict | list) else "not text"
        raise InvalidDocument(f"is {kind}; a header has one text as its value", path)
    if any(char in "\r\n\0" for char in value):
        raise InvalidDocument("holds a line break, which cannot stand in a header", path)


def _cooldown(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LONGEST_COOLDOWN:
        raise expected(value, f"a whole number from 0 to {LONGEST_COOLDOWN}")
    return value


def _metrics(value: Any) -> dict[str, dict[str, Any]]:
    """Read queries by name: a text, or a mapping with `query`, `prometheus` and `headers`."""
    found = {}
    for name, entry in _table(value).items():
        item = {"query": entry} if isinstance(entry, str) else entry
        try:
            check_metric_name(str(name))
        except ValueError as problem:
            raise InvalidDocument(f"is not the name of a metric ({problem})", (name,)) from None
        if not isinstance(item, dict) or not item.keys() <= {"query", "prometheus", "headers"}:
            raise expected(item, "a query, or {query: ..., prometheus: ..., headers: ...}", name)
        for key in ("query", "prometheus"):
            text = item.get(key, None if key == "query" else "-")
            if not isinstance(text, str) or not text.strip():
                raise expected(text, "a text", name, key)
        headers = {} if item.get("headers") is None else item["headers"]
        if not isinstance(headers, Mapping):
            raise expected(headers, "a mapping of names to values", name, "headers")
        for header, text in headers.items():
            _check_header(header, text, (name, "headers", header))
        found[str(name)] = item
    return found


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise expected(value, "a list of texts")
    return value


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise expected(value, "a mapping")
    return value


SCHEDULE_MODES = ("ONCE", "PERIODIC")
SLOT_TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"


def _schedule(value: Any) -> dict[str, Any]:
    """Whether the time zone is known is for the server to say: its list may be a newer one."""
    found = _table(value)
    if (mode := found.get("mode")) not in (None, *SCHEDULE_MODES):
        raise expected(mode, f"one of {', '.join(SCHEDULE_MODES)}", "mode")
    slots = found.get("slots")
    if slots is not None and not isinstance(slots, list):
        raise expected(slots, "a list", "slots")
    for number, slot in enumerate(slots or ()):
        if not isinstance(slot, dict):
            raise expected(slot, "a mapping", "slots", number)
        day, time = slot.get("dayOfWeek", 1), slot.get("time", "00:00")
        if type(day) is not int or not 1 <= day <= 7:
            raise expected(day, "1 (Monday) to 7", "slots", number, "dayOfWeek")
        if not isinstance(time, str) or not re.fullmatch(SLOT_TIME, time):
            raise expected(time, "HH:mm, such as 06:30", "slots", number, "time")
        if not {"dayOfWeek", "time"} <= slot.keys():
            raise expected(slot, "dayOfWeek and time", "slots", number)
    return found


READERS: dict[str, Callable[[Any], Any]] = {
    "_format": _one_of((FORMAT,), any_case=False),
    "name": _text(LONGEST_NAME, least=1),
    "duration": _seconds,
    "endpointUrl": _url,
    "points": _points,
    "requestPayload": _payload,
    "loop": _boolean,
    "httpMethod": _one_of(METHODS),
    "requestHeaders": _headers,
    "interpolationMode": _one_of(INTERPOLATIONS),
    "responseScript": _text(LONGEST_SCRIPT),
    "callbackUrl": _text(LONGEST_URL),
    "readinessUrl": _text(LONGEST_URL),
    "autoAlertEnabled": _boolean,
    "autoAlertMinSeverity": _one_of(("WARN", "FAIL"), any_case=False),
    "autoAlertCooldownMinutes": _cooldown,
    "autoAlertRecipients": _texts,
    "schedule": _schedule,
    "gate": read_thresholds,
    "waitForTarget": _wait_time,
    "warmup": _warmup,
    "stopEarly": _boolean,
    "metrics": _metrics,
    "steps": read_steps,
    "checks": read_checks,
    "cookies": _boolean,
    "followRedirects": read_redirects,
    "tokenRefresh": _refresh_time,
    "httpVersion": _http_version,
    locustfiles.KEY: locustfiles.read_reference,
}
