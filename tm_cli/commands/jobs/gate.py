"""Which jobs are triggered, with what, and what `tm jobs start` says without `--wait`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tm_cli.api.errors import ApiError
from tm_cli.backends.strait.conditions import split_conditions
from tm_cli.backends.strait.runs import Plan, StraitRuns, describe_old
from tm_cli.backends.strait.trigger import Order, Started
from tm_cli.cli.session import Session
from tm_cli.commands.jobs.client import (
    PER_MINUTE,
    SYSTEM,
    JobServer,
    JobSubject,
    find_job,
    open_server,
    told_when_missing,
)
from tm_cli.commands.jobs.options import read_conditions
from tm_cli.commands.shared.follow import Case, Line, Manners, follow, start_each
from tm_cli.commands.shared.last_start import StartedRun, as_started, recall, server_flags
from tm_cli.errors import ConfigurationError, Refused, UsageError
from tm_cli.gate.checks import Condition
from tm_cli.gate.model import Run
from tm_cli.gate.policy import Gate
from tm_cli.gate.verdict import Verdict
from tm_cli.values.text import clean

if TYPE_CHECKING:
    from tm_cli.api.strait.models import JobRun


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What the user asked to start; `body` is that of the trigger."""

    jobs: tuple[str, ...]
    body: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None
    reuses: bool = False


def start_only(session: Session, request: JobRequest) -> int:
    """Trigger the jobs and return at once; a run that was there before is named as such."""
    server = open_server(session)
    subjects = find_jobs(server, request)
    all_runs = [plan_runs(server, one, replace(request, reuses=True)) for one in subjects]
    cases = [
        as_case(server, subject, runs) for subject, runs in zip(subjects, all_runs, strict=True)
    ]

    def trigger(position: int) -> Started:
        all_runs[position].prepare()
        return all_runs[position].trigger()

    started = start_each(
        session,
        cases,
        trigger,
        run_id_of=lambda brought: brought.run_id,
        told=lambda case, brought: _told(case.name, brought),
    )
    data = [_data(subject, brought) for subject, brought in zip(subjects, started, strict=True)]
    names = [case.name for case in cases]
    return session.emit(
        data[0] if len(data) == 1 else {"runs": data},
        lambda: "\n".join(map(_told, names, started)),
    )


def _told(name: str, brought: Started) -> str:
    if brought.run_id is None:
        return f"{name}: {brought.kept}"
    if brought.is_old:
        return f"{name}: {describe_old(brought)}; nothing new was started"
    return f"started run {clean(brought.run_id)} of {name}: {clean(brought.status)}"


def _data(subject: JobSubject, brought: Started) -> dict[str, Any]:
    return {
        "run_id": brought.run_id,
        "started_run_id": brought.run_id,
        "job_id": subject.job_id,
        "status": brought.status or None,
        "is_new": None if brought.run_id is None else not brought.is_old,
        "waited": False,
    }


def rehearse(session: Session, request: JobRequest) -> int:
    """Have the server check a trigger, and start nothing."""
    server = open_server(session)
    (subject,) = find_jobs(server, request)
    answer = server.client.rehearse(subject.job_id, request.body)
    warnings = answer.get("validation_warnings")
    said = [clean(text) for text in warnings] if isinstance(warnings, list) else []
    lines = [f"{subject.name} would be triggered; nothing was started", *said]
    return session.emit(answer, lambda: "\n  ".join(lines))


def find_jobs(server: JobServer, request: JobRequest, *, waits: bool = False) -> list[JobSubject]:
    """Find all jobs before any is triggered."""
    subjects = [find_job(server.client, text) for text in request.jobs]
    for position, subject in enumerate(subjects):
        is_again = subject.job_id in [other.job_id for other in subjects[:position]]
        if is_again and request.key is not None:
            raise UsageError(
                f"{subject.name} is named twice under one --idempotency-key",
                hint="the second would be answered with the run of the first",
            )
        if waits and subject.window is not None:
            raise Refused(
                f"{subject.name} has a {subject.window} window: the server does not tell which run "
                "a trigger belongs to; nothing was started",
                hint="start it without --wait, and look with `tm jobs list`",
                code="not_supported",
            )
    return subjects


