"""From the comparisons to the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from tm_cli.server.judge.baseline import Choice
from tm_cli.server.judge.facts import RunFacts
from tm_cli.server.judge.findings import (
    BASELINE,
    BY_THE_GENERATOR,
    REFERENCE,
    Finding,
    Severity,
    alone,
    at_most_warn,
    error_rates,
    generator,
    is_unreliable,
    throughput,
    unreached,
    yardstick,
)
from tm_cli.server.judge.latency import quantile_findings
from tm_cli.server.judge.levels import METRICS
from tm_cli.server.judge.thresholds import Limits

Verdict = Literal["PASS", "WARN", "FAIL", "NO_BASELINE"]

_BY_SEVERITY: dict[Severity, Verdict] = {
    Severity.PASS: "PASS",
    Severity.WARN: "WARN",
    Severity.FAIL: "FAIL",
}
_EXAMPLE = "p95"
OTHER_TARGET = "other target"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, why, every comparison made (JSON-able), and the baseline's history id."""

    verdict: Verdict
    reasons: tuple[str, ...]
    snapshot: dict[str, Any]
    baseline_id: int | None


def judge(run: RunFacts, choice: Choice, limits: Limits | None = None) -> Judgement:
    """Compare a finished run with its baseline; the worst finding is the verdict.

    Without a baseline there is nothing to compare with, and the verdict says only that, unless too
    many requests failed or none was completed.
    """
    limits = limits or Limits()
    baseline = choice.baseline
    if baseline is None:
        return _alone(run, limits, choice)
    found = compare(
        run, baseline, limits, than=BASELINE, passed=choice.passed, is_named=choice.is_named
    )
    found += _against_references(run, choice, limits)
    found += alone(run, limits)
    found.append(generator(run, baseline, BASELINE))
    if is_unreliable(baseline, limits):
        found = [_with_way_out(finding, run, choice, limits) for finding in found]
    snapshot = _snapshot("runs", choice, limits, found)
    return _judged(found, snapshot, baseline.history_id)


def judge_duet(now: RunFacts, before: RunFacts, limits: Limits | None = None) -> Judgement:
    """Compare the two sides of a duet: the new version with the old one, in the same run."""
    limits = limits or Limits()
    found = compare(now, before, limits, than=OTHER_TARGET, is_paired=True)
    found += alone(now, limits)
    found.append(generator(now, None, None))
    return _judged(found, _snapshot("duet", Choice(None), limits, found), None)


def compare(
    run: RunFacts,
    other: RunFacts,
    limits: Limits,
    *,
    than: str,
    passed: Sequence[RunFacts] = (),
    is_paired: bool = False,
    is_named: bool = False,
) -> list[Finding]:
    """Every comparison of two runs, good ones included; none with a run that mostly failed.

    `is_named`: the user has chosen the other run.
    """
    found = [yardstick(other, limits, than)]
    if not other.is_measure:
        return found
    times = [
        *quantile_findings(
            run, other, limits, than=than, passed=passed, is_paired=is_paired, is_named=is_named
        )
    ]
    times = _no_failures_of_the_generator(times, run, other)
    if not is_named and not is_paired:
        times = _no_failures_by_a_doubtful_run(times, other, limits, than)
    found += [*times, *error_rates(run, other, limits, than)]
    rate = throughput(run, other, limits.throughput, than)
    found.append(at_most_warn(rate, BY_THE_GENERATOR) if run.generator_saturated else rate)
    found += unreached(run, [other] if is_named else [other, *passed], than)
    if not any(finding.is_judged for finding in times):
        found.append(_nothing_timed(run))
    return found


def _nothing_timed(run: RunFacts) -> Finding:
    """Too few requests to judge any response time are too few to pass."""
    reason = f"{run.completed} requests are too few to judge any response time"
    return Finding("times", Severity.WARN, reason)


def _no_failures_of_the_generator(
    found: list[Finding], run: RunFacts, other: RunFacts
) -> list[Finding]:
    """What a saturated generator has measured may be its own doing and not the target's."""
    if not run.generator_saturated and not other.generator_saturated:
        return found
    return [at_most_warn(finding, BY_THE_GENERATOR) for finding in found]


def _no_failures_by_a_doubtful_run(
    found: list[Finding], other: RunFacts, limits: Limits, than: str
) -> list[Finding]:
    """Runs that are compared for want of a better one only give a warning."""
    if not is_unreliable(other, limits):
        return found
    return [at_most_warn(finding, f"; no failure: the {than} is doubtful") for finding in found]


