"""Strict access to a JSON object: what is missing or of another type is an error, never a guess."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from tm_cli.errors import TmError
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.checks import CheckResult, Condition, parse_check
from tm_cli.gate.events import Attempt, Decided
from tm_cli.gate.model import Basis, Comparison, Course, Moment, Result, Run
from tm_cli.gate.outcome import Evidence, KeptCheck, Record, contradiction, exit_code_of
from tm_cli.gate.policy import Decision, Gate
from tm_cli.gate.verdict import GATED, Verdict, read_verdict
from tm_cli.render.formats.json_document import SCHEMA_VERSION
from tm_cli.values.text import clean


class NotEvidence(ValueError):
    """A document that lacks, contradicts or mistypes what a decision rests on."""


@dataclass(frozen=True, slots=True)
class Fields:
    """An object of the document; `where` names it in errors. Every method raises NotEvidence."""

    values: Mapping[str, Any]
    where: str

    @classmethod
    def of(cls, value: Any, where: str) -> Fields:
        """Return the fields of what must be an object."""
        if not isinstance(value, Mapping):
            raise NotEvidence(f"{where} is no object")
        return cls(value, where)

    def value(self, name: str) -> Any:
        """Return whatever stands there."""
        if name not in self.values:
            raise NotEvidence(f"{self.where} has no {name}")
        return self.values[name]

    def text(self, name: str) -> str:
        """Return a text as it was written."""
        return str(self._as(str, name, self.value(name), "text"))

    def text_or_none(self, name: str) -> str | None:
        """Return a text, or None for null."""
        return None if self.value(name) is None else self.text(name)

    def clean(self, name: str) -> str | None:
        """Return a text that is fit to be shown, or None for null."""
        text = self.text_or_none(name)
        return None if text is None else clean(text)

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts that are fit to be shown."""
        items = self._as(list, name, self.value(name), "list")
        return tuple(clean(self._as(str, name, item, "list of texts")) for item in items)

    def flag(self, name: str) -> bool:
        """Return true or false."""
        return bool(self._as(bool, name, self.value(name), "true or false"))

    def flag_or_none(self, name: str) -> bool | None:
        """Return true, false, or None for null."""
        return None if self.value(name) is None else self.flag(name)

    def integer(self, name: str) -> int:
        """Return a whole number."""
        return int(self._as(int, name, self.value(name), "whole number"))

    def number_or_none(self, name: str) -> float | None:
        """Return a finite number, or None for null."""
        return as_number(self.value(name), f"{self.where}: {name}")

    def name_or_none(self, name: str) -> int | str | None:
        """Return what a server calls something: a number, a text, or None for null."""
        value = self.value(name)
        if value is None or (isinstance(value, int | str) and not isinstance(value, bool)):
            return clean(value) if isinstance(value, str) else value
        raise NotEvidence(f"{self.where}: {name} is neither a number nor a text")

    def object(self, name: str) -> Fields:
        """Return an object within this one."""
        return Fields.of(self.value(name), f"{self.where}: {name}")

    def object_or_none(self, name: str) -> Fields | None:
        """Return an object within this one, or None for null."""
        return None if self.value(name) is None else self.object(name)

    def objects(self, name: str) -> list[Fields]:
        """Return a list of objects."""
        items = self._as(list, name, self.value(name), "list")
        return [Fields.of(item, f"{self.where}: {name}") for item in items]

    def _as(self, kind: type[Any], name: str, value: Any, what: str) -> Any:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise NotEvidence(f"{self.where}: {name} is no {what}")
        return value