def plan_runs(server: JobServer, subject: JobSubject, request: JobRequest) -> StraitRuns:
    """Return the runs of a job, of which none is started yet."""
    make_token = server.session.context.make_token

    def order(_number: int) -> Order:
        key = request.key or f"tm-{make_token()}"
        return Order(
            subject.job_id,
            request.body,
            key,
            is_unique=request.key is None,
            may_merge=subject.may_merge,
        )

    return StraitRuns(
        server.client,
        server.session.context.clock,
        subject.name,
        plan=Plan(order, reuses=request.reuses, budget=server.triggers),
        say=lambda text: server.session.terminal.note(f"tm: {subject.name}: {text}"),
    )


def as_case(
    server: JobServer,
    subject: JobSubject,
    runs: StraitRuns,
    *,
    attach_to: Run | None = None,
    gate: Gate | None = None,
) -> Case:
    """Return what is followed, and how `--last` finds it and the gate of its start again."""
    remembered = _gate_document(gate) if gate else {}

    def record(run_id: str) -> StartedRun:
        details = {"canceled_as": runs.canceled_as.value, **remembered}
        return StartedRun(SYSTEM, server.address, subject.job_id, run_id, subject.name, details)

    return Case(subject.name, runs, record, attach_to, subject.job_id, SYSTEM)


def _gate_document(gate: Gate) -> dict[str, Any]:
    checks, longest = split_conditions(gate.checks)
    return {"fail_on": ",".join(sorted(gate.fail_on)), "checks": checks, "max_duration": longest}


DEFAULT_FAIL_ON = frozenset({Verdict.FAIL, Verdict.WARN})


@dataclass(frozen=True, slots=True)
class Watch:
    """How runs are judged and heard of, beside the gate."""

    canceled_as: Verdict | None = None
    streams: bool = True


def start_and_wait(
    session: Session, request: JobRequest, gate: Gate, manners: Manners, watch: Watch
) -> int:
    """Trigger the jobs, wait for their runs and exit by the worst."""
    with manners.reports.begun():
        server = open_server(session)
        gate = armed(session, gate)
        subjects = find_jobs(server, request, waits=True)
        cases = []
        for subject in subjects:
            runs = plan_runs(server, subject, request)
            _equip(server, runs, gate, watch, runs_at_once=len(subjects))
            cases.append(as_case(server, subject, runs, gate=gate))
        does = "cancels the run" if manners.stop_on_interrupt else "leaves the run going"
        session.note(f"tm: Ctrl-C {does} (--on-interrupt)")
        return follow_all(server, cases, gate, manners)


def wait_for(
    session: Session, run_ids: Sequence[str], gate: Gate, manners: Manners, watch: Watch
) -> int:
    """Wait for runs that are there already."""
    with manners.reports.begun():
        server = open_server(session)
        gate = armed(session, gate)
        names = _names(server)
        cases = []
        for run_id in run_ids:
            with told_when_missing(run_id):
                run = server.client.get_run(run_id)
            subject = JobSubject(run.job_id or "-", names(run))
            cases.append(attached(server, subject, run.id, gate, watch, runs=len(run_ids)))
        return follow_all(server, cases, gate, manners)


def armed(session: Session, gate: Gate) -> Gate:
    """Return a gate that fails on something: a job that failed is never a success."""
    if gate.fail_on:
        return gate
    session.note("tm: the gate fails on FAIL,WARN, as nothing else was chosen (--fail-on)")
    return replace(gate, fail_on=DEFAULT_FAIL_ON)


