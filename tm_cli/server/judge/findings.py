"""Comparisons of single metrics: with another run, with the plan, or alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

from tm_cli.server.judge.facts import ERROR_CLASSES, RunFacts
from tm_cli.server.judge.statistics.bootstrap import MAX_RUNS
from tm_cli.server.judge.statistics.dispersion import (
    burst,
    by_chance,
    dispersion,
    errors_follow_load,
    is_down_at_the_end,
)
from tm_cli.server.judge.thresholds import NEVER, Threshold, Thresholds

BASELINE = "baseline"
REFERENCE = "reference"

SURE, LIKELY = 0.003, 0.03
"""A change that chance alone makes no more often than this may fail a run, or is worth a warning.

Several numbers are compared at once, so one of them must be rarer than the usual 0.05.
"""

BY_THE_GENERATOR = "; no failure: the load generator's machine may be the cause"


@dataclass(frozen=True, slots=True)
class Detectable:
    """The smallest rises in percent that would be shown as WARN or FAIL, and as FAIL.

    None where no rise up to ten times would be shown, or the limit is switched off.
    """

    warn: float | None
    fail: float | None

    def document(self) -> dict[str, float | None]:
        return {"warn": self.warn, "fail": self.fail}


class Severity(IntEnum):
    """How bad a comparison is; the worst one is the verdict."""

    PASS = 0
    WARN = 1
    FAIL = 2


@dataclass(frozen=True, slots=True)
class MetricComparison:
    """One comparison: how bad, in words, and the numbers behind it.

    `change`, its 95 % interval `low` to `high` and `noise`, the smallest change that is more than
    chance, are percent of the other run's value, or percentage points where `unit` is "%". `than`
    names what the run was compared with, None for what needs no other run. What is not judged is
    only shown. `is_noisy`: a change that should fail the run could hide in the noise. `detects`:
    the rises that runs like these would show. `is_significant`: more than chance, by default what
    the p-value says. `is_improved`: better by more than the limit and chance. `excludes_fail`: the
    interval ends below the limit that fails, None where there is none. `level_mean`: the comparison
    with the mean of the level, where that decided. `step`: its name, where it is about one step.
    """

    metric: str
    severity: Severity
    reason: str
    unit: str = ""
    value: float | None = None
    baseline: float | None = None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    noise: float | None = None
    bound: Threshold | None = None
    than: str | None = None
    is_judged: bool = True
    is_noisy: bool = False
    detects: Detectable | None = None
    is_significant: bool | None = None
    is_improved: bool = False
    excludes_fail: bool | None = None
    level_mean: Mapping[str, Any] | None = None
    step: str | None = None

    def document(self) -> dict[str, Any]:
        bound = self.bound or Threshold(NEVER, NEVER)
        is_off = self.bound is not None and bound.warn == bound.fail == NEVER
        return {
            "metric": self.metric,
            "unit": self.unit,
            "value": _finite(self.value),
            "baseline": _finite(self.baseline),
            "change": _finite(self.change),
            "ciLow": _finite(self.low),
            "ciHigh": _finite(self.high),
            "pValue": _finite(self.p_value),
            "noise": _finite(self.noise),
            "warn": _finite(bound.warn),
            "fail": _finite(bound.fail),
            "verdict": self.severity.name if self.is_judged and not is_off else None,
            "significant": self._is_significant,
            "improved": self.is_improved,
            "excludesFail": self.excludes_fail,
            "levelMean": self.level_mean,
            "than": self.than,
            "reason": self.reason,
        }

    @property
    def _is_significant(self) -> bool:
        if self.is_significant is not None:
            return self.is_significant
        return self.p_value is not None and self.p_value < LIKELY


def alone(run: RunFacts, thresholds: Thresholds) -> Iterator[MetricComparison]:
    yield all_errors(run, thresholds.all_errors)
    yield _shortfall(run, thresholds.shortfall)
    yield _requests(run, thresholds.fewest_requests)
    yield _workers(run)


def successes(
    run: RunFacts,
    other: RunFacts,
    thresholds: Thresholds,
    than: str,
    passed: Sequence[RunFacts] = (),
) -> Iterator[MetricComparison]:
    """Responses of another kind than before, if any: no errors, but not the same work either.

    `passed`: earlier runs. Sizes may vary so much that the other run had a few large ones by
    chance, so bodies have collapsed only if they are small compared with each of these runs.
    """
    for status in sorted(run.statuses):
        share = _status_share(status, run, other, thresholds.statuses, than)
        if share.severity:
            yield with_pin(share, run)
    if run.mean_body is not None and other.mean_body:
        known = [one.mean_body for one in passed[-MAX_RUNS:] if one.mean_body]
        sizes = [
            _fall("body_size", "mean body", "{:,.0f} bytes", values, thresholds.body_size, than)
            for values in ((run.mean_body, before) for before in (other.mean_body, *known))
        ]
        if all(size.severity for size in sizes):
            yield with_pin(sizes[0], run)
    again = _repeated(run, other, thresholds, than)
    if again.severity:
        yield again


def with_pin(comparison: MetricComparison, run: RunFacts) -> MetricComparison:
    """A change that is intended stays one for every later run, until it is the baseline."""
    if comparison.than != BASELINE:
        return comparison
    hint = f"; if that is intended: tm baseline pin {run.history_id}"
    if run.stopped_after is not None:
        hint = "; if that is intended: start it with --no-stop-early and pin that run"
    return replace(comparison, reason=comparison.reason + hint)


def _status_share(
    status: str, run: RunFacts, other: RunFacts, bound: Threshold, than: str
) -> MetricComparison:
    now, before = run.statuses[status], other.statuses.get(status, 0)
    value, rate = run.share(now), other.share(before)
    # what was frequent already varies by itself, and a service may have several such statuses
    tolerated = replace(
        bound,
        warn=max(bound.warn, rate * _TOLERATED_SHARE),
        fail=max(bound.fail, rate * _TOLERATED_SHARE),
    )
    p_value = by_chance(run, other, now, before)
    if _is_usual(now, before) and value - rate <= _LARGE:
        p_value = by_chance(run, other, now, before, dispersion(f"status_{status}", run, other))
    is_doubtful = rate > bound.warn and p_value >= SURE
    severity = Severity.PASS if is_doubtful else severity_of(value - rate, tolerated, p_value)
    usual = max(other.statuses, key=lambda name: other.statuses[name], default=None)
    mostly = f", most had {usual}" if usual not in (None, status) else ""
    reason = (
        f"status {status} for {value:.2f} % of the responses ({now} of {run.completed}), "
        f"{than} {rate:.2f} %{mostly}, {value - rate:+.2f} points, "
        f"limit {threshold_text(tolerated, severity, '{:+g} points')}"
    )
    low, high = _rate_interval(now, run.completed, before, other.completed)
    return MetricComparison(
        f"status_{status}",
        severity,
        reason,
        "%",
        value,
        rate,
        value - rate,
        low,
        high,
        p_value,
        bound=tolerated,
        than=than,
    )


_TOLERATED_SHARE = 0.25


def _repeated(
    run: RunFacts, other: RunFacts, thresholds: Thresholds, than: str
) -> MetricComparison:
    """A target that crashes instead of responding looks like one that closes what is idle."""
    now, before = run.repeated, other.repeated
    value, rate, bound = run.share(now), other.share(before), thresholds.statuses
    p_value = by_chance(run, other, now, before)
    severity = severity_of(value - rate, bound, p_value)
    reason = (
        f"{value:.2f} % of the requests ({now} of {run.completed}) were sent again, because the "
        f"target had closed the connection without a response, {than} {rate:.2f} %, "
        f"limit {threshold_text(bound, severity, '{:+g} points')}"
    )
    return MetricComparison(
        "repeated",
        severity,
        reason,
        "%",
        value,
        rate,
        value - rate,
        p_value=p_value,
        bound=bound,
        than=than,
    )


def redirects(run: RunFacts) -> str | None:
    """What nearly all responses were, if they were redirects: the page itself was not tested."""
    found = {status: count for status, count in run.statuses.items() if status.startswith("3")}
    share = run.share(sum(found.values()))
    if share < _NEARLY_ALL:
        return None
    listed = ", ".join(f"{status} × {count}" for status, count in sorted(found.items()))
    return (
        f"{share:.1f} % of the responses were redirects ({listed}), which are not followed: "
        "give the final address as the target, or expectStatus if that is intended"
    )


_NEARLY_ALL = 90.0


def error_rates(
    run: RunFacts, other: RunFacts, thresholds: Thresholds, than: str
) -> Iterator[MetricComparison]:
    yield _error_rate("errors", run, other, run.errors, other.errors, thresholds, than)
    for name in ERROR_CLASSES:
        now, before = run.error_classes.get(name, 0), other.error_classes.get(name, 0)
        if now or before:
            yield _error_rate(f"errors_{name}", run, other, now, before, thresholds, than)


def _error_rate(
    metric: str,
    run: RunFacts,
    other: RunFacts,
    now: int,
    before: int,
    thresholds: Thresholds,
    than: str,
) -> MetricComparison:
    value, rate = run.share(now), other.share(before)
    rise, bound = value - rate, thresholds.errors
    clustered = _clustering(metric, run, other, rise)
    p_value = by_chance(run, other, now, before, clustered)
    severity = _error_severity(run, other, now, before, thresholds, clustered)
    what = "errors" if metric == "errors" else f"errors of class {metric.removeprefix('errors_')}"
    reason = (
        f"{what} {value:.2f} % ({now} of {run.completed}), {than} {rate:.2f} %, "
        f"{rise:+.2f} points, limit {threshold_text(bound, severity, '{:+g} points')}"
    )
    if severity < _error_severity(run, other, now, before, thresholds):
        reason += f"; {burst(metric, run) or 'they came in bursts'}"
    without = now - _timeouts(metric, run)
    if severity is Severity.FAIL and run.generator_saturated and without < now:
        severity = max(
            Severity.WARN, _error_severity(run, other, without, before, thresholds, clustered)
        )
        reason += BY_THE_GENERATOR if severity is Severity.WARN else ""
    counts = now, run.completed, before, other.completed
    low, high = _rate_interval(*(count / clustered for count in counts))
    return MetricComparison(
        metric, severity, reason, "%", value, rate, rise, low, high, p_value, None, bound, than
    )


def _clustering(metric: str, run: RunFacts, other: RunFacts, rise: float) -> float:
    """By how much incidents explain the errors: not at all if many requests failed.

    Errors that become more frequent with the load are no incident either, nor is a target that does
    not recover until the end.
    """
    if rise > _LARGE or errors_follow_load(metric, run) or is_down_at_the_end(metric, run):
        return 1.0
    return dispersion(metric, run, other)


def _is_usual(now: int, before: int) -> bool:
    """Whether the other run had enough of it to say that it comes in incidents there, too."""
    return 4 * before >= now


_LARGE = 10.0  # points: that is an outage, even if it was only one


def _error_severity(
    run: RunFacts,
    other: RunFacts,
    now: int,
    before: int,
    thresholds: Thresholds,
    clustered: float = 1.0,
) -> Severity:
    """Judge the rise of an error rate; an incident makes a failure a warning, never a pass.

    A warning passes only if the other run had such incidents as well.
    """
    rate = other.share(before)
    if now - rate * run.completed / 100 < thresholds.fewest_more_errors:
        return Severity.PASS
    rise, bound = run.share(now) - rate, thresholds.errors
    usual = severity_of(rise, bound, by_chance(run, other, now, before))
    softened = severity_of(rise, bound, by_chance(run, other, now, before, clustered))
    may_pass = usual is Severity.WARN and _is_usual(now, before)
    return softened if may_pass else max(softened, min(usual, Severity.WARN))


def _timeouts(metric: str, run: RunFacts) -> int:
    """The errors that a machine which is too slow to generate the load can make by itself."""
    return run.error_classes.get("timeout", 0) if metric in ("errors", "errors_timeout") else 0


def _rate_interval(
    now: float, requests: float, before: float, others: float
) -> tuple[float, float]:
    """95 % interval of the difference of two shares in points (Agresti and Caffo, 2000)."""
    a, b = (now + 1) / (requests + 2), (before + 1) / (others + 2)
    width = 1.96 * math.sqrt(a * (1 - a) / (requests + 2) + b * (1 - b) / (others + 2))
    return 100 * (a - b - width), 100 * (a - b + width)


def is_unreliable(run: RunFacts, thresholds: Thresholds) -> bool:
    """Whether a run is a doubtful baseline: alone it may neither pass nor fail another."""
    return run.generator_saturated or _is_flawed(run, thresholds)


def _is_flawed(run: RunFacts, thresholds: Thresholds) -> bool:
    return (
        run.error_rate > thresholds.all_errors.warn
        or run.shortfall > thresholds.shortfall.warn
        or bool(run.notes)
    )


def baseline_is_usable(other: RunFacts, thresholds: Thresholds, than: str) -> MetricComparison:
    """Whether the other run is usable as a baseline: failures are fast, or slow, for other reasons.

    If half of its requests failed, nothing was measured; if fewer, but too many, it is doubtful. A
    saturated generator is reported by `generator`.
    """
    severity = Severity.WARN if _is_flawed(other, thresholds) else Severity.PASS
    reason = f"the {than} had {other.error_rate:.2f} % errors ({other.errors} of {other.completed})"
    if other.shortfall:
        reason += f", and {other.shortfall:.2f} % of its requests were not sent"
    if other.notes:
        reason += f", and {'; '.join(other.notes)}"
    if not other.can_be_baseline:
        severity, reason = Severity.FAIL, f"{reason}: nothing can be measured by it"
    elif severity:
        reason += ": a doubtful measure"
    return MetricComparison(
        "yardstick", severity, reason, "%", other.error_rate, bound=thresholds.all_errors, than=than
    )


def throughput(run: RunFacts, other: RunFacts, bound: Threshold, than: str) -> MetricComparison:
    values = run.throughput, other.throughput
    return _fall("throughput", "throughput", "{:.1f}/s", values, bound, than)


def _fall(
    metric: str, what: str, shape: str, values: tuple[float, float], bound: Threshold, than: str
) -> MetricComparison:
    """Judge a fall in percent to the first of the values from the second; `shape` has the unit."""
    value, before = values
    fall = 100 * (before - value) / before if before else 0.0
    severity = severity_of(fall, bound)
    reason = (
        f"{what} {shape.format(value)}, {than} {shape.format(before)}, {-fall:+.1f} %, "
        f"limit {threshold_text(bound, severity, '-{:g} %')}"
    )
    unit = shape.partition("}")[2].strip()
    return MetricComparison(
        metric, severity, reason, unit, value, before, -fall, bound=bound, than=than
    )


def all_errors(run: RunFacts, bound: Threshold) -> MetricComparison:
    """Judge the errors on their own: a target that fails cannot pass, even the first time."""
    severity = severity_of(run.error_rate, bound)
    if run.errors and 2 * run.errors >= run.completed:
        severity = Severity.FAIL
    reason = (
        f"errors {run.error_rate:.2f} % ({run.errors} of {run.completed} requests), "
        f"limit {threshold_text(bound, severity, '{:g} %')}, whatever the baseline"
    )
    return MetricComparison("all_errors", severity, reason, "%", run.error_rate, bound=bound)


def _shortfall(run: RunFacts, bound: Threshold) -> MetricComparison:
    severity = severity_of(run.shortfall, bound)
    reason = (
        f"{run.planned - run.sent} of {run.planned} planned requests were not sent, "
        f"{run.shortfall:.2f} %, limit {threshold_text(bound, severity, '{:g} %')}"
    )
    return MetricComparison("shortfall", severity, reason, "%", run.shortfall, bound=bound)


def _requests(run: RunFacts, fewest: int) -> MetricComparison:
    severity = Severity.WARN if run.completed < fewest else Severity.PASS
    reason = f"{run.completed} requests completed"
    if severity:
        reason += f"; fewer than {fewest} say little"
    return MetricComparison("requests", severity, reason, "requests", float(run.completed))


def _workers(run: RunFacts) -> MetricComparison:
    """A run that lost a worker has lost what it measured last."""
    if run.notes:
        return MetricComparison("workers", Severity.WARN, "; ".join(run.notes))
    return MetricComparison("workers", Severity.PASS, "no worker was lost")


def generator(run: RunFacts, other: RunFacts | None, than: str | None) -> MetricComparison:
    """Whether the load generator's machine was the limit; then nothing can pass."""
    if run.generator_saturated:
        reason = "the load generator's machine, not the target, was the limit of this run"
        return MetricComparison("generator", Severity.WARN, reason, value=1.0, than=than)
    if other is not None and other.generator_saturated:
        reason = f"the load generator's machine was the limit of the {than} run"
        return MetricComparison("generator", Severity.WARN, reason, value=0.0, than=than)
    return MetricComparison(
        "generator", Severity.PASS, "the load generator kept up", value=0.0, than=than
    )


