"""Which jobs are triggered, with what, and what `tm jobs start` says without `--wait`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tm_cli.commands.following import Case
from tm_cli.commands.job_server import SYSTEM, JobServer, open_server
from tm_cli.commands.job_subject import JobSubject, find_job
from tm_cli.commands.last_run import StartedRun
from tm_cli.commands.session import Session
from tm_cli.commands.starting import start_each
from tm_cli.errors import Refused, UsageError
from tm_cli.gate.evidence import Run
from tm_cli.gate.policy import Gate
from tm_cli.systems.strait.conditions import split_conditions
from tm_cli.systems.strait.runs import StartPlan, StraitRuns, TriggeredRuns, describe_old
from tm_cli.systems.strait.triggering import TriggerRequest, TriggerResult
from tm_cli.text import clean


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

    def trigger(position: int) -> TriggerResult:
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


def _told(name: str, brought: TriggerResult) -> str:
    if brought.run_id is None:
        return f"{name}: {brought.kept}"
    if brought.is_old:
        return f"{name}: {describe_old(brought)}; nothing new was started"
    return f"started run {clean(brought.run_id)} of {name}: {clean(brought.status)}"


def _data(subject: JobSubject, brought: TriggerResult) -> dict[str, Any]:
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


def plan_runs(server: JobServer, subject: JobSubject, request: JobRequest) -> TriggeredRuns:
    """Return the runs of a job, of which none is started yet."""
    make_token = server.session.context.make_token

    def make_request(_number: int) -> TriggerRequest:
        key = request.key or f"tm-{make_token()}"
        return TriggerRequest(
            subject.job_id,
            request.body,
            key,
            is_unique=request.key is None,
            may_merge=subject.may_merge,
        )

    return TriggeredRuns(
        server.client,
        server.session.context.clock,
        subject.name,
        plan=StartPlan(make_request, reuses=request.reuses, budget=server.triggers),
        notify=lambda text: server.session.terminal.note(f"tm: {subject.name}: {text}"),
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
