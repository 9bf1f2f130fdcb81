"""The result of a run from its history entry: metrics, comparisons, time series."""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Iterator, Mapping
from typing import Any

from tm_cli.api.trafficmorph import HistoryRow, RunComparison
from tm_cli.gate.model import (
    WITHIN_RUNS,
    Basis,
    Comparison,
    LiveStep,
    Result,
    Sample,
    Step,
    TimeSeries,
    known_points,
    not_judged,
)
from tm_cli.values.durations import format_duration
from tm_cli.values.failures import failure_meaning
from tm_cli.values.text import as_number, sanitize
from tm_cli.values.verdict import Verdict, read_verdict

REGRESSION = 10.0
"""A rise of errors or of a response time, or a fall of success, above this percentage is marked."""

NUMBERS = {
    "totalRequests": ("requests", 0),
    "totalErrors": ("requests", 1),
    "avgRps": ("/s", 0),
    "peakRps": ("/s", 0),
    "successRate": ("%", -1),
    "durationSeconds": ("s", 0),
}
"""The unit of each number, and the direction in which it is a regression, if there is one."""

MOST_COMPARISONS = 200
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
        for item in items[:MOST_COMPARISONS]
        if isinstance(item, Mapping) and isinstance(item.get("metric"), str)
    )


def _comparison(item: Mapping[str, Any]) -> Comparison:
    return Comparison(
        metric=sanitize(item["metric"]),
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


MOST_STEPS = 300
"""Steps of one run that are read; the embedded server has 200 at most."""


def read_steps(results: Any, compared: Any) -> tuple[Step, ...]:
    """Return the steps of a run: their `results`, and what is `compared` in a snapshot or answer.

    The worst come first; a step that was not played is there if it was compared.
    """
    measured = _by_name(results)
    judged = _by_name(compared.get("steps") if isinstance(compared, Mapping) else None)
    names = dict.fromkeys([*measured, *judged])
    steps = [_step(name, measured.get(name, {}), judged.get(name, {})) for name in names]
    return tuple(sorted(steps, key=_severity))[:MOST_STEPS]


def _by_name(items: Any) -> dict[str, Mapping[str, Any]]:
    return {
        item["name"]: item
        for item in (items if isinstance(items, list) else ())
        if isinstance(item, Mapping) and isinstance(item.get("name"), str)
    }


def _step(name: str, measured: Mapping[str, Any], judged: Mapping[str, Any]) -> Step:
    counts = measured.get("responseCodes")
    known = counts.items() if isinstance(counts, Mapping) else ()
    metrics = _metrics(measured) if measured else {}
    return Step(
        name=sanitize(name),
        metrics={key: value for key, value in metrics.items() if value is not None},
        codes={sanitize(code): count for code, count in known if type(count) is int and count >= 0},
        verdict=_text(judged.get("verdict")),
        has_thresholds=judged.get("hasThresholds") is True,
        comparisons=read_comparisons(judged),
    )


_WORST_FIRST = {"FAIL": 0, "WARN": 1}


def _severity(step: Step) -> tuple[int, float, float, float]:
    """The worst verdict first, then the largest rise of p95, the most errors, the slowest."""
    rises = [item.change for item in step.comparisons if item.metric == "p95" and item.change]
    errors = as_number(step.metrics.get("totalErrors")) or 0.0
    times = step.metrics.get("latencyQuantiles") or {}
    slow = as_number(times.get("p95")) or 0.0
    return _WORST_FIRST.get(step.verdict or "", 2), -max(rises, default=0.0), -errors, -slow


def read_live_steps(document: Any) -> tuple[LiveStep, ...]:
    """Return the steps of a run in flight, those with errors first, then the most played."""
    steps = [
        LiveStep(
            sanitize(name),
            _count(item.get("totalRequests")) or 0,
            _count(item.get("totalErrors")) or 0,
            as_number(item.get("currentRps")),
        )
        for name, item in _by_name(document).items()
    ]
    return tuple(sorted(steps, key=lambda step: (-step.errors, -step.requests)))[:MOST_STEPS]


def _target(against: Any) -> str | None:
    if not isinstance(against, Mapping):
        return None
    return _text(against.get("targetUrl")) or "another target"


def _integer(value: Any) -> int | None:
    return value if type(value) is int else None


def _text(value: Any) -> str | None:
    return sanitize(value) if isinstance(value, str) and value else None


def read_contract_comparison(answer: RunComparison) -> tuple[Comparison, ...]:
    """Return what the contract's own fields say; `value` is of the newer run."""
    return tuple(_read_comparison(answer))[:MOST_COMPARISONS]


def _read_comparison(answer: RunComparison) -> Iterator[Comparison]:
    for name, entry in _entries(answer.latency):
        yield Comparison(
            metric=f"{name} {WITHIN_RUNS}",
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
                yield sanitize(name), entry


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
    for name, (unit, direction) in NUMBERS.items():
        value, before = as_number(newer.get(name)), as_number(older.get(name))
        if value is not None and before is not None:
            yield name, unit, value, before, direction
    new, old = newer.get("latencyQuantiles"), older.get("latencyQuantiles")
    if isinstance(new, Mapping) and isinstance(old, Mapping):
        for name in new:
            value, before = as_number(new[name]), as_number(old.get(name))
            if value is not None and before is not None:
                yield sanitize(name), "ms", value, before, 1


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


def read_series(facts: Mapping[str, Any]) -> TimeSeries:
    """Return the moments of a history row, or of the second target of an A/B run."""
    found: dict[float, dict[str, float]] = {}
    for field in ("rpsSeries", "latencySeries"):
        items = facts.get(field)
        for index, item in enumerate(items[:MOST] if isinstance(items, list) else ()):
            t, values = _read(item, index)
            if t is not None and values:
                found.setdefault(t, {}).update(values)
    return tuple(Sample(t, **found[t]) for t in sorted(found))


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
        note=_why_no_verdict(row) if cut_off else None,
        basis=read_basis(row),
        comparisons=read_comparisons(row.auto_compare_snapshot),
        notes=(
            *_decided(row),
            *map(sanitize, row.notes),
            *_warmup(facts),
            *_addresses(facts),
            *_transfers(facts),
            *_blind_below(row.auto_compare_snapshot),
        ),
        series=read_series(facts),
        also=_also(row),
        steps=read_steps(row.steps, row.auto_compare_snapshot),
    )


def _also(row: HistoryRow) -> frozenset[Verdict]:
    """NO_BASELINE of a run that a limit which needs none has given another verdict."""
    snapshot = row.auto_compare_snapshot
    if row.auto_verdict not in (Verdict.WARN, Verdict.FAIL) or not isinstance(snapshot, Mapping):
        return frozenset()
    is_alone = snapshot.get("method") == "runs" and snapshot.get("baseline", "unknown") is None
    return frozenset({Verdict.NO_BASELINE} if is_alone else ())


def _decided(row: HistoryRow) -> list[str]:
    after, whole = row.stopped_after_seconds, row.curve_seconds
    if after is None or whole is None or not 0 < after < whole:
        return []
    return [f"decided after {format_duration(after)} of {format_duration(whole)}"]


def _why_no_verdict(row: HistoryRow) -> str:
    reasons = _reasons(row.auto_verdict_reasons)
    why = f" ({reasons[0]})" if reasons else ""
    return f"the run was {sanitize(row.outcome).lower()}, so it has no verdict{why}"


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


def _warmup(facts: Mapping[str, Any]) -> list[str]:
    """What is not judged; if that is nothing, whether the run began slowly."""
    warmup, judged = as_number(facts.get("warmupSeconds")), facts.get("judged")
    if warmup is None:
        return []
    if not warmup:
        hint = _slow_start(read_series(facts))
        return [hint] if hint else []
    judged = judged if isinstance(judged, Mapping) else {}
    left_out = []
    for name, word in (("totalRequests", "requests"), ("totalErrors", "errors")):
        whole, counted = _count(facts.get(name)), _count(judged.get(name))
        if whole and counted is not None:
            left_out.append(f"{whole - counted:,} of {whole:,} {word}")
    what = f": {' and '.join(left_out)}" if left_out else ""
    return [f"{not_judged(warmup)}{what}"]


_SLOW_START = 1.5
"""How many times the usual p95 makes a hint."""
_SLOWER_MS = 5.0
"""Milliseconds; a smaller difference is not worth a hint."""
_MORE_LOAD = 1.1
"""A rate that is so much higher explains slower responses."""


def _slow_start(series: TimeSeries) -> str | None:
    """A hint if the first stretches, at most a quarter, are slower than all others."""
    times, rates = known_points(series, "p95"), known_points(series, "planned")
    if len(times) < 4 or times[0][0] != WIDTH / 2 or len(rates) != len(times):
        return None
    usual = statistics.median(value for _, value in times)
    limit = max(usual * _SLOW_START, usual + _SLOWER_MS)
    slow = sum(1 for _ in itertools.takewhile(lambda point: point[1] >= limit, times))
    if not 0 < slow <= len(times) // 4:
        return None
    first, later = times[:slow], times[slow:]
    is_loaded = max(rate for _, rate in rates[:slow]) > _MORE_LOAD * max(
        rate for _, rate in rates[slow:]
    )
    worst = max(value for _, value in first)
    if is_loaded or worst <= max(value for _, value in later):
        return None
    seconds = f"{slow * WIDTH:g}"
    return (
        f"the first {seconds} s were {worst / usual:.1f} times as slow as usual in this run (p95): "
        f"`warmup: {seconds}s` leaves them out of the verdict"
    )


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
            notes.append(f"{title}: {sanitize(listed)}")
    return notes


def _transfers(facts: Mapping[str, Any]) -> list[str]:
    """The protocol, what the names of failures mean, and how many requests were sent again."""
    counts = facts.get("responseCodes")
    names = counts if isinstance(counts, Mapping) else {}
    protocol = facts.get("protocol")
    notes = [f"the requests were sent over {sanitize(protocol)}"] if protocol else []
    notes += [f"{sanitize(name)}: {text}" for name in names if (text := failure_meaning(str(name)))]
    if repeated := _count(facts.get("repeated")):
        were = "request was" if repeated == 1 else "requests were"
        notes.append(f"{repeated:,} {were} sent again: the target had closed an idle connection")
    return notes


def _blind_below(snapshot: Any) -> list[str]:
    """Which rise of p95 runs like this one show: as WARN in 80 %, as FAIL in 95 % of the cases."""
    known = snapshot.get("canDetect") if isinstance(snapshot, Mapping) else None
    detects = known.get("p95") if isinstance(known, Mapping) else None
    if not isinstance(detects, Mapping):
        return []
    warn, fail = as_number(detects.get("warn")), as_number(detects.get("fail"))
    if warn is None and fail is None:
        return []
    least = warn if warn is not None else fail
    note = f"blind below {least:+.0f} % at p95"
    return [f"{note}; fails from {fail:+.0f} %" if None not in (warn, fail) else note]


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
    return tuple(sanitize(item if isinstance(item, str) else json.dumps(item)) for item in items)
