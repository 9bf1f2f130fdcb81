"""Durations as people write them: `90`, `90s`, `5m`, `5min`, `1h30m`, `250ms`."""

from __future__ import annotations

import re

_UNITS = {"ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|sec|s|min|m|h)")
_PLAIN = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")

LONGEST = 30 * 24 * 3600.0
"""Thirty days; a longer duration is taken for a typing error."""


def parse_duration(text: str) -> float:
    """Return the seconds that `text` names; a bare number counts seconds.

    Raises ValueError when the text is not a duration or is longer than thirty days.
    """
    text = text.strip()
    if _PLAIN.fullmatch(text):
        seconds = float(text)
    else:
        parts = _PART.findall(text)
        if not parts or "".join(number + unit for number, unit in parts) != text:
            raise ValueError(f"invalid duration {text!r}: expected e.g. 90s, 5m or 1h30m")
        seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds > LONGEST:
        raise ValueError(f"invalid duration {text!r}: longer than thirty days")
    return seconds


def format_duration(seconds: float) -> str:
    """Return `seconds` for people: `0.5s`, `42s`, `5m`, `1h05m`, `2m30s`."""
    if seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f}s"
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes:02d}m" if minutes else f"{hours}h"
    if minutes:
        return f"{minutes}m{secs:02d}s" if secs else f"{minutes}m"
    return f"{secs}s"
