"""The result of a run from its history row, with its course over time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tm_cli.api.trafficmorph.models import HistoryRow
from tm_cli.backends.trafficmorph.comparisons import read_basis, read_comparisons
from tm_cli.gate.model import Course, Moment, Result
from tm_cli.values.numbers import as_number
from tm_cli.values.text import clean
from tm_cli.values.verdict import read_verdict

_METRICS = (
    "totalRequests",
    "totalErrors",
    "avgRps",
    "peakRps",
    "successRate",
    "latencyQuantiles",
)

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


def read_series(facts: Mapping[str, Any]) -> Course:
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


def as_result(row: HistoryRow) -> Result:
    facts = row.document()
    cut_off = row.outcome not in (None, "", "COMPLETED")
    verdict_text = None if cut_off else row.auto_verdict or None
    return Result(
        run_id=row.run_id or None,
        verdict=read_verdict(verdict_text),
        verdict_text=verdict_text,
        reasons=_reasons(row.auto_verdict_reasons),
        metrics=_metrics(facts),
        facts=facts,
        final=cut_off,
        note=f"the run was {clean(row.outcome).lower()}, so it has no verdict" if cut_off else None,
        basis=read_basis(row),
        comparisons=read_comparisons(row.auto_compare_snapshot),
        notes=(*(clean(text) for text in row.notes), *_addresses(facts)),
        series=read_series(facts),
    )


def _metrics(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics of a row; an old one leaves the success rate to its totals."""
    metrics = {name: facts.get(name) for name in _METRICS}
    metrics["latencyQuantiles"] = _quantiles(metrics["latencyQuantiles"])
    if metrics["successRate"] is None:
        total, errors = as_number(metrics["totalRequests"]), as_number(metrics["totalErrors"])
        metrics["successRate"] = _success_rate(total, errors)
    return metrics


def _count(value: Any) -> int | None:
    return value if type(value) is int else None


def _quantiles(document: Any) -> dict[str, Any] | None:
    """Response times by their names; None for what cannot be read."""
    if not isinstance(document, Mapping):
        return None
    return {name: value for name, value in document.items() if as_number(value) is not None}


def _success_rate(total: float | None, errors: float | None) -> float | None:
    """Percent of requests without error; None for totals that cannot be true."""
    if not total or errors is None or not 0 <= errors <= total:
        return None
    return (total - errors) * 100 / total


def second_target(facts: Mapping[str, Any]) -> Result | None:
    """Return the second target of an A/B run as if it were a run; None without one."""
    metrics, against = second_target_metrics(facts), facts.get("against")
    if metrics is None or not isinstance(against, Mapping):
        return None
    return Result(None, None, None, metrics=metrics, facts=against, series=read_series(against))


def second_target_metrics(facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the metrics of the second target of an A/B run; None without one.

    Both targets were loaded for the same time, so their rates are proportional to their totals.
    """
    against = facts.get("against")
    if not isinstance(against, Mapping):
        return None
    total, errors = as_number(against.get("totalRequests")), as_number(against.get("totalErrors"))
    own_total, rate = as_number(facts.get("totalRequests")), as_number(facts.get("avgRps"))
    share = total / own_total if total is not None and own_total else None
    return {
        "totalRequests": _count(against.get("totalRequests")),
        "totalErrors": _count(against.get("totalErrors")),
        "avgRps": as_number(rate * share) if rate is not None and share is not None else None,
        "peakRps": None,
        "successRate": _success_rate(total, errors),
        "latencyQuantiles": _quantiles(against.get("latencyQuantiles")),
    }


def _addresses(facts: Mapping[str, Any]) -> list[str]:
    """How many requests each address of a target got, if it has several."""
    against = facts.get("against")
    other = against.get("addresses") if isinstance(against, Mapping) else None
    sides = {
        "requests by address": facts.get("addresses"),
        "requests by address of the other target": other,
    }
    notes = []
    for title, counts in sides.items():
        shown = _shown_addresses(counts) if isinstance(counts, Mapping) else {}
        if len(shown) > 1:
            listed = ", ".join(f"{name} {count:,}" for name, count in shown.items())
            notes.append(f"{title}: {clean(listed)}")
    return notes


def _shown_addresses(counts: Mapping[str, Any]) -> dict[str, int]:
    """Without addresses of `localhost` at which the target does not listen."""
    return {
        name: count
        for name, count in counts.items()
        if type(count) is int and (count or not name.startswith(("127.", "::1")))
    }


def _reasons(document: Any) -> tuple[str, ...]:
    """Reasons are a list of sentences on most servers; anything else is shown as it is."""
    if document in (None, "", [], {}):
        return ()
    items = document if isinstance(document, list) else [document]
    return tuple(clean(item if isinstance(item, str) else json.dumps(item)) for item in items)
