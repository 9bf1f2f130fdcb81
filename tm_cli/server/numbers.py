"""Numbers from load generators and from the disk: checked before anything is worked out with them.

A number that is too large for the database, or that is not a number, would otherwise end the server
instead of the run.
"""

from __future__ import annotations

import math
from typing import Any

MOST = 2**53
"""The largest count: what JSON readers, floating point and SQLite all keep exactly."""
_LONGEST_SECONDS = 1e9
_MOST_NAMES = 1000
_LONGEST_NAME = 10_000
_HIGHEST_STATUS = 99_999


def count(value: object) -> int:
    """A whole number from 0 to `MOST`; ValueError for anything else."""
    if type(value) is not int or not 0 <= value <= MOST:
        raise ValueError("it is not a count")
    return value


def measure(value: object) -> float:
    """A finite number of seconds, milliseconds or requests a second; not negative."""
    if type(value) not in (int, float) or not 0 <= value <= MOST:  # type: ignore[operator]
        raise ValueError("it is not a measurement")
    return float(value)  # type: ignore[arg-type]


def seconds(value: object) -> float:
    """A moment of the curve, which no run outlasts."""
    found = measure(value)
    if found > _LONGEST_SECONDS:
        raise ValueError("no run takes that long")
    return found


def maybe_measure(value: object) -> float | None:
    """A measurement, or None where nothing was measured."""
    return None if value is None else measure(value)


def counts(value: object) -> dict[str, int]:
    """Counts by name."""
    if not isinstance(value, dict) or len(value) > _MOST_NAMES:
        raise ValueError("these are not counts by name")
    return {name(key): count(number) for key, number in value.items()}


def status_counts(value: object) -> dict[str, int]:
    """Counts by HTTP status."""
    return {_status(key): number for key, number in counts(value).items()}


def name(value: object) -> str:
    """A short text that can be written down and sent on."""
    if not isinstance(value, str) or len(value) > _LONGEST_NAME:
        raise ValueError("it is not a name")
    value.encode()  # a lone surrogate fails here
    return value


def finite(value: Any) -> float:
    """Any number but NaN and the infinities."""
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError("it is not a finite number")
    return float(value)


def refuse_constant(text: str) -> None:
    """Raise ValueError for NaN and the infinities, which Python's JSON reader takes."""
    raise ValueError(f"{text} is not a number")


def _status(text: str) -> str:
    if not (text.isascii() and text.isdigit() and int(text) <= _HIGHEST_STATUS):
        raise ValueError("it is not a status")
    return str(int(text))
