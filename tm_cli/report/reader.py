"""Reads a report's JSON document back: complete and free of contradictions, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import datetime
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from tm_cli.errors import TmError
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.checks import Condition, ConditionResult, KeptCheck
from tm_cli.gate.events import Decided, RunAttempt
from tm_cli.gate.live_limits import Breach
from tm_cli.gate.model import (
    Basis,
    Comparison,
    Result,
    Run,
    Sample,
    Step,
    TargetMetric,
    TimeSeries,
)
from tm_cli.gate.outcome import GateOutcome, Record, contradiction, exit_code_of
from tm_cli.gate.policy import Decision, Gate
from tm_cli.gate.target_metrics import parse_condition
from tm_cli.report import document as doc
from tm_cli.report.writer import COMPARISON_KEYS
from tm_cli.values.text import sanitize
from tm_cli.values.verdict import Verdict, read_verdict

_REPORT = TypeAdapter(doc.ReportDocument)


class InvalidReport(ValueError):
    """A document that lacks, contradicts or mistypes something that its decision is based on."""


def read_report(document: Any) -> GateOutcome:
    """Return what the writer wrote down; raises InvalidReport for anything else."""
    report = _validated(document)
    made_at, code = _moment(report["report"]), _exit_code(report, "the document")
    data, gate_data = report["data"], report["report"]["gate"]
    if data is None:
        return GateOutcome((), Gate(), code, made_at, _error(report, code))
    if gate_data is None:
        raise InvalidReport("report.gate: missing")
    gate = _gate(gate_data)
    records = tuple(_record(run, gate) for run in _runs(data))
    outcome = GateOutcome(records, gate, code, made_at)
    _refuse_contradictions(outcome)
    return outcome


def _validated(document: Any) -> doc.ReportDocument:
    if isinstance(document, Mapping) and "schema_version" in document and "report" not in document:
        raise InvalidReport("it has no `report`: `--report json=FILE` writes it, `--json` does not")
    try:
        return _REPORT.validate_python(document, strict=True)
    except ValidationError as problem:
        raise InvalidReport(_first_error(problem)) from None


_EXPECTED = {
    "missing": "missing",
    "string_type": "expected a text",
    "bool_type": "expected true or false",
    "int_type": "expected a whole number",
    "list_type": "expected a list",
    "dict_type": "expected an object",
    "greater_than_equal": "expected at least {ge}",
    "too_short": "expected at least {min_length} item",
    "value_error": "{error}",
}
"""Our words for pydantic's types of error; braces take the values of its context."""


def _first_error(problem: ValidationError) -> str:
    """Return the path of the first wrong field and what is wrong with it."""
    error = problem.errors(include_url=False, include_input=False)[0]
    template = _EXPECTED.get(error["type"])
    text = template.format_map(error.get("ctx", {})) if template else error["msg"]
    path = ""
    for position, step in enumerate(error["loc"]):
        if position == 1 and step in ("one", "several"):
            continue  # pydantic names the kind of data here
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else str(step)
    return f"{path or 'the document'}: {text}"


def _refuse_contradictions(outcome: GateOutcome) -> None:
    own = exit_code_of(outcome.records)
    is_lost = own is ExitCode.OK and outcome.exit_code is ExitCode.OUTPUT
    if outcome.exit_code is not own and not is_lost:
        raise InvalidReport(
            f"exit_code is {int(outcome.exit_code)}, that of its runs is {int(own)}"
        )
    if problem := contradiction(outcome):
        raise InvalidReport(problem)


def _runs(data: Any) -> list[doc.ReportedRun]:
    if "runs" not in data:
        return [data]
    runs: list[doc.ReportedRun] = data["runs"]
    for run in runs:
        if _exit_code(run, run["subject"]) is not _exit_code(run["decision"], run["subject"]):
            raise InvalidReport(f"{run['subject']}: exit_code and decision differ")
    return runs


