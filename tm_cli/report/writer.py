"""Evidence as a JSON document: that of `--json`, and the fuller one of a report file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from tm_cli import __version__
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.events import Attempt
from tm_cli.gate.model import Course, Moment, Result
from tm_cli.gate.outcome import Evidence, Record
from tm_cli.gate.policy import Decision, Gate
from tm_cli.render.formats.json_document import document, error_document
from tm_cli.render.summary import decision_data, run_data

FACTS = (
    "id", "profileName", "startedAt", "finishedAt", "durationSeconds", "targetUrl", "region",
    "tags", "responseCodes", "autoCompareBaselineRunId", "against", "addresses",
)  # fmt: skip
"""What a report keeps of a server's record; the rest may hold anything."""

SERIES = frozenset({"rpsSeries", "latencySeries"})
"""Left out of the other side of a duet; `baseline_course` has them."""


def as_document(evidence: Evidence) -> dict[str, Any]:
    """Return the document of `--json`."""
    records, code = evidence.records, evidence.exit_code
    if not records:
        if evidence.error is None:
            raise ValueError("evidence without records has an error")
        return error_document(evidence.error)
    if len(records) == 1:
        error = _error(records[0].end.decision) or _lost(code)
        return document(run_data(records[0]), exit_code=code, error=error)
    runs = []
    for record in records:
        decision = record.end.decision
        own = {"exit_code": int(decision.exit_code), "exit_name": decision.exit_code.name}
        runs.append({**run_data(record), **own, "error": _error(decision)})
    decisions = [record.end.decision for record in records]
    leading = [decision for decision in decisions if decision.exit_code is code]
    error = _error(leading[0]) if leading else _lost(code)
    return document({"runs": runs}, exit_code=code, error=error)


def report_document(evidence: Evidence) -> dict[str, Any]:
    """Return the document of a report file: that of `--json` and what a replay needs."""
    whole = as_document(evidence)
    if evidence.records:
        runs = whole["data"].get("runs", [whole["data"]])
        for run, record in zip(runs, evidence.records, strict=True):
            run.update(_details(record))
            _add_to_earlier(run["earlier_runs"], record.end.earlier)
    whole["report"] = {
        "tm_version": __version__,
        "made_at": evidence.made_at.isoformat(),
        "gate": _gate(evidence.gate) if evidence.records else None,
    }
    return whole


def _gate(gate: Gate) -> dict[str, Any]:
    return {
        "fail_on": sorted(gate.fail_on),
        "checks": [check.text for check in gate.checks],
        "confirm": gate.confirm,
        "wait_timeout_seconds": gate.wait_timeout,
        "verdict_timeout_seconds": gate.verdict_timeout,
    }


def _details(record: Record) -> dict[str, Any]:
    """What a report tells of one subject beside the data of `--json`."""
    end = record.end
    return {
        "started": end.run is not None,
        "abandoned": end.abandoned,
        **_judged_on(end.result, end.baseline),
        "course": _course(end.result.course if end.result else ()),
        "baseline_course": _course(end.baseline.course if end.baseline else ()),
    }


def _judged_on(result: Result | None, baseline: Result | None) -> dict[str, Any]:
    return {
        "final": result is not None and result.final,
        "note": result.note if result else None,
        "also": sorted(result.also) if result else [],
        "facts": _facts(result.facts) if result else None,
        "baseline": {"metrics": dict(baseline.metrics), "facts": _facts(baseline.facts)}
        if baseline
        else None,
    }


def _add_to_earlier(items: list[dict[str, Any]], earlier: tuple[Attempt, ...]) -> None:
    for item, attempt in zip(items, earlier, strict=True):
        result = attempt.result
        item["metrics"] = dict(result.metrics) if result else None
        item["fail_on_match"] = attempt.decision.matched
        item["decision"] = decision_data(attempt.decision)
        item.update(_judged_on(result, attempt.baseline))


def _facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: facts[name] for name in FACTS if name in facts}
    if isinstance(against := kept.get("against"), Mapping):
        kept["against"] = {key: value for key, value in against.items() if key not in SERIES}
    return kept


def _course(course: Course) -> dict[str, list[float | None]] | None:
    """A list for each quantity, all of one length; None without any moment."""
    if not course:
        return None
    return {
        field.name: [getattr(moment, field.name) for moment in course] for field in fields(Moment)
    }


def _lost(code: ExitCode) -> dict[str, str | None] | None:
    if code is not ExitCode.OUTPUT:
        return None
    return {"code": "output", "message": "a report could not be written", "hint": None}


def _error(decision: Decision) -> dict[str, str | None] | None:
    """What went wrong; a verdict that fails the gate is a result and no error."""
    if decision.exit_code is ExitCode.OK or decision.is_gated:
        return None
    return {
        "code": decision.code or decision.exit_code.name.lower(),
        "message": decision.message,
        "hint": decision.hint,
    }
