"""What is known of a run beside its verdict: totals, response codes, where and when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tm_cli.gate.evidence import Result
from tm_cli.gate.record import Record
from tm_cli.render.html.markup import Child, Markup, element, joined
from tm_cli.render.html.table import table
from tm_cli.render.numbers import age, milliseconds, percent, rate

MOST_METRICS = 40

_METRICS = {
    "totalRequests": "requests",
    "totalErrors": "errors",
    "successRate": "success",
    "avgRps": "requests/s on average",
    "peakRps": "requests/s at the peak",
}
_FACTS = {"targetUrl": "Target", "region": "Region"}
_TIMES = {"startedAt": "Started", "finishedAt": "Finished"}


def measured_table(result: Result, baseline: Result | None) -> Markup:
    """Return every number that the system measured, beside that of the other run; may be empty."""
    there = baseline.metrics if baseline else {}
    ours, theirs = _numbers(result.metrics), _numbers(there)
    rows: list[tuple[Child, ...]] = [
        (_name(name), *([_shown(name, theirs.get(name))] if theirs else []), _shown(name, value))
        for name, value in list(ours.items())[:MOST_METRICS]
    ]
    if not rows:
        return joined([])
    other = [result.basis.other.capitalize()] if theirs else []
    return table("What was measured", ("Quantity", *other, "Now"), rows)


def codes_table(result: Result, baseline: Result | None) -> Markup:
    """Return how the target answered, and how it failed to; empty when nobody counted."""
    ours, theirs = _codes(result.facts), _codes(baseline.facts if baseline else {})
    if not ours and not theirs:
        return joined([])
    names = sorted(ours.keys() | theirs.keys(), key=lambda name: (-ours.get(name, 0), name))
    all_ours, all_theirs = sum(ours.values()), sum(theirs.values())
    rows: list[tuple[Child, ...]] = [
        (
            name,
            *([_count(theirs.get(name, 0)), _share(theirs, name, all_theirs)] if theirs else []),
            _count(ours.get(name, 0)),
            _share(ours, name, all_ours),
        )
        for name in names
    ]
    other = result.basis.other.capitalize()
    beside = [other, f"{other}, share"] if theirs else []
    return table("Responses by code", ("Response", *beside, "Now", "Now, share"), rows)


def facts_table(record: Record) -> Markup:
    """Return where and when the run was, and what it was compared with."""
    return element("dl", *(_pair(name, value) for name, value in _facts(record) if value))


def _facts(record: Record) -> list[tuple[str, str | None]]:
    end, result = record.end, record.end.result
    facts = result.facts if result else {}
    found: list[tuple[str, str | None]] = [
        ("System", record.system if end.run or result else None),
        ("Run", end.run.run_id if end.run else None),
        ("History", _text(facts.get("id"))),
        ("Status", record.status),
    ]
    found += [(shown, _text(facts.get(name))) for name, shown in _FACTS.items()]
    found += [(shown, _moment(facts.get(name))) for name, shown in _TIMES.items()]
    tags = facts.get("tags")
    found.append(("Tags", ", ".join(map(str, tags)) if isinstance(tags, list) else None))
    return found + (_basis(result) if result else [])


def _basis(result: Result) -> list[tuple[str, str | None]]:
    basis = result.basis
    older = f", {age(basis.age)} older" if basis.age is not None else ""
    choice = f" ({basis.choice})" if basis.choice else ""
    known = basis.baseline is not None
    return [
        ("Baseline", f"run {basis.baseline}{older}{choice}" if known else None),
        ("Reference", f"run {basis.reference}" if basis.reference is not None else None),
        ("Other target", f"{basis.against}, under the same load" if basis.against else None),
    ]


def _pair(name: str, value: str | None) -> Markup:
    return joined([element("dt", name), element("dd", value)])


def _text(value: Any) -> str | None:
    return None if value is None or isinstance(value, Mapping | list) else str(value)


def _moment(value: Any) -> str | None:
    """A time as people read it, or as it was sent."""
    try:
        return f"{datetime.fromisoformat(value).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (TypeError, ValueError, OverflowError):
        return _text(value)


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """All that are numbers, those we have a name for first."""
    found = {name: metrics.get(name) for name in _METRICS}
    quantiles = metrics.get("latencyQuantiles")
    found |= quantiles if isinstance(quantiles, Mapping) else {}
    found |= {name: value for name, value in metrics.items() if name not in found}
    return {
        str(name): value
        for name, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _name(name: str) -> str:
    return _METRICS.get(name, f"{name} response time" if _is_quantile(name) else name)


def _is_quantile(name: str) -> bool:
    return name[:1] == "p" and name[1:].replace(".", "", 1).isdigit()


def _shown(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    if _is_quantile(name):
        return milliseconds(value)
    if name == "successRate":
        return percent(value)
    return (
        rate(value) if name.endswith("Rps") else f"{value:,.6g}" if value % 1 else f"{value:,.0f}"
    )


def _codes(facts: Mapping[str, Any]) -> dict[str, int]:
    counts = facts.get("responseCodes")
    known = counts if isinstance(counts, Mapping) else {}
    return {str(code): count for code, count in known.items() if type(count) is int and count >= 0}


def _count(value: int) -> str:
    return f"{value:,}"


def _share(counts: Mapping[str, int], name: str, total: int) -> str:
    return percent(counts.get(name, 0) * 100 / total) if total else "-"
