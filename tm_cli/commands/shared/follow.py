"""What a wait has come to: collected from events, printed at its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from tm_cli.cli.session import Session
from tm_cli.commands.shared.last_start import LastStart, StartedRun
from tm_cli.commands.shared.report_sinks import Reports
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.backend import System
from tm_cli.gate.events import Decided, Ended, Event, Observed, Started
from tm_cli.gate.lifecycle import Follow
from tm_cli.gate.model import Run
from tm_cli.gate.outcome import Evidence, Record, exit_code_of
from tm_cli.gate.policy import Gate
from tm_cli.gate.polling import CLOSE_BY, SELDOM, WATCHED
from tm_cli.gate.scheduler import consume, drive
from tm_cli.render.formats.json_document import to_json
from tm_cli.render.progress import open_view
from tm_cli.render.summary import run_summary
from tm_cli.report.writer import as_document
from tm_cli.values.text import clean
from tm_cli.values.urls import is_loopback


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


BUDGET_SHARE = 0.7
"""The part of the request budget that looks at many runs may use; the rest is for their ends."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How a wait behaves beside its gate."""

    fail_fast: bool = False
    stop_on_interrupt: bool = False
    reports: Reports = field(default_factory=Reports)


@dataclass(frozen=True, slots=True)
class Case:
    """One run to follow.

    `record` tells what `--last` must remember of a run with this id, which is empty while nobody
    knows it. `system_name` and `subject_id` stand in reports.
    """

    name: str
    system: System
    record: Callable[[str], StartedRun]
    attach_to: Run | None = None
    subject_id: int | str | None = None
    system_name: str = "trafficmorph"


def already_there(_run_id: str) -> StartedRun:
    """Stand in for `record` of a run that this call does not start."""
    raise AssertionError("only what is started is remembered")


@dataclass(frozen=True, slots=True)
class Line:
    """The server that all runs of a call are on: whether it is near, and what it lets us send."""

    base_url: str
    per_minute: int | None = None


def follow(
    session: Session, cases: Sequence[Case], gate: Gate, manners: Manners, line: Line
) -> int:
    """Follow all runs to their decisions, tell them, and return the exit code of the worst."""
    clock = session.context.clock
    gate = _paced(session, gate, line, runs=len(cases))
    follows = [Follow(case.system, gate, clock, attach_to=case.attach_to) for case in cases]
    outcomes = [Outcome(case.system_name, case.name, case.subject_id) for case in cases]
    events = drive(
        follows,
        gate,
        clock,
        fail_fast=manners.fail_fast,
        stop_on_interrupt=manners.stop_on_interrupt,
    )
    names = [case.name for case in cases]
    starts = any(case.attach_to is None for case in cases)
    memory = remembering(session, cases) if starts else None
    with open_view(session.terminal, clock, quiet=session.quiet, subjects=names) as view:

        def handle(position: int, event: Event) -> None:
            outcomes[position].note(event)
            if isinstance(event, Started) and memory is not None:
                memory.note(position, cases[position].record(event.run.run_id or ""))
            manners.reports.note(position, event)
            view.show(event, position)

        consume(events, handle)
    if manners.reports.want_baseline:
        _find_baselines(cases, outcomes)
    records = tuple(outcome.record() for outcome in outcomes)
    evidence = Evidence(records, gate, exit_code_of(records), clock.now())
    code = manners.reports.finish(evidence)
    tell(session, replace(evidence, exit_code=code))
    return int(code)


def remembering(session: Session, cases: Sequence[Case]) -> LastStart:
    """Begin to write down for `--last` what these cases start."""
    return LastStart(session, [case.record("") for case in cases])


def _find_baselines(cases: Sequence[Case], outcomes: Sequence[Outcome]) -> None:
    """Read what reports lay beside a run; the decision stands, whatever comes of it."""
    for case, outcome in zip(cases, outcomes, strict=True):
        ending = outcome.decided
        if ending and ending.result and ending.baseline is None:
            outcome.decided = replace(ending, baseline=case.system.find_baseline(ending.result))


def _paced(session: Session, gate: Gate, line: Line, *, runs: int) -> Gate:
    """Look often where somebody watches, seldom elsewhere, and with many runs in turn."""
    steady = SELDOM
    if session.terminal.live and not session.quiet:
        steady = CLOSE_BY if is_loopback(line.base_url) else WATCHED
    share = 0.0
    if runs > 1 and line.per_minute is not None:
        share = runs * 60.0 / (line.per_minute * BUDGET_SHARE)
    return replace(gate, pace=replace(gate.pace, steady=steady, share=share))


Handle = TypeVar("Handle")


def start_each(
    session: Session,
    cases: Sequence[Case],
    start: Callable[[int], Handle],
    *,
    run_id_of: Callable[[Handle], str | None],
    told: Callable[[Case, Handle], str],
) -> list[Handle]:
    """Call `start` with the position of each case and return what it returned.

    Whatever is raised on the way comes out, after what has been started by then was told.
    """
    memory = remembering(session, cases)
    found: list[Handle] = []
    try:
        for position, case in enumerate(cases):
            found.append(start(position))
            memory.note(position, case.record(run_id_of(found[-1]) or ""))
    except BaseException:
        for case, started in zip(cases, found, strict=False):
            session.terminal.note(f"tm: {told(case, started)}")
        raise
    return found
