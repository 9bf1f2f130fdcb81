"""Instants as the wire and the database write them: UTC, microseconds, `Z`."""

from __future__ import annotations

from datetime import UTC, datetime


def wire_time(instant: datetime) -> str:
    """Return `instant` in the one fixed-width form, so that texts sort like the instants."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_time(text: str) -> datetime:
    """Parse an ISO 8601 time; raises ValueError when it is invalid or has no offset."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no offset; write for instance 2026-01-31T12:00:00Z")
    return instant.astimezone(UTC)
