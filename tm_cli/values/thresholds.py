"""The thresholds of a verdict, as users write them in a `gate:` block or a `[gate]` table.

The result is the object that the API takes: a pair of numbers or `false` for each comparison, the
floor in milliseconds, and the fewest requests.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from tm_cli.values.text import did_you_mean

BOUNDS = {
    "p50": "%",
    "p95": "%",
    "p99": "%",
    "p99.9": "%",
    "errors": "points",
    "allErrors": "%",
    "shortfall": "%",
    "throughput": "%",
    "statuses": "points",
    "bodySize": "%",
}
"""What has a threshold for WARN and one for FAIL, and the unit of both."""

FLOOR = "floorMs"
FEWEST = "minRequests"
EXPECTED = "expectStatus"
KEYS = (*BOUNDS, FLOOR, FEWEST, EXPECTED)
ALIASES = {"floor": FLOOR}
SEVERITIES = ("warn", "fail")

LARGEST = 1e9
"""More is a typing mistake; nothing grows ten million times."""

_PERCENT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*%?", re.ASCII)
_TIME = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*(ms|s)", re.ASCII)


def read_thresholds(table: Any) -> dict[str, Any]:
    """Return the thresholds in `table`; what it does not name is left to the server.

    Raises ValueError, which names the key, for an unknown key and for an invalid threshold.
    """
    if not isinstance(table, Mapping):
        raise ValueError("gate must be a table of thresholds")
    thresholds: dict[str, Any] = {}
    for written, value in table.items():
        key = ALIASES.get(str(written), str(written))
        if key in thresholds:
            raise ValueError(f"gate.{key} is there under two names")
        thresholds[key] = _read(key, value)
    return thresholds


def format_threshold(key: str, value: Any) -> str:
    """Return one threshold as text: `warn 10 %, fail 25 %`, `never`, `5 ms`."""
    if value is False:
        return "never"
    if isinstance(value, Mapping):
        return ", ".join(
            f"{name} never" if value[name] is False else f"{name} {value[name]:g} {BOUNDS[key]}"
            for name in SEVERITIES
            if name in value
        )
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:g} ms" if key == FLOOR else f"{value:g}"


def _read(key: str, value: Any) -> Any:
    where = f"gate.{key}"
    if key == FLOOR:
        return _milliseconds(where, value)
    if key == FEWEST:
        return _count(where, value)
    if key == EXPECTED:
        return _statuses(where, value)
    if key not in BOUNDS:
        raise ValueError(f"unknown key {where!r}" + _suggestion(key, (*KEYS, *ALIASES)))
    return False if value is False else _bound(where, value)


def _bound(where: str, value: Any) -> dict[str, float | bool]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{where} must be false or a pair such as {{warn: 10, fail: 25}}")
    for name in value:
        if name not in SEVERITIES:
            hint = _suggestion(str(name), SEVERITIES)
            if where == "gate.p99" and str(name) == "9":
                hint = '; write "p99.9" in quotes'
            raise ValueError(f"unknown key '{where}.{name}'{hint}")
    if not value:
        raise ValueError(f"{where} names neither warn nor fail")
    bound = {name: _percent(f"{where}.{name}", value[name]) for name in SEVERITIES if name in value}
    if bound.get("fail") is not False and bound.get("warn", 0) > bound.get("fail", LARGEST):
        raise ValueError(f"{where} warns at {bound['warn']:g}, which is above its fail")
    return bound


def _percent(where: str, value: Any) -> float | bool:
    if value is False:
        return False
    if isinstance(value, str) and (form := _PERCENT.fullmatch(value.strip())):
        value = float(form[1])
    return _number(where, value, "10 or '10%'")


def _milliseconds(where: str, value: Any) -> float:
    if isinstance(value, str) and (form := _TIME.fullmatch(value.strip())):
        value = float(form[1]) * (1000 if form[2] == "s" else 1)
    return _number(where, value, "5 or '5ms'")


def _count(where: str, value: Any) -> int:
    number = _number(where, value, "100")
    if number % 1:
        raise ValueError(f"{where} must be a whole number")
    return int(number)


def _statuses(where: str, value: Any) -> list[int]:
    given = value if isinstance(value, list) else [value]
    statuses = [_count(where, status) for status in given]
    if not statuses or not all(200 <= status < 400 for status in statuses):
        raise ValueError(f"{where} is a list of statuses from 200 to 399; others are errors anyway")
    return statuses


def _number(where: str, value: Any, example: str) -> float:
    """Return a finite number that is not negative; whole ones stay whole."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{where} must be a number, e.g. {example}")
    if abs(value) > LARGEST and abs(value) != math.inf:
        raise ValueError(f"{where} is too large")
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{where} is {value:g}; a threshold is a number from 0 up")
    return int(value) if value % 1 == 0 else float(value)


def _suggestion(word: str, known: tuple[str, ...]) -> str:
    return "; " + did_you_mean(word, known, f"the keys are {', '.join(known)}")
