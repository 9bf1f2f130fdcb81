"""Comparisons as servers store them: read leniently, because their shape is not published."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tm_cli.api.trafficmorph.models import HistoryRow
from tm_cli.gate.comparison import Basis, Comparison
from tm_cli.text import clean
from tm_cli.values.numbers import as_number

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