def as_number(value: Any, where: str) -> float | None:
    """Return a finite number, or None for null; raises NotEvidence for anything else."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NotEvidence(f"{where} is no number")
    try:
        if math.isfinite(value):
            return value
    except OverflowError:
        pass
    raise NotEvidence(f"{where} is too large a number")


_NUMBERS = ("totalRequests", "totalErrors", "avgRps", "peakRps", "successRate")


def read_metrics(metrics: Fields) -> dict[str, Any]:
    """Return the metrics of a run; those that checks measure must be numbers or null."""
    for name in _NUMBERS:
        if name in metrics.values:
            metrics.number_or_none(name)
    quantiles = metrics.values.get("latencyQuantiles")
    if quantiles is not None:
        for name, value in Fields.of(
            quantiles, f"{metrics.where}: latencyQuantiles"
        ).values.items():
            as_number(value, f"{metrics.where}: {name}")
    return dict(metrics.values)


def read_comparisons(run: Fields) -> tuple[Comparison, ...]:
    """Return the comparisons that a verdict rests on."""
    return tuple(_comparison(item) for item in run.objects("comparisons"))


def _comparison(item: Fields) -> Comparison:
    return Comparison(
        metric=item.clean("metric") or "",
        unit=item.clean("unit") or "",
        value=item.number_or_none("value"),
        baseline=item.number_or_none("baseline"),
        change=item.number_or_none("change"),
        ci_low=item.number_or_none("ciLow"),
        ci_high=item.number_or_none("ciHigh"),
        p_value=item.number_or_none("pValue"),
        noise=item.number_or_none("noise"),
        warn=item.number_or_none("warn"),
        fail=item.number_or_none("fail"),
        verdict=item.clean("verdict"),
        significant=item.flag("significant"),
        than=item.clean("than"),
        reason=item.clean("reason"),
    )


def read_course(run: Fields, name: str) -> Course:
    """Return a run over time, from lists of one length; empty for null."""
    lists = run.object_or_none(name)
    if lists is None:
        return ()
    columns = {field.name: _column(lists, field.name) for field in fields(Moment)}
    if len({len(column) for column in columns.values()}) != 1:
        raise NotEvidence(f"{lists.where}: its lists differ in length")
    if any(t is None for t in columns["t"]):
        raise NotEvidence(f"{lists.where}: a moment has no time")
    rows: list[Mapping[str, Any]] = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    return tuple(Moment(**row) for row in rows)


def _column(lists: Fields, name: str) -> list[float | None]:
    items = lists.value(name)
    if not isinstance(items, list):
        raise NotEvidence(f"{lists.where}: {name} is no list")
    return [as_number(item, f"{lists.where}: {name}") for item in items]


def read_code(fields: Fields) -> ExitCode:
    """Return `exit_code`, which `exit_name` must name."""
    try:
        code = ExitCode(fields.integer("exit_code"))
    except ValueError:
        raise NotEvidence(f"{fields.where} has an exit_code that is none") from None
    if fields.text("exit_name") != code.name:
        raise NotEvidence(f"{fields.where}: exit_code {int(code)} is not called {code.name}")
    return code


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
        checks=tuple(_check_result(item, gate) for item in run.objects("checks")),
        verdict_gated=said.flag("verdict_gated"),
        judged=said.flag("judged"),
    )


def _check_result(item: Fields, gate: Gate) -> CheckResult:
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


def read_evidence(document: Any) -> Evidence:
    """Return the evidence that `report_document` wrote down.

    Raises NotEvidence for a document that is no report, or that lacks, mistypes or contradicts
    something that its decision rests on.
    """
    whole = Fields.of(document, "the document")
    version = whole.integer("schema_version")
    if version != SCHEMA_VERSION:
        raise NotEvidence(f"its schema_version is {version}, this tm reads {SCHEMA_VERSION}")
    if "report" not in whole.values:
        raise NotEvidence("it has no `report`: `--report json=FILE` writes it, `--json` does not")
    report = whole.object("report")
    made_at, code = _moment(report), read_code(whole)
    if whole.value("data") is None:
        return Evidence((), Gate(), code, made_at, _error(whole, code))
    gate = _gate(report.object("gate"))
    records = tuple(read_record(run, gate) for run in _runs(whole))
    evidence = Evidence(records, gate, code, made_at)
    _check(evidence)
    return evidence


def _check(evidence: Evidence) -> None:
    own = exit_code_of(evidence.records)
    is_lost = own is ExitCode.OK and evidence.exit_code is ExitCode.OUTPUT
    if evidence.exit_code is not own and not is_lost:
        raise NotEvidence(f"exit_code is {int(evidence.exit_code)}, its runs say {int(own)}")
    if problem := contradiction(evidence):
        raise NotEvidence(problem)


def _runs(whole: Fields) -> list[Fields]:
    data = whole.object("data")
    if "runs" not in data.values:
        return [data]
    runs = data.objects("runs")
    if not runs:
        raise NotEvidence("data: runs is empty")
    for run in runs:
        if read_code(run) is not read_code(run.object("decision")):
            raise NotEvidence(f"{run.where}: exit_code and decision differ")
    return runs


def _moment(report: Fields) -> datetime:
    try:
        made_at = datetime.fromisoformat(report.text("made_at"))
    except ValueError:
        raise NotEvidence("report: made_at is no time") from None
    if made_at.tzinfo is None:
        raise NotEvidence("report: made_at has no offset")
    return made_at


def _gate(fields: Fields) -> Gate:
    verdicts = fields.texts("fail_on")
    if unknown := [verdict for verdict in verdicts if verdict not in GATED]:
        raise NotEvidence(f"{fields.where}: {unknown[0]} cannot fail a gate")
    confirm = fields.integer("confirm")
    if confirm < 0:
        raise NotEvidence(f"{fields.where}: confirm is less than nothing")
    return Gate(
        fail_on=frozenset(Verdict(verdict) for verdict in verdicts),
        checks=tuple(_condition(text) for text in fields.texts("checks")),
        confirm=confirm,
        wait_timeout=fields.number_or_none("wait_timeout_seconds") or 0.0,
        verdict_timeout=fields.number_or_none("verdict_timeout_seconds") or 0.0,
    )


def _condition(text: str) -> Condition:
    """A check that can be measured again, else one whose outcome is kept."""
    try:
        return parse_check(text)
    except ValueError:
        return KeptCheck(text)


def _error(whole: Fields, code: ExitCode) -> TmError:
    said = whole.object("error")
    if code is ExitCode.OK:
        raise NotEvidence("it has an error, and exit_code 0")
    error = TmError(
        said.clean("message") or "no reason was given",
        hint=said.clean("hint"),
        code=said.text("code"),
    )
    error.exit_code = code
    return error
