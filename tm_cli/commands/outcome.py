"""What a wait has come to: collected from events, printed at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tm_cli.commands.session import Session
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.events import Decided, Ended, Event, Observed, Started
from tm_cli.gate.evidence import Run
from tm_cli.gate.policy import Decision, worst
from tm_cli.gate.record import Evidence, Record
from tm_cli.render.machine import document, to_json
from tm_cli.render.summary import run_data, run_summary
from tm_cli.text import clean


@dataclass(slots=True)
class Outcome:
    """One subject's run as far as it is known."""

    system: str
    subject: str
    subject_id: int | str | None
    run: Run | None = None
    status: str | None = None
    decided: Decided | None = None

    def note(self, event: Event) -> None:
        """Take what an event tells."""
        match event:
            case Started(run):
                self.run, self.status = run, run.status or None
            case Observed(progress) | Ended(progress):
                self.status = progress.status
            case Decided():
                self.decided = event

    def record(self) -> Record:
        """Return what is known now."""
        return Record(self.system, self.subject, self.subject_id, self.status, self.decided)


def code_of(records: Sequence[Record]) -> ExitCode:
    """Return the exit code of the worst; runs that were given up do not count."""
    endings = [_ending(record) for record in records]
    return worst(ending.decision.exit_code for ending in endings if not ending.abandoned)


def tell(session: Session, evidence: Evidence) -> None:
    """Print what is known, whatever was decided."""
    if session.wants_json:
        session.terminal.result(to_json(as_document(evidence)))
    for record in evidence.records:
        _tell(session, record, several=len(evidence.records) > 1)


def as_document(evidence: Evidence) -> dict[str, Any]:
    """Return the JSON document of one or several outcomes."""
    records, code = evidence.records, evidence.exit_code
    if len(records) == 1:
        error = _error(_ending(records[0]).decision) or _lost(code)
        return document(run_data(records[0]), exit_code=code, error=error)
    runs = []
    for record in records:
        decision = _ending(record).decision
        own = {"exit_code": int(decision.exit_code), "exit_name": decision.exit_code.name}
        runs.append({**run_data(record), **own, "error": _error(decision)})
    decisions = [_ending(record).decision for record in records]
    leading = [decision for decision in decisions if decision.exit_code is code]
    error = _error(leading[0]) if leading else _lost(code)
    return document({"runs": runs}, exit_code=code, error=error)


def _ending(record: Record) -> Decided:
    if record.ending is None:
        raise AssertionError("a gate ends with a decision")
    return record.ending


def _tell(session: Session, record: Record, *, several: bool) -> None:
    ending, terminal = _ending(record), session.terminal
    decision = ending.decision
    if ending.run is not None and not session.wants_json:
        terminal.result(run_summary(terminal, ending))
    said = f"{record.subject}: {decision.message}" if several else decision.message
    if decision.exit_code is ExitCode.OK:
        session.note(f"tm: {clean(said)}")
    elif not decision.is_gated or not ending.result:
        terminal.note(f"tm: {clean(said)}")
    if decision.hint:
        terminal.note(f"hint: {clean(decision.hint)}")


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
