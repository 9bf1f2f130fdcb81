"""Limits that hold whatever the baseline, and those of stretches of the load curve."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tm_cli.server.judge.facts import RunFacts
from tm_cli.server.judge.findings import (
    BY_THE_GENERATOR,
    MetricComparison,
    Severity,
    at_most_warn,
    error_rates,
    severity_of,
    threshold_text,
)
from tm_cli.server.judge.latency import cannot_tell, compare_response_times, requests_needed
from tm_cli.server.judge.thresholds import StretchThreshold, Threshold, Thresholds

LIMIT = "limit"


def within_limits(run: RunFacts, thresholds: Thresholds) -> Iterator[MetricComparison]:
    """Compare what was measured with the limits that need no other run."""
    for name, limit in thresholds.limits.items():
        yield _response_time(name, name, run, limit)
    for key, item in thresholds.stretches.items():
        part = _stretch(run, item)
        if item.metric == "allErrors":
            yield _all_errors(key, part, item.bound)
        if item.limit.is_set:
            yield _response_time(key, item.metric, part, item.limit)


def compare_stretches(
    run: RunFacts, other: RunFacts, thresholds: Thresholds, *, than: str, is_paired: bool
) -> Iterator[MetricComparison]:
    """Compare stretches of the curve with the same ones of the other run, or of the other side.

    Only what was asked for is compared, so what cannot be judged is a warning.
    """
    for key, item in thresholds.stretches.items():
        if item.metric == "allErrors" or not item.bound.is_set:
            continue
        parts = _stretch(run, item), _stretch(other, item)
        if item.metric == "errors":
            found = next(error_rates(*parts, replace(thresholds, errors=item.bound), than))
        else:
            bounds = replace(thresholds, quantiles={item.metric: item.bound})
            found = next(
                compare_response_times(
                    *parts, bounds, than=than, is_paired=is_paired, is_named=True
                )
            )
        reason = found.reason.replace(item.metric, key, 1)
        if not min(part.completed for part in parts) or cannot_tell(found):
            found = replace(found, severity=max(found.severity, Severity.WARN), is_judged=True)
        yield replace(found, metric=key, reason=reason)


def _stretch(run: RunFacts, item: StretchThreshold) -> RunFacts:
    """What is known of a stretch; nothing is, where it was not asked for."""
    return run.stretches.get(item.stretch) or replace(
        run,
        planned=0,
        sent=0,
        completed=0,
        errors=0,
        error_classes={},
        quantiles_ms={},
        blocks=(),
        block_counts=(),
    )


def _response_time(key: str, quantile: str, run: RunFacts, limit: Threshold) -> MetricComparison:
    """What was measured is compared as it is: a limit is crossed, or it is not.

    With too few requests nothing is known for sure, so nothing passes.
    """
    value = run.quantiles_ms.get(quantile) or 0.0
    severity = severity_of(value, limit)
    ceiling = threshold_text(limit, severity, "{:g} ms")
    reason = f"{key} {value:.5g} ms, limit {ceiling}, whatever the baseline"
    enough = requests_needed(quantile)
    if not value:
        severity = Severity.WARN
        reason = f"{key} is not known, so its limit of {ceiling} cannot be judged"
    elif severity is not Severity.FAIL and run.completed < enough:
        severity = Severity.WARN
        reason = (
            f"{key} {value:.5g} ms cannot be judged by its limit of {ceiling}: that takes "
            f"{enough:,} requests, there were {run.completed:,}"
        )
    found = MetricComparison(key, severity, reason, "ms", value or None, bound=limit, than=LIMIT)
    return at_most_warn(found, BY_THE_GENERATOR) if run.generator_saturated else found


def _all_errors(key: str, run: RunFacts, bound: Threshold) -> MetricComparison:
    severity = severity_of(run.error_rate, bound) if run.completed else Severity.WARN
    reason = (
        f"{key} {run.error_rate:.2f} % ({run.errors} of {run.completed} requests), "
        f"limit {threshold_text(bound, severity, '{:g} %')}, whatever the baseline"
    )
    return MetricComparison(key, severity, reason, "%", run.error_rate, bound=bound, than=LIMIT)