def _equip(
    server: JobServer, runs: StraitRuns, gate: Gate, watch: Watch, *, runs_at_once: int
) -> None:
    """Add what only a wait needs."""
    runs.canceled_as = watch.canceled_as or Verdict.WARN
    runs.hasty = server.hasty_client()
    runs.listen = server.listen(runs=runs_at_once) if watch.streams else None
    runs.resume_flags = _resume_flags(server.session, gate, watch)


def attached(
    server: JobServer, subject: JobSubject, run_id: str, gate: Gate, watch: Watch, *, runs: int
) -> Case:
    """Return the case of a run that is there already, one of `runs` that are followed."""
    found = StraitRuns(server.client, server.session.context.clock, subject.name)
    _equip(server, found, gate, watch, runs_at_once=runs)
    return as_case(server, subject, found, attach_to=found.attach(run_id))


def _names(server: JobServer) -> Callable[[JobRun], str]:
    """Return how to call the job of a run; its id will do where the key may not read jobs."""
    known: dict[str | None, str] = {}

    def name(run: JobRun) -> str:
        if run.job_id not in known:
            known[run.job_id] = clean(run.job_id or "job")
            if run.job_id:
                with suppress(ApiError):
                    job = server.client.reading_once().get_job(run.job_id)
                    known[run.job_id] = clean(job.slug or job.name or job.id)
        return known[run.job_id]

    return name


def follow_all(server: JobServer, cases: Sequence[Case], gate: Gate, manners: Manners) -> int:
    """Follow all runs to their decisions, and return the exit code of the worst."""
    line = Line(server.address, PER_MINUTE)
    return follow(server.session, cases, gate, manners, line)


def _resume_flags(session: Session, gate: Gate, watch: Watch) -> list[str]:
    """What `tm jobs wait` must be told again: the gate, and a server that flags have named."""
    flags = ["--fail-on", ",".join(sorted(gate.fail_on))]
    checks, longest = split_conditions(gate.checks)
    flags += [] if longest is None else ["--max-duration", longest]
    flags += [word for text in checks for word in ("--assert", text)]
    if watch.canceled_as is Verdict.FAIL:
        flags += ["--canceled-as", watch.canceled_as.value]
    return [*flags, *server_flags(session, SYSTEM)]


def wait_for_last_start(session: Session, gate: Gate, manners: Manners, watch: Watch) -> int:
    """Wait for the last start of this project, whichever system it was on."""
    started = recall(session)
    if started[0].system == SYSTEM:
        return wait_for_last(session, started, gate, manners, watch)
    from tm_cli.commands.shared import last_gate

    return last_gate.wait_for_last(session, gate, manners)


def wait_for_last(
    session: Session,
    started: Sequence[StartedRun],
    gate: Gate,
    manners: Manners,
    watch: Watch | None = None,
) -> int:
    """Wait for what was started last in this project; what is not given now is as it was then."""
    watch = watch or Watch()
    details = started[0].details
    gate = as_started(session, gate, details, _conditions)
    with manners.reports.begun():
        server = open_server(session)
        gate = armed(session, gate)
        cases = []
        for entry in started:
            if entry.server != server.address:
                raise ConfigurationError(
                    f"the last run was started on {clean(entry.server)}, not on {server.address}",
                    hint="name that server with STRAIT_BASE_URL",
                )
            subject = JobSubject(str(entry.subject_id), clean(entry.subject))
            own = replace(watch, canceled_as=watch.canceled_as or _canceled_as(entry))
            cases.append(attached(server, subject, entry.run_id, gate, own, runs=len(started)))
        return follow_all(server, cases, gate, manners)


def _canceled_as(entry: StartedRun) -> Verdict:
    """What a canceled run counted as when it was started; a later wait must not be milder."""
    return Verdict.FAIL if entry.details.get("canceled_as") == Verdict.FAIL else Verdict.WARN


def _conditions(details: Mapping[str, Any]) -> tuple[Condition, ...]:
    return read_conditions(details.get("checks") or [], details.get("max_duration"))
