"""What a source says about requests, in a form that all sources share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


class UnusableSource(ValueError):
    """The source cannot be read, or has nothing to make a profile of; `line` is counted from 1."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.line = line


def read_json(text: str) -> Any:
    """The JSON document, without halves of characters; raises ValueError."""
    try:
        document = json.loads(text)
        if "\\ud" in text.lower():
            whole = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
            return json.loads(whole)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return document


def is_http_url(text: str) -> bool:
    """Whether it has the form of an absolute http or https URL."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """One request; `think` is the time in seconds that passed before it.

    `at` is when it was sent, in seconds since 1970, where the source says it. With a `weight` it is
    one of a mix, of which each visitor sends one.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    name: str | None = None
    weight: int | None = None
    think: float = 0.0
    at: float | None = None

    @property
    def origin(self) -> str:
        """Scheme, host and port; empty where the source does not say it."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""

    @property
    def target(self) -> str:
        """Path, with one slash at its beginning, and query."""
        parts = urlsplit(self.url)
        return "/" + parts.path.lstrip("/") + (f"?{parts.query}" if parts.query else "")


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests in their order, or a mix; `points` are second and rate of a curve.

    `columns` are macros of the requests that the user has to fill in. `notes` say what was left out
    or replaced.
    """

    requests: Sequence[SourceRequest]
    origin: str = ""
    points: Sequence[tuple[int, float]] = ()
    columns: Sequence[str] = ()
    has_cookies: bool = False
    notes: Sequence[str] = ()


def usual_origin(requests: Iterable[SourceRequest]) -> str:
    """The origin of most requests; empty without any."""
    counts: dict[str, int] = {}
    for request in requests:
        counts[request.origin] = counts.get(request.origin, 0) + 1
    return max(counts, key=lambda origin: counts[origin], default="")
