"""What a wait has come to: collected from events, printed at its end."""

from __future__ import annotations

from dataclasses import dataclass

from tm_cli.commands.session import Session
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.events import Decided, Ended, Event, Observed, Started
from tm_cli.gate.evidence import Run
from tm_cli.gate.record import Evidence, Record
from tm_cli.render.machine import to_json
from tm_cli.render.summary import run_summary
from tm_cli.report.writer import as_document
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


def tell(session: Session, evidence: Evidence) -> None:
    """Print what is known, whatever was decided."""
    if session.wants_json:
        session.terminal.result(to_json(as_document(evidence)))
    for record in evidence.records:
        _tell(session, record, several=len(evidence.records) > 1)


def _tell(session: Session, record: Record, *, several: bool) -> None:
    ending, terminal = record.end, session.terminal
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
