"""Two ended runs compared by tm, for servers that do not compare (section 11 of the contract).

Noise is not considered: a large difference is marked, and may be chance all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tm_cli.api.trafficmorph.models import HistoryRow
from tm_cli.gate.comparison import Comparison
from tm_cli.text import clean
from tm_cli.values.numbers import as_number

REGRESSION = 10.0
"""A rise of errors or of a response time, or a fall of success, above this percentage is marked."""

_NUMBERS = {
    "totalRequests": ("requests", 0),
    "totalErrors": ("requests", 1),
    "avgRps": ("/s", 0),
    "peakRps": ("/s", 0),
    "successRate": ("%", -1),
    "durationSeconds": ("s", 0),
}
"""The unit of each number, and the direction in which it is a regression, if there is one."""


def newer_first(first: HistoryRow, second: HistoryRow) -> tuple[HistoryRow, HistoryRow]:
    """Return the two runs, the newer one first; as they are when their times are not known."""
    if first.created_at and second.created_at and first.created_at < second.created_at:
        return second, first
    return first, second


def compare_rows(newer: HistoryRow, older: HistoryRow) -> tuple[Comparison, ...]:
    """Return what both rows have; `change` is percent of the older value, None when that is 0.

    The change of a rate is in points, as everywhere.
    """
    return tuple(
        _compared(name, unit, value, before, direction)
        for name, unit, value, before, direction in _pairs(newer.document(), older.document())
    )


def _pairs(
    newer: Mapping[str, Any], older: Mapping[str, Any]
) -> Iterator[tuple[str, str, float, float, int]]:
    for name, (unit, direction) in _NUMBERS.items():
        value, before = as_number(newer.get(name)), as_number(older.get(name))
        if value is not None and before is not None:
            yield name, unit, value, before, direction
    new, old = newer.get("latencyQuantiles"), older.get("latencyQuantiles")
    if isinstance(new, Mapping) and isinstance(old, Mapping):
        for name in new:
            value, before = as_number(new[name]), as_number(old.get(name))
            if value is not None and before is not None:
                yield clean(name), "ms", value, before, 1


def _compared(name: str, unit: str, value: float, before: float, direction: int) -> Comparison:
    percent = as_number(round((value - before) / before * 100, 2)) if before else None
    regressed = percent is not None and percent * direction > REGRESSION
    change = as_number(round(value - before, 4)) if unit == "%" else percent
    reason = f"{value - before:+g} from nothing" if not before and value != before else None
    return Comparison(
        metric=name,
        unit=unit,
        value=value,
        baseline=before,
        change=change,
        verdict="WARN" if regressed else None,
        reason=reason,
    )
