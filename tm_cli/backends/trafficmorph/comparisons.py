"""Comparisons of two runs: as the server stores them, by the contract's fields, or by tm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tm_cli.api.trafficmorph.models import HistoryRow, RunComparison
from tm_cli.gate.model import Basis, Comparison
from tm_cli.values.numbers import as_number
from tm_cli.values.text import clean

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

MOST = 200
"""Comparisons of one run that are read; there are a dozen."""


def read_basis(row: HistoryRow) -> Basis:
    """Return what the verdict of a row rests on; what the server did not say is None."""
    snapshot = row.auto_compare_snapshot
    if not isinstance(snapshot, Mapping):
        snapshot = {}
    return Basis(
        baseline=row.auto_compare_baseline_run_id,
        choice=_text(snapshot.get("baselineChoice")),
        age=as_number(snapshot.get("baselineAgeSeconds")),
        reference=_integer(snapshot.get("reference")),
        against=_target(row.against),
    )


def read_comparisons(document: Any) -> tuple[Comparison, ...]:
    """Return the comparisons in a snapshot or in an answer to compare; others are left out."""
    items = document.get("comparisons") if isinstance(document, Mapping) else None
    if not isinstance(items, list):
        return ()
    return tuple(
        _comparison(item)
        for item in items[:MOST]
        if isinstance(item, Mapping) and isinstance(item.get("metric"), str)
    )


def _comparison(item: Mapping[str, Any]) -> Comparison:
    return Comparison(
        metric=clean(item["metric"]),
        unit=_text(item.get("unit")) or "",
        value=as_number(item.get("value")),
        baseline=as_number(item.get("baseline")),
        change=as_number(item.get("change")),
        ci_low=as_number(item.get("ciLow")),
        ci_high=as_number(item.get("ciHigh")),
        p_value=as_number(item.get("pValue")),
        noise=as_number(item.get("noise")),
        warn=as_number(item.get("warn")),
        fail=as_number(item.get("fail")),
        verdict=_text(item.get("verdict")),
        significant=item.get("significant") is True,
        than=_text(item.get("than")),
        reason=_text(item.get("reason")),
    )


def _target(against: Any) -> str | None:
    if not isinstance(against, Mapping):
        return None
    return _text(against.get("targetUrl")) or "another target"


def _integer(value: Any) -> int | None:
    return value if type(value) is int else None


def _text(value: Any) -> str | None:
    return clean(value) if isinstance(value, str) and value else None


def read_contract_comparison(answer: RunComparison) -> tuple[Comparison, ...]:
    """Return what the contract's own fields say; `value` is of the newer run."""
    return tuple(_read(answer))[:MOST]


def _read(answer: RunComparison) -> Iterator[Comparison]:
    for name, entry in _entries(answer.latency):
        yield Comparison(
            metric=f"{name} (mean of buckets)",
            unit="ms",
            value=as_number(entry.get("meanA")),
            baseline=as_number(entry.get("meanB")),
            change=as_number(entry.get("deltaPercent")),
            p_value=as_number(entry.get("pValue")),
            significant=entry.get("significant") is True,
        )
    shares = {"success": answer.success_comparison, "errors": answer.error_comparison}
    for name, entry in _entries(shares):
        yield _share(name, entry)
    for code, entry in _entries(answer.response_code_comparisons):
        yield _share(f"responses {code}", entry)


def _share(name: str, entry: Mapping[str, Any]) -> Comparison:
    found = entry.get("bootstrap")
    bootstrap = found if isinstance(found, Mapping) else {}
    return Comparison(
        metric=name,
        unit="%",
        value=as_number(entry.get("valueA")),
        baseline=as_number(entry.get("valueB")),
        change=as_number(entry.get("delta")),
        p_value=as_number(bootstrap.get("pValue")),
        significant=bootstrap.get("significant") is True,
    )


def _entries(document: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(document, Mapping):
        for name, entry in document.items():
            if isinstance(entry, Mapping):
                yield clean(name), entry


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
