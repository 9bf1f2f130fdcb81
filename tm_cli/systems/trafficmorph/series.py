"""A run over time, from series whose shape every server chooses for itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tm_cli.gate.course import Course, Moment
from tm_cli.values.numbers import as_number

WIDTH = 5.0
"""Seconds of one item where the items have no time."""

MOST = 50_000
"""Items of one series that are read; two days have 34,560."""

LATEST = 40 * 24 * 3600.0
LARGEST = 1e12
"""A later second or a larger value is ignored."""

_NAMES = {
    "rps": ("rps", "value", "y", "qps", "rate"),
    "planned": ("planned", "plannedRps"),
    "bad": ("badRatio",),
    "p50": ("p50", "p50Ms"),
    "p95": ("p95", "p95Ms"),
    "p99": ("p99", "p99Ms"),
}
_TIMES = ("t", "time", "second", "x")


def read_course(facts: Mapping[str, Any]) -> Course:
    """Return the moments of a history row, or of the second target of an A/B run."""
    found: dict[float, dict[str, float]] = {}
    for field in ("rpsSeries", "latencySeries"):
        items = facts.get(field)
        for index, item in enumerate(items[:MOST] if isinstance(items, list) else ()):
            t, values = _read(item, index)
            if t is not None and values:
                found.setdefault(t, {}).update(values)
    return tuple(Moment(t, **found[t]) for t in sorted(found))


def _read(item: Any, index: int) -> tuple[float | None, dict[str, float]]:
    """Return time and values of one item; a bare number is a rate."""
    usual = index * WIDTH + WIDTH / 2
    if (rate := as_number(item)) is not None:
        return usual, {"rps": rate} if 0 <= rate <= LARGEST else {}
    if not isinstance(item, Mapping):
        return None, {}
    values = {
        name: value
        for name, spellings in _NAMES.items()
        if (value := _first(item, spellings)) is not None and 0 <= value <= LARGEST
    }
    t = _first(item, _TIMES)
    return (usual if t is None else t if 0 <= t <= LATEST else None), values


def _first(item: Mapping[str, Any], names: tuple[str, ...]) -> float | None:
    return next((value for name in names if (value := as_number(item.get(name))) is not None), None)
