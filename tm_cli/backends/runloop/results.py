"""Judged runs as results of the gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tm_cli.backends.runloop.judge import Baseline, BenchmarkJudgement, Case, hidden_by, judge
from tm_cli.backends.runloop.measurements import Measured
from tm_cli.gate.model import Basis, Comparison, Result
from tm_cli.values.verdict import Verdict

SEVERITY = (None, Verdict.FAIL, Verdict.NO_BASELINE, Verdict.WARN, Verdict.PASS)
"""The worst first; None, for what cannot be judged, is worse than a FAIL (section 8)."""


def run_result(case: Case, facts: dict[str, Any]) -> Result:
    return _result(case.run.run_id, judge(case), facts, _basis(case), _metrics(case))


def job_result(job_id: str, cases: Sequence[Case], facts: dict[str, Any]) -> Result:
    """Return the result of a job: the worst of its agents."""
    judged = [(case, judge(case)) for case in cases]
    worst = min(judged, key=lambda pair: SEVERITY.index(pair[1].verdict))
    ordered = sorted(judged, key=lambda pair: SEVERITY.index(pair[1].verdict))
    several = len(judged) > 1
    joined = BenchmarkJudgement(
        worst[1].verdict,
        tuple(reason for _, found in ordered for reason in found.reasons),
        tuple(
            _of_agent(item, case.run.name) if several else item
            for case, found in judged
            for item in found.comparisons
        ),
        tuple(
            f"{case.run.name}: {note}" if several else note
            for case, found in judged
            for note in found.notes
        ),
        hidden_by(
            worst[1].verdict,
            (verdict for _, found in judged for verdict in (found.verdict, *found.also)),
        ),
    )
    return _result(job_id, joined, facts, _basis(worst[0]), _metrics(worst[0]))


def failed_result(run_id: str, reason: str, facts: dict[str, Any]) -> Result:
    """Return the FAIL of a run that has nothing to be judged by."""
    return _result(run_id, BenchmarkJudgement(Verdict.FAIL, (reason,)), facts, Basis(), {})


def baseline_result(baseline: Baseline) -> Result | None:
    """Return the run that was compared with, for reports; None without one."""
    measured = baseline.measured
    if measured is None:
        return None
    return Result(
        measured.run_id,
        None,
        None,
        metrics=_numbers(measured),
        facts={"id": measured.run_id},
    )


def with_failure(result: Result, reason: str) -> Result:
    """Return the same result with FAIL, for a reason that outweighs any measurement."""
    return replace(
        result,
        verdict=Verdict.FAIL,
        verdict_text=Verdict.FAIL.value,
        reasons=(reason, *result.reasons),
        note=None,
        final=False,
    )


def _result(
    run_id: str,
    found: BenchmarkJudgement,
    facts: dict[str, Any],
    basis: Basis,
    metrics: dict[str, Any],
) -> Result:
    return Result(
        run_id,
        found.verdict,
        found.verdict.value if found.verdict else None,
        reasons=found.reasons,
        metrics=metrics,
        facts={**facts, "id": run_id},
        note=None if found.verdict else found.reasons[0],
        basis=basis,
        comparisons=found.comparisons,
        notes=found.notes,
        also=found.also,
    )


def _basis(case: Case) -> Basis:
    before = case.baseline.measured
    if before is None:
        return Basis()
    age = None
    if before.began_ms is not None and case.run.began_ms is not None:
        age = (case.run.began_ms - before.began_ms) / 1000
    return Basis(baseline=before.run_id, choice=case.baseline.choice, age=age)


def _metrics(case: Case) -> dict[str, Any]:
    return {**_numbers(case.run), "expected": case.expected.total}


def _numbers(run: Measured) -> dict[str, Any]:
    return {
        "score": run.usable_score,
        "scenarios": len(run.scenario_ids),
        "scenarioRuns": len(run.attempts),
        "failedScenarioRuns": len(run.failures),
    }


def _of_agent(item: Comparison, agent: str) -> Comparison:
    return replace(item, metric=f"{item.metric}, {agent}")
