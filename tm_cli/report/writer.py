"""Writes the outcome of a gate as a JSON document: that of `--json`, and the fuller report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, cast

from tm_cli import __version__
from tm_cli.errors import OutputError, TmError
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.events import RunAttempt
from tm_cli.gate.live_limits import Breach
from tm_cli.gate.model import (
    Basis,
    Comparison,
    Result,
    Sample,
    Step,
    TargetMetric,
    TimeSeries,
)
from tm_cli.gate.outcome import GateOutcome, Record
from tm_cli.gate.policy import Decision, Gate

if TYPE_CHECKING:  # the types import pydantic, which a gate without a report need not wait for
    from tm_cli.report import document as doc

_FACTS = (
    "id", "profileName", "startedAt", "finishedAt", "durationSeconds", "targetUrl", "region",
    "tags", "responseCodes", "autoCompareBaselineRunId", "against", "addresses",
    "warmupSeconds", "cpuPressure",
)  # fmt: skip
"""What a report keeps of a server's record; the rest may hold anything."""

_SERIES = frozenset({"rpsSeries", "latencySeries"})
"""Left out of the other target of an A/B run; `baseline_course` has them."""

COMPARISON_KEYS = {"ci_low": "ciLow", "ci_high": "ciHigh", "p_value": "pValue"}
"""Fields of a comparison whose keys have other names."""

_JUDGED = frozenset({"final", "note", "also", "facts", "baseline"})
_DETAILS = _JUDGED | {"started", "abandoned", "course", "baseline_course"}
_EARLIER_DETAILS = _JUDGED | {"target_metrics", "metrics", "fail_on_match", "decision"}
"""Keys that only the report has."""


def as_document(outcome: GateOutcome) -> dict[str, Any]:
    """Return the document of `--json`."""
    report: dict[str, Any] = {**report_document(outcome)}
    del report["report"]
    data = report["data"]
    if data and "runs" in data:
        report["data"] = {"runs": [_without_details(run) for run in data["runs"]]}
    elif data:
        report["data"] = _without_details(data)
    return report


def run_data(record: Record) -> dict[str, Any]:
    """Return the data of `--json` about one run."""
    return _without_details(_run(record))


def _without_details(run: doc.ReportedRun) -> dict[str, Any]:
    data = {key: value for key, value in run.items() if key not in _DETAILS}
    if metrics := run.get("target_metrics"):
        data["target_metrics"] = {
            name: {key: value for key, value in metric.items() if key != "course"}
            for name, metric in metrics.items()
        }
    data["earlier_runs"] = [
        {key: value for key, value in earlier.items() if key not in _EARLIER_DETAILS}
        for earlier in run["earlier_runs"]
    ]
    return data


def report_document(outcome: GateOutcome) -> doc.ReportDocument:
    """Return the document of a report file, from which the outcome can be read back."""
    code, records = outcome.exit_code, outcome.records
    runs = [_run(record, several=len(records) > 1) for record in records]
    return {
        "schema_version": 1,
        "exit_code": int(code),
        "exit_name": code.name,
        "data": None if not runs else runs[0] if len(runs) == 1 else {"runs": runs},
        "error": _error(outcome),
        "report": {
            "tm_version": __version__,
            "made_at": outcome.made_at.isoformat(),
            "gate": _gate(outcome.gate) if records else None,
        },
    }


def _error(outcome: GateOutcome) -> doc.ErrorData | None:
    """Return what decided the exit code, unless it was a verdict."""
    if not outcome.records:
        if outcome.error is None:
            raise ValueError("an outcome without runs has an error")
        return error_data(outcome.error)
    decisions = [record.end.decision for record in outcome.records]
    leading = [each for each in decisions if each.exit_code is outcome.exit_code]
    error = _decision_error(leading[0]) if leading else None
    if error is None and outcome.exit_code is ExitCode.OUTPUT:
        return error_data(OutputError("a report could not be written"))
    return error


def error_data(error: TmError) -> doc.ErrorData:
    return {
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "request_id": error.request_id,
    }


def _decision_error(decision: Decision) -> doc.ErrorData | None:
    if decision.exit_code is ExitCode.OK or decision.is_gated:
        return None
    return {
        "code": decision.code or decision.exit_code.name.lower(),
        "message": decision.message,
        "hint": decision.hint,
        "request_id": decision.request_id,
    }


def _gate(gate: Gate) -> doc.GateData:
    written: doc.GateData = {
        "fail_on": [verdict.value for verdict in sorted(gate.fail_on)],
        "checks": list(gate.requirements),
        "confirm": gate.confirm,
        "wait_timeout_seconds": gate.wait_timeout,
        "verdict_timeout_seconds": gate.verdict_timeout,
    }
    if gate.warn_on:
        written["warn_on"] = [verdict.value for verdict in sorted(gate.warn_on)]
    return written


