"""From the comparisons to the verdict."""

from dataclasses import dataclass
from typing import Any, Literal

from tm_cli.server.judge.facts import RunFacts
from tm_cli.server.judge.findings import Finding, Severity, findings
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


def judge(run: RunFacts, baseline: RunFacts | None, limits: Limits | None = None) -> Judgement:
    """Compare a finished run with its baseline; the worst finding is the verdict.

    Without a baseline there is nothing to compare with, and the verdict says only that; but a run
    that mostly failed needs no comparison.
    """
    if baseline is None and not run.is_measure:
        reason = f"{run.errors} of {run.completed} requests failed, and no run to compare with"
        return Judgement("FAIL", (reason,), {}, None)
    if baseline is None:
        return Judgement("NO_BASELINE", ("no earlier run to compare with",), {}, None)
    found = list(findings(run, baseline, limits or Limits()))
    worst = max(finding.severity for finding in found)
    snapshot = {
        "baseline": baseline.history_id,
        "comparisons": [
            finding.numbers | {"verdict": _BY_SEVERITY[finding.severity]} for finding in found
        ],
    }
    return Judgement(_BY_SEVERITY[worst], _reasons(found, worst), snapshot, baseline.history_id)


def _reasons(found: list[Finding], worst: Severity) -> tuple[str, ...]:
    """What is wrong, worst first; of a pass, one comparison as an example."""
    if worst is Severity.PASS:
        shown = [f for f in found if f.numbers["metric"] == _EXAMPLE] or found[:1]
        return tuple(finding.reason for finding in shown)
    wrong = [finding for finding in found if finding.severity]
    return tuple(f.reason for f in sorted(wrong, key=lambda f: f.severity, reverse=True))
