"""Requests and answers as they are between the front ends and the worlds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PAGE_NAMES = ("page", "starting_after", "cursor")


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `body` is its JSON document, and header names are lower-case."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def page(self) -> str:
        """Which page of a list it asks for; empty for the first one, or for no list."""
        return next((self.query[name] for name in PAGE_NAMES if name in self.query), "")

    @property
    def key(self) -> str:
        """What makes the server recognise a repetition; empty without it."""
        return self.headers.get("idempotency-key") or self.headers.get("x-request-id") or ""


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete answer; header names are lower-case."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