def cpu_pressure(run: RunFacts, other: RunFacts, than: str) -> Iterator[MetricComparison]:
    """An explanation, if the machine was much busier than for the other run.

    It excuses nothing: on a machine that the target shares, a slower version makes it itself.
    """
    now, before = run.cpu_pressure, other.cpu_pressure
    if now is None or before is None or now < before + _BUSIER:
        return
    value, rate = 100 * now, 100 * before
    reason = (
        f"the load generator's machine waited for a CPU {value:.0f} % of the time, the {than} "
        f"{rate:.0f} %: response times may be those of a busier machine"
    )
    yield MetricComparison(
        CPU_PRESSURE, Severity.PASS, reason, "%", value, rate, value - rate, than=than
    )


CPU_PRESSURE = "cpu_pressure"
_BUSIER = 0.1  # a share of the time


def unreached(run: RunFacts, others: Sequence[RunFacts], than: str) -> Iterator[MetricComparison]:
    """A warning when an instance was hardly tested that was tested in the other runs.

    An address that never answers, such as ::1 of a server on 127.0.0.1, does not count.
    """
    known = [len(other.neglected) for other in others if other.addresses]
    usual = min(known, default=len(run.addresses))
    if len(run.neglected) <= usual:
        return
    total = sum(run.addresses.values())
    got = ", ".join(f"{name} with {run.addresses[name]}" for name in run.neglected)
    reason = f"hardly tested: {got} of {total} requests (such addresses in the {than}: {usual})"
    yield MetricComparison(
        "addresses", Severity.WARN, reason, value=len(run.neglected), baseline=usual, than=than
    )


def at_most_warn(comparison: MetricComparison, why: str) -> MetricComparison:
    if comparison.severity is not Severity.FAIL:
        return comparison
    return replace(comparison, severity=Severity.WARN, reason=comparison.reason + why)


def severity_of(value: float, bound: Threshold, p_value: float = 0.0) -> Severity:
    """Judge a change for the worse; `p_value` is how often chance alone would make it."""
    if value > bound.fail and p_value < SURE:
        return Severity.FAIL
    return Severity.WARN if value > bound.warn and p_value < LIKELY else Severity.PASS


def threshold_text(bound: Threshold, severity: Severity, form: str) -> str:
    """The limit that was passed, or the one that would have failed the run."""
    limit = bound.warn if severity is Severity.WARN else bound.fail
    return "none" if limit == NEVER else form.format(limit)


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None
