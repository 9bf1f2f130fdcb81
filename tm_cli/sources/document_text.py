"""Writes traffic as a profile document, with comments that say what to look at."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tm_cli.sources.traffic import SourceRequest, Traffic
from tm_cli.values.documents import to_yaml
from tm_cli.values.load.journeys.checks import LONGEST_TIME
from tm_cli.values.load.journeys.steps import MOST_STEPS
from tm_cli.values.text import sanitize

USUAL_ORIGIN = "http://localhost:8080"
_LEAST_RATE = 0.001


def document_of(
    traffic: Traffic, *, name: str, origin: str | None, rate: float, duration: int | None
) -> dict[str, Any]:
    """The profile document; one request without a weight is a profile without steps.

    A curve of the traffic's own comes before `rate`; `duration` stretches or shortens it.
    """
    chosen = (origin or traffic.origin or USUAL_ORIGIN).rstrip("/")
    requests = traffic.requests
    document = {"name": name, "endpointUrl": f"{chosen}/", **_curve(traffic, rate, duration)}
    if traffic.columns:
        header = ",".join(traffic.columns)
        row = ",".join("1" for _ in traffic.columns)
        document["data"] = [{"name": "values", "mode": "SEQUENTIAL", "csv": f"{header}\n{row}\n"}]
    if len(requests) == 1 and not requests[0].think:
        return document | _single(requests[0], chosen)
    if traffic.has_cookies:
        document["cookies"] = True
    document["steps"] = list(_steps(requests, traffic.origin))[:MOST_STEPS]
    return document


def left_out(traffic: Traffic, document: Mapping[str, Any]) -> list[str]:
    """Say how many requests are more than a profile can have."""
    kept = sum("request" in step for step in document.get("steps", [{"request": ""}]))
    count = len(traffic.requests) - kept
    return [f"left out: the last {count} requests; {MOST_STEPS} steps are possible"] * bool(count)


def _curve(traffic: Traffic, rate: float, duration: int | None) -> dict[str, Any]:
    if not traffic.points:
        seconds = duration or 60
        return {"duration": seconds, "points": [[0, rate], [seconds, rate]]}
    span = traffic.points[-1][0]
    seconds = duration or max(span, 10)
    points = [
        [round(second * seconds / span, 3), max(round(value, 3), _LEAST_RATE if value else 0)]
        for second, value in traffic.points
    ]
    return {"duration": seconds, "points": points}


def _single(request: SourceRequest, origin: str) -> dict[str, Any]:
    found: dict[str, Any] = {"endpointUrl": origin + request.target, "httpMethod": request.method}
    if request.headers:
        found["requestHeaders"] = dict(request.headers)
    if request.body is not None:
        found["requestPayload"] = request.body
    return found


def _steps(requests: Sequence[SourceRequest], origin: str) -> Iterator[dict[str, Any]]:
    """Requests to the usual origin are paths, so that `endpointUrl` moves all of them.

    Pauses that are too long together are shortened alike.
    """
    factor = min(LONGEST_TIME / (sum(each.think for each in requests) or 1.0), 1.0)
    for request in requests:
        if think := math.floor(request.think * factor * 10) / 10:
            yield {"think": f"{think:g}s"}
        is_own = request.origin in ("", origin)
        step: dict[str, Any] = {
            "request": f"{request.method} {request.target if is_own else request.url}"
        }
        if request.name and request.name != step["request"]:
            step = {"name": request.name, **step}
        if request.weight is not None:
            step["weight"] = request.weight
        if request.headers:
            step["headers"] = dict(request.headers)
        if request.body is not None:
            step["body"] = request.body
        yield step


_COMMENTS = {
    "endpointUrl": "where the requests go: a test system, as a rule",
    "points": "[second, rate]: visitors or requests per second",
    "data": "put values here that exist on the target, or name a CSV file: data: values.csv",
    "steps": "what one visitor does; see docs/journeys.md",
}


def document_text(document: Mapping[str, Any], notes: Sequence[str], *, source: str) -> str:
    """The document as YAML; each note is a comment at the top."""
    head = [
        f"Made from {sanitize(source)}. Check it for secrets and personal data before you share it."
    ]
    lines = [f"# {sanitize(note)}" for note in [*head, *notes]]
    for key, value in document.items():
        if comment := _COMMENTS.get(key):
            lines.append(f"# {comment}")
        lines.append(_entry(key, value))
    return "\n".join(lines) + "\n"


def _entry(key: str, value: Any) -> str:
    if key != "points":
        return to_yaml({key: value}).rstrip("\n")
    inner = ", ".join(f"[{second:g}, {rate:g}]" for second, rate in value)
    return f"points: [{inner}]"
