"""Joins profile, client, gate and output for `tm runs start` and `tm runs wait`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tm_cli.api.trafficmorph.models import Profile
from tm_cli.base_url import is_loopback
from tm_cli.commands.session import Session
from tm_cli.commands.subject import (
    Subject,
    check_subject,
    find_profile,
    find_subject,
    upload_subject,
)
from tm_cli.errors import UsageError
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.events import Decided, Ended, Event, Observed, Started
from tm_cli.gate.evidence import Run
from tm_cli.gate.flow import Gate, run_gate
from tm_cli.gate.policy import Decision
from tm_cli.gate.polling import CLOSE_BY
from tm_cli.render.machine import document, to_json
from tm_cli.render.progress import open_view
from tm_cli.render.summary import run_data, run_summary
from tm_cli.systems.trafficmorph.runs import TrafficMorphRuns
from tm_cli.text import clean


@dataclass(frozen=True, slots=True)
class StartRequest:
    """What the user asked to start."""

    profile: str
    region: str | None
    tags: tuple[str, ...]


def start_only(session: Session, request: StartRequest) -> int:
    """Start a run and return at once."""
    subject = _upload(session, request.profile)
    run = _runs(session, subject, request).start()
    data = {
        "run_id": run.run_id,
        "started_run_id": run.run_id,
        "profile_id": subject.profile_id,
        "status": run.status or None,
        "waited": False,
    }
    text = f"started run {clean(run.run_id or 'without id')} of {subject.name}: {clean(run.status)}"
    code = session.emit(data, lambda: text)
    if run.resume:
        session.note(f"tm: wait for it with: {run.resume}")
    return code


def start_and_wait(session: Session, request: StartRequest, gate: Gate) -> int:
    """Start a run, wait for its verdict and exit by it."""
    subject = _upload(session, request.profile)
    profile = find_profile(session.client, subject)
    if profile.loop:
        raise UsageError(
            f"{clean(profile.name)} loops until it is stopped, so it never has a verdict",
            hint="start it without --wait, or turn `loop` off",
        )
    subject = Subject(subject.profile_id, clean(profile.name))
    runs = _runs(session, subject, request, profile)
    return _follow(session, subject, runs, gate)


def wait_for(session: Session, text: str, run_id: str, gate: Gate) -> int:
    """Wait for the run of an earlier start."""
    subject = find_subject(session.client, text, session.context.cwd)
    runs = _runs(session, subject, StartRequest(text, None, ()))
    return _follow(session, subject, runs, gate, attach_to=runs.attach(run_id))


def _upload(session: Session, text: str) -> Subject:
    check_subject(text, session.context.cwd)  # before a server is started for a typo
    subject = upload_subject(session.client, text, session.context.cwd)
    for warning in subject.warnings:
        session.note(f"tm: the server warns about {subject.name}: {clean(warning)}")
    return subject


def _runs(
    session: Session, subject: Subject, request: StartRequest, profile: Profile | None = None
) -> TrafficMorphRuns:
    return TrafficMorphRuns(
        session.client,
        session.context.clock,
        subject.profile_id,
        subject=subject.name,
        region=request.region,
        tags=request.tags,
        profile=profile,
    )


def _follow(
    session: Session,
    subject: Subject,
    runs: TrafficMorphRuns,
    gate: Gate,
    *,
    attach_to: Run | None = None,
) -> int:
    if is_loopback(session.connection.base_url):  # nobody else shares the budget of this machine
        gate = replace(gate, pace=replace(gate.pace, steady=CLOSE_BY))
    status: str | None = None
    with open_view(session.terminal, session.context.clock, quiet=session.quiet) as view:
        for event in run_gate(runs, gate, session.context.clock, attach_to=attach_to):
            view.show(event)
            status = _status(event) or status
    if not isinstance(event, Decided):
        raise AssertionError("a gate ends with a decision")
    return _conclude(session, subject, event, status)


def _status(event: Event) -> str | None:
    match event:
        case Started(Run(status=status)):
            return status or None
        case Observed(progress) | Ended(progress):
            return progress.status
    return None


def _conclude(session: Session, subject: Subject, event: Decided, status: str | None) -> int:
    """Print what is known, whatever the decision; the exit code is the decision's."""
    decision, terminal = event.decision, session.terminal
    if session.wants_json:
        data = run_data(
            event.run,
            event.result,
            decision,
            profile_id=subject.profile_id,
            status=status,
            waited=True,
        )
        wrapped = document(data, exit_code=decision.exit_code, error=_error(decision))
        terminal.result(to_json(wrapped))
    elif event.run is not None:
        terminal.result(run_summary(terminal, event.run, event.result, decision))
    if decision.exit_code is ExitCode.OK:
        session.note(f"tm: {clean(decision.message)}")
    elif decision.exit_code not in _VERDICT_CODES:
        terminal.note(f"tm: {clean(decision.message)}")
    if decision.hint:
        terminal.note(f"hint: {clean(decision.hint)}")
    return int(decision.exit_code)


_VERDICT_CODES = {ExitCode.FAIL, ExitCode.WARN, ExitCode.NO_BASELINE}


def _error(decision: Decision) -> dict[str, str | None] | None:
    if decision.exit_code is ExitCode.OK or decision.exit_code in _VERDICT_CODES:
        return None
    return {
        "code": decision.code or decision.exit_code.name.lower(),
        "message": decision.message,
        "hint": decision.hint,
    }
