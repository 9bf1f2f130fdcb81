"""A report's JSON document as evidence: complete and free of contradictions, or refused."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tm_cli.errors import TmError
from tm_cli.evidence.codes import read_code
from tm_cli.evidence.fields import Fields, NotEvidence
from tm_cli.evidence.run_reading import read_record
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.checks import Condition, parse_check
from tm_cli.gate.policy import Gate
from tm_cli.gate.record import Evidence, exit_code_of
from tm_cli.gate.replay import KeptCheck, contradiction
from tm_cli.gate.verdict import GATED, Verdict
from tm_cli.render.machine import SCHEMA_VERSION


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