def _references(choice: Choice) -> dict[str, RunFacts]:
    """The older run that each metric is compared with as well."""
    found = {metric: choice.improved.get(metric, choice.reference) for metric in METRICS}
    newest = choice.baseline.history_id if choice.baseline else None
    return {
        metric: reference
        for metric, reference in found.items()
        if reference and reference.history_id != newest
    }


def _against_references(run: RunFacts, choice: Choice, limits: Limits) -> list[Finding]:
    """Many small steps, each of which passed, add up: the first run that passed sees them."""
    by_metric = _references(choice)
    found = []
    for reference in {other.history_id: other for other in by_metric.values()}.values():
        metrics = [
            name for name, other in by_metric.items() if other.history_id == reference.history_id
        ]
        bounds = {name: bound for name, bound in limits.quantiles.items() if name in metrics}
        times = quantile_findings(
            run, reference, replace(limits, quantiles=bounds), than=REFERENCE, passed=choice.passed
        )
        judged = _no_failures_of_the_generator([*times], run, reference)
        found += _no_failures_by_a_doubtful_run(judged, reference, limits, REFERENCE)
        rates = error_rates(run, reference, limits, REFERENCE)
        found += [finding for finding in rates if finding.metric in metrics]
    return [
        replace(finding, reason=f"{finding.reason} ({_which(choice, by_metric, finding.metric)})")
        for finding in found
    ]


def _which(choice: Choice, references: Mapping[str, RunFacts], metric: str) -> str:
    since = f" since {metric} improved" if metric in choice.improved else ""
    return f"run {references[metric].history_id}, the first that passed{since}"


def _with_way_out(finding: Finding, run: RunFacts, choice: Choice, limits: Limits) -> Finding:
    """A doubtful baseline can be replaced; the finding that complains of it says how."""
    if not finding.severity or finding.than != BASELINE:
        return finding
    if finding.metric != "yardstick" and (finding.metric != "generator" or finding.value):
        return finding
    pin = "ID" if is_unreliable(run, limits) else run.history_id
    again = "" if choice.is_named else "run it again, or "
    hint = f"; {again}choose another baseline: tm baseline pin {pin}"
    return replace(finding, reason=finding.reason + hint)


def _alone(run: RunFacts, limits: Limits, choice: Choice) -> Judgement:
    found = list(alone(run, limits))
    found.append(generator(run, None, None))
    snapshot = _snapshot("runs", choice, limits, found)
    if run.completed == 0:
        return Judgement("FAIL", ("no request was completed",), snapshot, None)
    errors = next(finding for finding in found if finding.metric == "all_errors")
    if errors.severity:
        return Judgement(_BY_SEVERITY[errors.severity], (errors.reason,), snapshot, None)
    return Judgement("NO_BASELINE", (choice.reason,), snapshot, None)


def _judged(found: list[Finding], snapshot: dict[str, Any], baseline_id: int | None) -> Judgement:
    worst = max(finding.severity for finding in found)
    return Judgement(_BY_SEVERITY[worst], _reasons(found, worst), snapshot, baseline_id)


def _snapshot(
    method: str,
    choice: Choice,
    limits: Limits,
    found: Sequence[Finding],
) -> dict[str, Any]:
    baseline = choice.baseline
    references = [other.history_id for other in _references(choice).values()]
    return {
        "version": 2,
        "method": method,
        "baseline": baseline.history_id if baseline else None,
        "baselineChoice": choice.how.value if choice.how else None,
        "baselineAgeSeconds": baseline.age if baseline else None,
        "reference": min(references, default=None),
        "limits": limits.document(),
        "comparisons": [finding.document() for finding in found],
    }


def _reasons(found: list[Finding], worst: Severity) -> tuple[str, ...]:
    """What is wrong, worst first; of a pass, one comparison as an example."""
    if worst is Severity.PASS:
        shown = [finding for finding in found if finding.metric == _EXAMPLE] or found[:1]
        return tuple(finding.reason for finding in shown)
    wrong = [finding for finding in found if finding.severity]
    # a saturated generator puts all other warnings in doubt
    wrong.sort(key=lambda finding: (-finding.severity, finding.metric != "generator"))
    return tuple(finding.reason for finding in wrong)
