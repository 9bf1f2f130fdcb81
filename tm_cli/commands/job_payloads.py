"""What a trigger carries: payload, tags, times."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tm_cli.commands.options import read_pairs
from tm_cli.errors import UsageError
from tm_cli.text import clean

MOST_TAGS = 20
LONGEST_TAG = 64, 256
"""Characters of key and value."""


def read_trigger(
    cwd: Path,
    *,
    payload: str | None,
    tags: Sequence[str] | None,
    at: str | None = None,
    priority: int | None = None,
    ttl: str | None = None,
    keys: Mapping[str, str | None] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the body of a trigger, without what was not asked for; raises UsageError."""
    body: dict[str, Any] = {
        "tags": read_pairs("--tag", tags, most=MOST_TAGS, longest=LONGEST_TAG) or None,
        "scheduled_at": None if at is None else read_time("--at", at),
        "priority": priority,
        "ttl_secs": None if ttl is None else _seconds("--ttl", ttl),
        **keys,
    }
    body = {name: value for name, value in body.items() if value is not None}
    return body if payload is None else {"payload": read_payload(payload, cwd), **body}


def _seconds(flag: str, text: str) -> int:
    from tm_cli.durations import parse_duration

    try:
        return round(parse_duration(text))
    except ValueError as problem:
        raise UsageError(f"{flag} is not usable: {problem}") from None


def read_payload(text: str | None, cwd: Path) -> Any:
    """Return the JSON that a flag holds or names; raises UsageError."""
    from tm_cli.api import strict_json

    if text is None:
        return None
    path = cwd / text
    is_file = not text.lstrip().startswith(("{", "[", '"')) and path.is_file()
    try:
        return strict_json.parse(path.read_bytes() if is_file else text)
    except OSError as problem:
        raise UsageError(f"--payload: cannot read {text}: {problem.strerror}") from None
    except ValueError as problem:
        what = f"{text} holds no JSON" if is_file else f"{text!r} is neither a file nor JSON"
        raise UsageError(f"--payload: {what}: {problem}") from None


def read_json(flag: str, text: str) -> str:
    """Return `text`, which must be JSON, unchanged; raises UsageError."""
    try:
        json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise UsageError(f"{flag}: {clean(text)!r} is no JSON: {problem}") from None
    return text


def read_time(flag: str, text: str) -> str:
    """Return a time with an offset, which the API demands; without one it is local time."""
    from datetime import datetime

    try:
        return datetime.fromisoformat(text).astimezone().isoformat()
    except (ValueError, OverflowError):
        raise UsageError(
            f"{flag}: {text!r} is no time", hint="write for instance 2026-03-01T12:00:00+01:00"
        ) from None
