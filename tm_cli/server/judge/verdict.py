"""From the comparisons to the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from tm_cli.server.judge.baseline import Choice
from tm_cli.server.judge.facts import RunFacts
from tm_cli.server.judge.findings import (
    BASELINE,
    REFERENCE,
    Finding,
    Severity,
    alone,
    error_rates,
    generator,
    throughput,
    yardstick,
)
from tm_cli.server.judge.limits import Limits
from tm_cli.server.judge.quantiles import quantile_findings

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
    found = compare(run, baseline, limits, than=BASELINE, passed=choice.passed)
    if choice.reference is not None:
        found += _against_reference(run, choice.reference, limits, choice.passed)
    found += alone(run, limits)
    found.append(generator(run, baseline, BASELINE))
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
) -> list[Finding]:
    """Every comparison of two runs, good ones included; none with a run that mostly failed."""
    found = [yardstick(other, limits, than)]
    if not other.is_measure:
        return found
    times = list(
        quantile_findings(run, other, limits, than=than, passed=passed, is_paired=is_paired)
    )
    found += [*times, *error_rates(run, other, limits, than)]
    found.append(throughput(run, other, limits.throughput, than))
    if not any(finding.is_judged for finding in times):
        found.append(_nothing_timed(run))
    return found


def _nothing_timed(run: RunFacts) -> Finding:
    """Too few requests to judge any response time are too few to pass."""
    reason = f"{run.completed} requests are too few to judge any response time"
    return Finding("times", Severity.WARN, reason)


def _against_reference(
    run: RunFacts, reference: RunFacts, limits: Limits, passed: Sequence[RunFacts]
) -> list[Finding]:
    """Many small steps, each of which passed, add up: the first run that passed sees them."""
    found = list(quantile_findings(run, reference, limits, than=REFERENCE, passed=passed))
    found += error_rates(run, reference, limits, REFERENCE)
    which = f" (run {reference.history_id}, the first that passed)"
    return [replace(finding, reason=finding.reason + which) for finding in found]


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
    method: str, choice: Choice, limits: Limits, found: Sequence[Finding]
) -> dict[str, Any]:
    baseline, reference = choice.baseline, choice.reference
    return {
        "version": 2,
        "method": method,
        "baseline": baseline.history_id if baseline else None,
        "baselineChoice": choice.how.value if choice.how else None,
        "baselineAgeSeconds": baseline.age if baseline else None,
        "reference": reference.history_id if reference else None,
        "limits": limits.document(),
        "comparisons": [finding.document() for finding in found],
    }


def _reasons(found: list[Finding], worst: Severity) -> tuple[str, ...]:
    """What is wrong, worst first; of a pass, one comparison as an example."""
    if worst is Severity.PASS:
        shown = [finding for finding in found if finding.metric == _EXAMPLE] or found[:1]
        return tuple(finding.reason for finding in shown)
    wrong = [finding for finding in found if finding.severity]
    return tuple(f.reason for f in sorted(wrong, key=lambda f: f.severity, reverse=True))
