"""What a trigger carries: payload, tags, times."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tm_cli.commands import options
from tm_cli.errors import UsageError
from tm_cli.text import clean

MOST_TAGS, LONGEST_TAG_KEY, LONGEST_TAG_VALUE = 20, 64, 256


def read_trigger(
    cwd: Path,
    *,
    payload: str | None,
    tags: Sequence[str] | None,
    at: str | None,
    priority: int | None,
    ttl: str | None,
    keys: dict[str, str | None],
) -> dict[str, Any]:
    """Return the body of a trigger, without what was not asked for; raises UsageError."""
    body: dict[str, Any] = {
        "tags": read_pairs("--tag", tags or []) or None,
        "scheduled_at": None if at is None else options.read_time("--at", at),
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
        raise UsageError(f"{flag}: {problem}") from None


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
        what = f"invalid JSON in {text}" if is_file else f"{text!r} is not a file and not JSON"
        raise UsageError(f"--payload: {what}: {problem}") from None


def read_json(flag: str, text: str) -> str:
    """Return `text`, which must be JSON, unchanged; raises UsageError."""
    try:
        json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise UsageError(f"{flag}: invalid JSON {clean(text)!r}: {problem}") from None
    return text


def read_pairs(flag: str, flags: Sequence[str]) -> dict[str, str]:
    """Return the `K=V` pairs of repeated flags, by the limits of the API."""
    pairs: dict[str, str] = {}
    for text in flags:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"{flag}: expected K=V instead of {text!r}")
        if key in pairs:
            raise UsageError(f"{flag}: {key!r} is given twice")
        if len(key) > LONGEST_TAG_KEY or len(value) > LONGEST_TAG_VALUE:
            raise UsageError(
                f"{flag}: {clean(text, longest=60)!r} is too long",
                hint=f"at most {LONGEST_TAG_KEY} characters before the =, "
                f"{LONGEST_TAG_VALUE} after it",
            )
        pairs[key] = value
    if len(pairs) > MOST_TAGS:
        raise UsageError(f"{flag}: too many: {len(pairs)} (maximum {MOST_TAGS})")
    return pairs