def _exit_code(item: Any, where: str) -> ExitCode:
    """Return `exit_code`, which `exit_name` must name."""
    if missing := {"exit_code", "exit_name"} - set(item):
        raise InvalidReport(f"{where}: {min(missing)} is missing")
    code = ExitCode(item["exit_code"])
    if item["exit_name"] != code.name:
        raise InvalidReport(f"{where}: exit_name of exit_code {int(code)} must be {code.name}")
    return code


def _moment(report: doc.ReportInfo) -> datetime:
    try:
        made_at = datetime.fromisoformat(report["made_at"])
    except ValueError:
        raise InvalidReport("report.made_at: expected an ISO 8601 time") from None
    if made_at.tzinfo is None:
        raise InvalidReport("report.made_at: it has no offset")
    return made_at


def _gate(data: doc.GateData) -> Gate:
    return Gate(
        fail_on=frozenset(map(Verdict, data["fail_on"])),
        warn_on=frozenset(map(Verdict, data.get("warn_on", []))),
        checks=tuple(map(_condition, data["checks"])),
        confirm=data["confirm"],
        wait_timeout=data["wait_timeout_seconds"] or 0.0,
        verdict_timeout=data["verdict_timeout_seconds"] or 0.0,
    )


def _condition(text: str) -> Condition:
    """A check that can be measured again, else one whose outcome is kept."""
    try:
        return parse_condition(text)
    except ValueError:
        return KeptCheck(text)


def _error(report: doc.ReportDocument, code: ExitCode) -> TmError:
    data = report["error"]
    if data is None:
        raise InvalidReport("it has neither data nor an error")
    if code is ExitCode.OK:
        raise InvalidReport("it has an error, and exit_code 0")
    message = data["message"] or "no reason was given"
    error = TmError(message, hint=data["hint"], code=data["code"])
    error.exit_code = code
    error.own_request_id = data.get("request_id")
    return error


def _record(run: doc.ReportedRun, gate: Gate) -> Record:
    subject, status = run["subject"], run["status"]
    result = _whole_result(run)
    if run["verdict_pending"] is not (result is None or result.verdict is None):
        raise InvalidReport(f"{subject}: verdict and verdict_pending contradict each other")
    end = Decided(
        _decision(run, gate),
        Run(run["started_run_id"], subject, status or "", None) if run["started"] else None,
        result,
        tuple(_attempt(item, gate, subject) for item in run["earlier_runs"]),
        abandoned=run["abandoned"],
        baseline=_baseline(run["baseline"], run["baseline_course"]),
    )
    if end.abandoned and (end.decision.judged or end.decision.exit_code is ExitCode.OK):
        raise InvalidReport(f"{subject}: it was canceled, and judged")
    return Record(run["system"], subject, run["subject_id"], status, end)


def _attempt(run: doc.EarlierRun, gate: Gate, subject: str) -> RunAttempt:
    decision = _decision(run, gate)
    if run["exit_name"] != decision.exit_code.name:
        raise InvalidReport(f"{subject}: exit_name and decision of an earlier run differ")
    started = Run(run["started_run_id"], subject, "", None)
    return RunAttempt(decision, started, _result(run), _baseline(run["baseline"]))


def _decision(run: doc.ReportedRun | doc.EarlierRun, gate: Gate) -> Decision:
    data: doc.DecisionData = run["decision"]
    broken = cast("doc.BreachData | None", run.get("aborted"))
    if broken is not None and data["exit_code"] == ExitCode.OK:
        raise InvalidReport("decision: a live limit was broken, and exit_code is 0")
    return Decision(
        _exit_code(data, "decision"),
        data["message"],
        hint=data["hint"],
        code=data["code"],
        request_id=data.get("request_id"),
        matched=run["fail_on_match"],
        checks=tuple(_check(item, gate) for item in run["checks"]),
        verdict_gated=data["verdict_gated"],
        judged=data["judged"],
        breach=broken and _breach(broken),
    )


def _breach(data: doc.BreachData) -> Breach:
    return Breach(
        data["limit"],
        data["metric"],
        data["value"],
        data["at_seconds"],
        data["reason"],
        data["stopped"],
    )


