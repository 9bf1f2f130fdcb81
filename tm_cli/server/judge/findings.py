"""Single comparisons: one number of a run against its baseline or its plan."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from tm_cli.server.judge.facts import RunFacts
from tm_cli.server.judge.limits import Bound, Limits


class Severity(IntEnum):
    """How bad a finding is; the worst one is the verdict."""

    PASS = 0
    WARN = 1
    FAIL = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One comparison: how bad, in words, and the numbers behind it (JSON-able)."""

    severity: Severity
    reason: str
    numbers: dict[str, Any]


def findings(run: RunFacts, baseline: RunFacts, limits: Limits) -> Iterator[Finding]:
    """Every comparison of the two runs, good ones included."""
    for name, bound in limits.quantiles.items():
        yield _quantile(name, run, baseline, bound, limits.smallest_rise_ms)
    yield _error_rate(run, baseline, limits)
    yield all_errors(run, limits.errors)
    yield _shortfall(run, limits.shortfall)
    yield _sample_size(run, limits.fewest_completed)
    yield _machine(run, baseline)


def _quantile(
    name: str, run: RunFacts, baseline: RunFacts, bound: Bound, smallest_rise: float
) -> Finding:
    value, before = run.quantiles_ms.get(name), baseline.quantiles_ms.get(name)
    if value is None or before is None:
        whose = "this run" if value is None else "the baseline"
        numbers = {"metric": name, "value": value, "baseline": before}
        return Finding(Severity.WARN, f"{name} is not known of {whose}", numbers)
    rise = value - before
    change = 100 * rise / before if before > 0 else 0.0 if rise <= 0 else float("inf")
    severity = Severity.PASS if rise < smallest_rise else _severity(change, bound)
    limit = bound.warn if severity is Severity.WARN else bound.fail
    reason = f"{name} {_ms(value)}, baseline {_ms(before)}, {_percent(change)}, limit +{limit:g} %"
    if severity is Severity.PASS and change > bound.warn:
        reason += f"; a rise under {smallest_rise:g} ms does not count"
    numbers = {
        "metric": name,
        "unit": "ms",
        "value": value,
        "baseline": before,
        "change": change if change != float("inf") else None,
        "warn": bound.warn,
        "fail": bound.fail,
    }
    return Finding(severity, reason, numbers)


def _error_rate(run: RunFacts, baseline: RunFacts, limits: Limits) -> Finding:
    rise = run.error_rate - baseline.error_rate
    # what the baseline's rate would have meant for this run's number of requests
    expected = baseline.error_rate * run.completed / 100
    counts = run.errors - expected >= limits.fewest_more_errors
    severity = _severity(rise, limits.error_rate) if counts else Severity.PASS
    limit = limits.error_rate.warn if severity is Severity.WARN else limits.error_rate.fail
    reason = (
        f"errors {run.error_rate:.2f} % ({run.errors} of {run.completed}), "
        f"baseline {baseline.error_rate:.2f} %, {rise:+.2f} points, limit +{limit:g} points"
    )
    numbers = {
        "metric": "errors",
        "unit": "%",
        "value": run.error_rate,
        "baseline": baseline.error_rate,
        "change": rise,
        "warn": limits.error_rate.warn,
        "fail": limits.error_rate.fail,
    }
    return Finding(severity, reason, numbers)


def all_errors(run: RunFacts, bound: Bound) -> Finding:
    """Judge the errors by themselves: a failing target is no measure, not even the first time."""
    severity = _severity(run.error_rate, bound)
    if run.errors and 2 * run.errors >= run.completed:
        severity = Severity.FAIL
    limit = bound.warn if severity is Severity.WARN else bound.fail
    reason = (
        f"errors {run.error_rate:.2f} % ({run.errors} of {run.completed} requests), "
        f"limit {limit:g} %, whatever the baseline"
    )
    numbers = {
        "metric": "all_errors",
        "unit": "%",
        "value": run.error_rate,
        "warn": bound.warn,
        "fail": bound.fail,
    }
    return Finding(severity, reason, numbers)


def _shortfall(run: RunFacts, bound: Bound) -> Finding:
    severity = _severity(run.shortfall, bound)
    limit = bound.warn if severity is Severity.WARN else bound.fail
    reason = (
        f"{run.planned - run.sent} of {run.planned} planned requests were not sent, "
        f"{run.shortfall:.2f} %, limit {limit:g} %"
    )
    numbers = {
        "metric": "shortfall",
        "unit": "%",
        "value": run.shortfall,
        "warn": bound.warn,
        "fail": bound.fail,
    }
    return Finding(severity, reason, numbers)


def _sample_size(run: RunFacts, fewest: int) -> Finding:
    severity = Severity.WARN if run.completed < fewest else Severity.PASS
    reason = (
        f"{run.completed} requests completed; fewer than {fewest} say little"
        if severity
        else f"{run.completed} requests completed"
    )
    return Finding(severity, reason, {"metric": "completed", "value": run.completed})


def _machine(run: RunFacts, baseline: RunFacts) -> Finding:
    numbers = {
        "metric": "generator_saturated",
        "value": run.generator_saturated,
        "baseline": baseline.generator_saturated,
    }
    if run.generator_saturated:
        reason = "the load generator's machine, not the target, was the limit of this run"
        return Finding(Severity.WARN, reason, numbers)
    if baseline.generator_saturated:
        reason = "the load generator's machine was the limit of the baseline run"
        return Finding(Severity.WARN, reason, numbers)
    return Finding(Severity.PASS, "the load generator kept up", numbers)


def _severity(value: float, bound: Bound) -> Severity:
    if value > bound.fail:
        return Severity.FAIL
    return Severity.WARN if value > bound.warn else Severity.PASS


def _ms(value: float) -> str:
    return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"


def _percent(change: float) -> str:
    return "from nothing" if change == float("inf") else f"{change:+.0f} %"
