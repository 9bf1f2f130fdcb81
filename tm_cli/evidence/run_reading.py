"""One subject of a report as a record of the gate."""

from __future__ import annotations

from tm_cli.evidence.codes import read_code
from tm_cli.evidence.fields import Fields, NotEvidence
from tm_cli.evidence.measured import read_comparisons, read_course, read_metrics
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.checks import CheckResult, Condition
from tm_cli.gate.comparison import Basis
from tm_cli.gate.events import Attempt, Decided
from tm_cli.gate.evidence import Result, Run
from tm_cli.gate.policy import Decision, Gate
from tm_cli.gate.record import Record
from tm_cli.gate.replay import KeptCheck
from tm_cli.gate.verdict import GATED, Verdict, read_verdict
from tm_cli.text import clean


def read_record(run: Fields, gate: Gate) -> Record:
    """Return the record of one subject; raises NotEvidence."""
    subject = clean(run.text("subject"))
    status = run.text_or_none("status")
    result = _result(run)
    if run.flag("verdict_pending") is not (result is None or result.verdict is None):
        raise NotEvidence(f"{run.where}: verdict and verdict_pending contradict each other")
    end = Decided(
        _decision(run, gate),
        _run(run, subject, status) if run.flag("started") else None,
        result,
        tuple(_attempt(item, gate, subject) for item in run.objects("earlier_runs")),
        abandoned=run.flag("abandoned"),
        baseline=_baseline(run),
    )
    if end.abandoned and (end.decision.judged or end.decision.exit_code is ExitCode.OK):
        raise NotEvidence(f"{run.where}: it was given up and judged")
    return Record(run.text("system"), subject, run.name_or_none("subject_id"), status, end)


def _run(run: Fields, subject: str, status: str | None) -> Run:
    return Run(run.text_or_none("started_run_id"), subject, status or "", None)


def _decision(run: Fields, gate: Gate) -> Decision:
    said = run.object("decision")
    return Decision(
        read_code(said),
        said.clean("message") or "",
        hint=said.clean("hint"),
        code=said.text_or_none("code"),
        matched=run.flag_or_none("fail_on_match"),
        checks=tuple(_check(item, gate) for item in run.objects("checks")),
        verdict_gated=said.flag("verdict_gated"),
        judged=said.flag("judged"),
    )


def _check(item: Fields, gate: Gate) -> CheckResult:
    text, passed = clean(item.text("check")), item.flag_or_none("passed")
    reason = item.clean("reason") or ""
    condition: Condition | None = next((one for one in gate.checks if one.text == text), None)
    if condition is None:
        raise NotEvidence(f"{item.where}: the gate has no check {text}")
    if isinstance(condition, KeptCheck):
        condition = KeptCheck(text, passed, reason)
    return CheckResult(condition, passed, reason)


def _attempt(item: Fields, gate: Gate, subject: str) -> Attempt:
    decision = _decision(item, gate)
    if item.text("exit_name") != decision.exit_code.name:
        raise NotEvidence(f"{item.where}: exit_name and decision differ")
    run_id = item.text_or_none("started_run_id")
    run = Run(run_id, subject, "", None)
    return Attempt(decision, run, _result(item), _baseline(item))


def _result(run: Fields) -> Result | None:
    """What was recorded of the run; an earlier run has no basis and no series."""
    metrics, verdict = run.value("metrics"), run.text_or_none("verdict")
    if metrics is None:
        if verdict is not None:
            raise NotEvidence(f"{run.where}: it has a verdict, and no metrics")
        return None
    facts = dict(run.object("facts").values)
    if facts.get("id") != run.name_or_none("run_id"):
        raise NotEvidence(f"{run.where}: run_id and facts contradict each other")
    final = run.flag("final")
    if final and verdict is not None:
        raise NotEvidence(f"{run.where}: it was cut off, and has a verdict")
    basis = _basis(run) if "baseline_choice" in run.values else Basis()
    return Result(
        run_id=run.text_or_none("started_run_id"),
        verdict=read_verdict(verdict),
        verdict_text=verdict,
        reasons=run.texts("verdict_reasons"),
        metrics=read_metrics(run.object("metrics")),
        facts=facts,
        final=final,
        note=run.clean("note"),
        basis=basis,
        comparisons=read_comparisons(run) if "comparisons" in run.values else (),
        notes=run.texts("notes") if "notes" in run.values else (),
        course=read_course(run, "course") if "course" in run.values else (),
        also=_also(run),
    )


def _also(run: Fields) -> frozenset[Verdict]:
    words = run.texts("also")
    if not set(words) <= set(GATED):
        raise NotEvidence(f"{run.where}: one of the verdicts in `also` is none")
    return frozenset(map(Verdict, words))


def _basis(run: Fields) -> Basis:
    against = run.object_or_none("against")
    target = None
    if against is not None:
        target = clean(against.values.get("targetUrl") or "") or "another target"
    return Basis(
        baseline=run.name_or_none("baseline_run_id"),
        choice=run.clean("baseline_choice"),
        age=run.number_or_none("baseline_age_seconds"),
        reference=None
        if run.value("reference_run_id") is None
        else run.integer("reference_run_id"),
        against=target,
    )


def _baseline(run: Fields) -> Result | None:
    baseline = run.object_or_none("baseline")
    if baseline is None:
        return None
    course = read_course(run, "baseline_course") if "baseline_course" in run.values else ()
    return Result(
        None,
        None,
        None,
        metrics=read_metrics(baseline.object("metrics")),
        facts=dict(baseline.object("facts").values),
        course=course,
    )
