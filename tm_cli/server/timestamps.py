"""Instants as the wire and the database write them: UTC, microseconds, `Z`."""

from __future__ import annotations

from datetime import UTC, datetime


def wire_time(instant: datetime) -> str:
    """Return `instant` in the one fixed-width form, so that texts sort like the instants."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_time(text: str) -> datetime:
    """Return the instant that `text` names; ValueError without an offset or when it is no time."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no offset; write for instance 2026-01-31T12:00:00Z")
    return instant.astimezone(UTC)
