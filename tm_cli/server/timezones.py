"""Which texts name a time zone."""

from __future__ import annotations

from functools import cache
from zoneinfo import available_timezones


@cache
def _names() -> frozenset[str]:
    return frozenset(available_timezones())


def is_timezone(name: str) -> bool:
    """Whether `name` is an IANA zone; on a system without zone data every name passes."""
    return name in _names() or not _names()
