"""Follows runs of any system to their decisions: progress, signals, reports, output, exit code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from tm_cli.base_url import is_loopback
from tm_cli.commands.last_run import LastStart, StartedRun
from tm_cli.commands.outcome import Outcome, tell
from tm_cli.commands.session import Session
from tm_cli.commands.sinks import Reports
from tm_cli.gate.drive import consume, drive
from tm_cli.gate.events import Event, Started
from tm_cli.gate.evidence import Run
from tm_cli.gate.flow import Follow
from tm_cli.gate.policy import Gate
from tm_cli.gate.polling import CLOSE_BY, SELDOM, WATCHED
from tm_cli.gate.record import Evidence, exit_code_of
from tm_cli.gate.system import System
from tm_cli.render.progress import open_view

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