def _check(data: doc.CheckData, gate: Gate) -> ConditionResult:
    text, passed, reason = data["check"], data["passed"], data["reason"]
    condition = next((check for check in gate.checks if check.text == text), None)
    if condition is None:
        raise InvalidReport(f"the gate has no check {text}")
    if isinstance(condition, KeptCheck):
        condition = KeptCheck(text, passed, reason)
    return ConditionResult(condition, passed, reason)


def _result(run: doc.ReportedRun | doc.EarlierRun) -> Result | None:
    """Return what was recorded of the run; None when there was no record."""
    verdict, metrics, facts = run["verdict"], run["metrics"], run["facts"]
    if metrics is None:
        if verdict is not None:
            raise InvalidReport("a run has a verdict, and no metrics")
        return None
    if facts is None or facts.get("id") != run["run_id"]:
        raise InvalidReport("run_id and facts contradict each other")
    if run["final"] and verdict is not None:
        raise InvalidReport("a run was cut off, and has a verdict")
    return Result(
        run_id=run["started_run_id"],
        verdict=read_verdict(verdict),
        verdict_text=verdict,
        reasons=tuple(run["verdict_reasons"]),
        metrics=dict(metrics),
        facts=facts,
        final=run["final"],
        note=run["note"],
        also=frozenset(map(Verdict, run["also"])),
        target_metrics={
            name: _target_metric(name, data)
            for name, data in (run.get("target_metrics") or {}).items()
        },
    )


def _target_metric(name: str, data: doc.TargetMetricData) -> TargetMetric:
    course = data.get("course") or {"t": [], "value": []}
    if course.keys() != {"t", "value"} or len(course["t"]) != len(course["value"]):
        raise InvalidReport(f"target_metrics.{name}.course: the lists differ in length")
    return TargetMetric(
        name,
        data["unit"],
        data["mean"],
        data["p95"],
        data["min"],
        data["max"],
        data["last"],
        data["seconds"],
        data["gap_seconds"],
        tuple(zip(course["t"], course["value"], strict=True)),
    )


def _whole_result(run: doc.ReportedRun) -> Result | None:
    """Add what an earlier run has not."""
    result = _result(run)
    return result and replace(
        result,
        basis=_basis(run),
        comparisons=tuple(map(_comparison, run["comparisons"])),
        steps=tuple(map(_step, run.get("steps", ()))),
        notes=tuple(run["notes"]),
        series=_series(run["course"]),
    )


def _basis(run: doc.ReportedRun) -> Basis:
    against = run["against"]
    return Basis(
        baseline=run["baseline_run_id"],
        choice=run["baseline_choice"],
        age=run["baseline_age_seconds"],
        reference=run["reference_run_id"],
        against=None
        if against is None
        else sanitize(against.get("targetUrl") or "") or "another target",
    )


def _comparison(data: doc.ComparisonData) -> Comparison:
    values = cast("Mapping[str, Any]", data)
    names = (field.name for field in fields(Comparison))
    return Comparison(**{name: values[COMPARISON_KEYS.get(name, name)] for name in names})


def _step(data: doc.StepData) -> Step:
    metrics: Any = data["metrics"]
    return Step(
        name=data["name"],
        metrics=dict(metrics),
        codes={sanitize(code): int(count) for code, count in data["responseCodes"].items()},
        verdict=data["verdict"],
        has_thresholds=data["hasThresholds"],
        comparisons=tuple(map(_comparison, data["comparisons"])),
    )


def _baseline(data: doc.BaselineData | None, series: doc.SeriesData | None = None) -> Result | None:
    if data is None:
        return None
    metrics = dict(data["metrics"])
    return Result(None, None, None, metrics=metrics, facts=data["facts"], series=_series(series))


def _series(data: doc.SeriesData | None) -> TimeSeries:
    """Return a run over time from lists of one length; empty for null."""
    if data is None:
        return ()
    values = cast("Mapping[str, list[float]]", data)
    columns = [values[f.name] for f in fields(Sample)]
    if len({len(column) for column in columns}) != 1:
        raise InvalidReport("the lists of a series differ in length")
    return tuple(Sample(*values) for values in zip(*columns, strict=True))
