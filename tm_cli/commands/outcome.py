"""What a wait has come to: collected from events, printed at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tm_cli.commands.session import Session
from tm_cli.commands.subject import Subject
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.events import Decided, Ended, Event, Observed, Started
from tm_cli.gate.evidence import Run
from tm_cli.gate.policy import Decision, worst
from tm_cli.render.machine import document, to_json
from tm_cli.render.summary import run_data, run_summary
from tm_cli.text import clean


@dataclass(slots=True)
class Outcome:
    """One subject's run as far as it is known."""

    subject: Subject
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

    @property
    def ending(self) -> Decided:
        """The last event; every run has one."""
        if self.decided is None:
            raise AssertionError("a gate ends with a decision")
        return self.decided

    def data(self) -> dict[str, Any]:
        """The outcome for `--json`."""
        return run_data(self.ending, profile_id=self.subject.profile_id, status=self.status)


def code_of(outcomes: Sequence[Outcome]) -> ExitCode:
    """Return the exit code of the worst; runs that were given up do not count."""
    counted = [outcome for outcome in outcomes if not outcome.ending.abandoned]
    return worst(outcome.ending.decision.exit_code for outcome in counted)


def tell(session: Session, outcomes: Sequence[Outcome], code: ExitCode) -> None:
    """Print what is known, whatever was decided."""
    if session.wants_json:
        session.terminal.result(to_json(as_document(outcomes, code)))
    for outcome in outcomes:
        _tell(session, outcome, several=len(outcomes) > 1)


def as_document(outcomes: Sequence[Outcome], code: ExitCode) -> dict[str, Any]:
    """Return the JSON document of one or several outcomes."""
    if len(outcomes) == 1:
        error = _error(outcomes[0].ending.decision) or _lost(code)
        return document(outcomes[0].data(), exit_code=code, error=error)
    runs = []
    for outcome in outcomes:
        decision = outcome.ending.decision
        own = {"exit_code": int(decision.exit_code), "exit_name": decision.exit_code.name}
        runs.append({**outcome.data(), **own, "error": _error(decision)})
    leading = [item for item in outcomes if item.ending.decision.exit_code is code]
    error = _error(leading[0].ending.decision) if leading else _lost(code)
    return document({"runs": runs}, exit_code=code, error=error)


def _tell(session: Session, outcome: Outcome, *, several: bool) -> None:
    ending, terminal = outcome.ending, session.terminal
    decision = ending.decision
    if ending.run is not None and not session.wants_json:
        terminal.result(run_summary(terminal, ending))
    said = f"{outcome.subject.name}: {decision.message}" if several else decision.message
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
