"""Durations as people write them: `90`, `90s`, `5m`, `5 min`, `1h30m`, `2d`, `250ms`."""

from __future__ import annotations

import re

_SECONDS = {
    0.001: ("ms",),
    1.0: ("s", "sec", "secs", "second", "seconds"),
    60.0: ("m", "min", "mins", "minute", "minutes"),
    3600.0: ("h", "hr", "hrs", "hour", "hours"),
    86400.0: ("d", "day", "days"),
}
_UNITS = {word: seconds for seconds, words in _SECONDS.items() for word in words}
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?([a-z]{1,7})(?: |(?=[0-9])|$)")
_PLAIN = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")

PATTERN = (
    rf"^\s*(?:{_PLAIN.pattern}|(?:[0-9]{{1,9}}(?:\.[0-9]{{1,6}})? ?"
    rf"(?:{'|'.join(_UNITS)})(?: |(?=[0-9])|(?=\s*$)))+)\s*$"
)
"""What a duration looks like, as a JSON Schema has it."""

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
        parts = list(_PART.finditer(text))
        known = all(part[2] in _UNITS for part in parts)
        if not parts or not known or "".join(part[0] for part in parts) != text:
            raise ValueError(f"invalid duration {text!r}: expected e.g. 90s, 5m or 1h30m")
        seconds = sum(float(part[1]) * _UNITS[part[2]] for part in parts)
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
