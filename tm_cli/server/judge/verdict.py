"""From the comparisons to the verdict."""

from dataclasses import dataclass
from typing import Any, Literal

from tm_cli.server.judge.facts import RunFacts
from tm_cli.server.judge.findings import Finding, Severity, all_errors, findings
from tm_cli.server.judge.limits import Limits

Verdict = Literal["PASS", "WARN", "FAIL", "NO_BASELINE"]

_BY_SEVERITY: dict[Severity, Verdict] = {
    Severity.PASS: "PASS",
    Severity.WARN: "WARN",
    Severity.FAIL: "FAIL",
}
_EXAMPLE = "p95"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, why, every comparison made (JSON-able), and the baseline's history id."""

    verdict: Verdict
    reasons: tuple[str, ...]
    snapshot: dict[str, Any]
    baseline_id: int | None


def judge(
    run: RunFacts, baseline: RunFacts | None, limits: Limits | None = None, *, others: int = 0
) -> Judgement:
    """Compare a finished run with its baseline; the worst finding is the verdict.

    Without a baseline there is nothing to compare with, and the verdict says only that, unless too
    many requests failed or none was completed. `others` counts the runs before it.
    """
    limits = limits or Limits()
    if baseline is None:
        return _alone(run, limits, others)
    found = list(findings(run, baseline, limits))
    worst = max(finding.severity for finding in found)
    return Judgement(
        _BY_SEVERITY[worst],
        _reasons(found, worst),
        {"baseline": baseline.history_id, "comparisons": _numbers(found)},
        baseline.history_id,
    )


def _alone(run: RunFacts, limits: Limits, others: int) -> Judgement:
    if run.completed == 0:
        return Judgement("FAIL", ("no request was completed",), {}, None)
    errors = all_errors(run, limits.errors)
    if errors.severity:
        snapshot = {"baseline": None, "comparisons": _numbers([errors])}
        return Judgement(_BY_SEVERITY[errors.severity], (errors.reason,), snapshot, None)
    reason = "no earlier run to compare with"
    if others:
        reason += (
            f": of the {others} before it none had the same target, method, curve, duration and "
            "region, and mostly succeeded"
        )
    return Judgement("NO_BASELINE", (reason,), {}, None)


def _numbers(found: list[Finding]) -> list[dict[str, Any]]:
    return [finding.numbers | {"verdict": _BY_SEVERITY[finding.severity]} for finding in found]


def _reasons(found: list[Finding], worst: Severity) -> tuple[str, ...]:
    """What is wrong, worst first; of a pass, one comparison as an example."""
    if worst is Severity.PASS:
        shown = [f for f in found if f.numbers["metric"] == _EXAMPLE] or found[:1]
        return tuple(finding.reason for finding in shown)
    wrong = [finding for finding in found if finding.severity]
    return tuple(f.reason for f in sorted(wrong, key=lambda f: f.severity, reverse=True))