def _run(record: Record, *, several: bool = False) -> doc.ReportedRun:
    """Return the fields of the official tool's result, and ours; unknown ones are None.

    As there, `run_id` is the history id of an ended run and `started_run_id` the id that the start
    returned.
    """
    ending = record.end
    result, decision, baseline = ending.result, ending.decision, ending.baseline
    facts = result.facts if result else {}
    basis = result.basis if result else Basis()
    own_exit: doc.OwnExit = _own_exit(decision) if several else {}
    return {
        "run_id": facts.get("id"),
        "started_run_id": ending.run.run_id if ending.run else None,
        "profile_id": record.subject_id,
        "status": record.status,
        "verdict": result.verdict_text if result else None,
        "verdict_reasons": list(result.reasons) if result else [],
        "fail_on_match": decision.matched,
        "metrics": _metrics(result),
        "verdict_pending": result is None or result.verdict is None,
        "waited": True,
        "baseline_run_id": basis.baseline,
        "baseline_choice": basis.choice,
        "baseline_age_seconds": basis.age,
        "reference_run_id": basis.reference,
        "against": _other_target(facts.get("against")),
        "comparisons": [comparison_data(item) for item in result.comparisons] if result else [],
        **_steps(result),
        "notes": list(result.notes) if result else [],
        "checks": _checks(decision),
        "earlier_runs": [_earlier(attempt) for attempt in ending.earlier],
        "system": record.system,
        "subject": record.subject,
        "subject_id": record.subject_id,
        "decision": _decision(decision),
        **_aborted(decision.breach),
        **own_exit,
        "started": ending.run is not None,
        "abandoned": ending.abandoned,
        **_judged(result, baseline),
        "course": _series(result.series if result else ()),
        "baseline_course": _series(baseline.series if baseline else ()),
    }


def _aborted(breach: Breach | None) -> doc.Aborted:
    """Return the key that only a run with a broken limit has."""
    if breach is None:
        return {}
    return {
        "aborted": {
            "limit": breach.limit,
            "metric": breach.metric,
            "value": breach.value,
            "at_seconds": breach.at,
            "reason": breach.reason,
            "stopped": breach.stopped,
        }
    }


def _own_exit(decision: Decision) -> doc.OwnExit:
    return {
        "exit_code": int(decision.exit_code),
        "exit_name": decision.exit_code.name,
        "error": _decision_error(decision),
    }


def _earlier(attempt: RunAttempt) -> doc.EarlierRun:
    result, decision = attempt.result, attempt.decision
    return {
        "run_id": result.facts.get("id") if result else None,
        "started_run_id": attempt.run.run_id if attempt.run else None,
        "verdict": result.verdict_text if result else None,
        "verdict_reasons": list(result.reasons) if result else [],
        "exit_name": decision.exit_code.name,
        "checks": _checks(decision),
        "metrics": _metrics(result),
        "fail_on_match": decision.matched,
        "decision": _decision(decision),
        **_judged(result, attempt.baseline),
    }


def _judged(result: Result | None, baseline: Result | None) -> doc.Judged:
    judged: doc.Judged = {
        "final": result is not None and result.final,
        "note": result.note if result else None,
        "also": [verdict.value for verdict in sorted(result.also)] if result else [],
        "facts": _facts(result.facts) if result else None,
        "baseline": _baseline(baseline),
    }
    if result and result.target_metrics:
        judged["target_metrics"] = {
            name: _target_metric(metric) for name, metric in result.target_metrics.items()
        }
    return judged


def _target_metric(metric: TargetMetric) -> doc.TargetMetricData:
    return {
        "unit": metric.unit,
        "mean": metric.mean,
        "p95": metric.p95,
        "min": metric.min,
        "max": metric.max,
        "last": metric.last,
        "seconds": metric.seconds,
        "gap_seconds": metric.gap,
        "course": {
            "t": [at for at, _ in metric.course],
            "value": [value for _, value in metric.course],
        },
    }


def _baseline(baseline: Result | None) -> doc.BaselineData | None:
    if baseline is None:
        return None
    return {"metrics": _metrics(baseline), "facts": _facts(baseline.facts)}


def _decision(decision: Decision) -> doc.DecisionData:
    return {
        "exit_code": int(decision.exit_code),
        "exit_name": decision.exit_code.name,
        "message": decision.message,
        "hint": decision.hint,
        "code": decision.code,
        "request_id": decision.request_id,
        "judged": decision.judged,
        "verdict_gated": decision.verdict_gated,
    }


def _checks(decision: Decision) -> list[doc.CheckData]:
    return [
        {"check": item.check.text, "passed": item.passed, "reason": item.reason}
        for item in decision.checks
    ]


def comparison_data(item: Comparison) -> doc.ComparisonData:
    """Return one comparison by the names of the API; every key is there."""
    names = (field.name for field in fields(Comparison))
    data = {COMPARISON_KEYS.get(name, name): getattr(item, name) for name in names}
    return cast("doc.ComparisonData", data)


def _steps(result: Result | None) -> doc.ReportedSteps:
    """Return the key that only a run with steps has."""
    if result is None or not result.steps:
        return {}
    return {"steps": [step_data(step) for step in result.steps]}


def step_data(step: Step) -> doc.StepData:
    """Return one step by the names of the API."""
    metrics: Any = dict(step.metrics)
    return {
        "name": step.name,
        "metrics": metrics,
        "responseCodes": dict(step.codes),
        "verdict": step.verdict,
        "hasThresholds": step.has_thresholds,
        "comparisons": [comparison_data(item) for item in step.comparisons],
    }


def _other_target(against: Any) -> dict[str, Any] | None:
    """Return the other target of an A/B run, without its series."""
    if not isinstance(against, Mapping):
        return None
    names = ("targetUrl", "totalRequests", "totalErrors", "latencyQuantiles", "responseCodes")
    return {name: against.get(name) for name in names}


def _metrics(result: Result | None) -> Any:
    return dict(result.metrics) if result else None


def _facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: facts[name] for name in _FACTS if name in facts}
    if isinstance(against := kept.get("against"), Mapping):
        kept["against"] = {key: value for key, value in against.items() if key not in _SERIES}
    return kept


def _series(series: TimeSeries) -> doc.SeriesData | None:
    """Return a list for each quantity, all of one length; None for an empty series."""
    if not series:
        return None
    names = (field.name for field in fields(Sample))
    data = {name: [getattr(sample, name) for sample in series] for name in names}
    return cast("doc.SeriesData", data)
