"""Metrics, comparisons and series of a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from tm_cli.evidence.fields import Fields, NotEvidence, as_number
from tm_cli.gate.comparison import Comparison
from tm_cli.gate.course import Course, Moment

_NUMBERS = ("totalRequests", "totalErrors", "avgRps", "peakRps", "successRate")


def read_metrics(metrics: Fields) -> dict[str, Any]:
    """Return the metrics of a run; those that checks measure must be numbers or null."""
    for name in _NUMBERS:
        if name in metrics.values:
            metrics.number_or_none(name)
    quantiles = metrics.values.get("latencyQuantiles")
    if quantiles is not None:
        for name, value in Fields.of(
            quantiles, f"{metrics.where}: latencyQuantiles"
        ).values.items():
            as_number(value, f"{metrics.where}: {name}")
    return dict(metrics.values)


def read_comparisons(run: Fields) -> tuple[Comparison, ...]:
    """Return the comparisons that a verdict rests on."""
    return tuple(_comparison(item) for item in run.objects("comparisons"))


def _comparison(item: Fields) -> Comparison:
    return Comparison(
        metric=item.clean("metric") or "",
        unit=item.clean("unit") or "",
        value=item.number_or_none("value"),
        baseline=item.number_or_none("baseline"),
        change=item.number_or_none("change"),
        ci_low=item.number_or_none("ciLow"),
        ci_high=item.number_or_none("ciHigh"),
        p_value=item.number_or_none("pValue"),
        noise=item.number_or_none("noise"),
        warn=item.number_or_none("warn"),
        fail=item.number_or_none("fail"),
        verdict=item.clean("verdict"),
        significant=item.flag("significant"),
        than=item.clean("than"),
        reason=item.clean("reason"),
    )


def read_course(run: Fields, name: str) -> Course:
    """Return a run over time, from lists of one length; empty for null."""
    lists = run.object_or_none(name)
    if lists is None:
        return ()
    columns = {field.name: _column(lists, field.name) for field in fields(Moment)}
    if len({len(column) for column in columns.values()}) != 1:
        raise NotEvidence(f"{lists.where}: its lists differ in length")
    if any(t is None for t in columns["t"]):
        raise NotEvidence(f"{lists.where}: a moment has no time")
    rows: list[Mapping[str, Any]] = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    return tuple(Moment(**row) for row in rows)


def _column(lists: Fields, name: str) -> list[float | None]:
    items = lists.value(name)
    if not isinstance(items, list):
        raise NotEvidence(f"{lists.where}: {name} is no list")
    return [as_number(item, f"{lists.where}: {name}") for item in items]
