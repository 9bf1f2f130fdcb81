"""Joins jobs, client and gate for `tm jobs start` and `tm jobs wait`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tm_cli.api.errors import ApiError
from tm_cli.commands.following import Case, Line, Manners, follow
from tm_cli.commands.job_server import (
    PER_MINUTE,
    SYSTEM,
    JobServer,
    open_server,
    told_when_missing,
)
from tm_cli.commands.job_starting import JobRequest, as_case, find_jobs, plan_runs
from tm_cli.commands.job_subject import JobSubject
from tm_cli.commands.resuming import server_flags
from tm_cli.commands.session import Session
from tm_cli.gate.policy import Gate
from tm_cli.gate.verdict import Verdict
from tm_cli.systems.strait.conditions import split_conditions
from tm_cli.systems.strait.runs import StraitRuns
from tm_cli.text import clean

if TYPE_CHECKING:
    from tm_cli.api.strait.models import JobRun

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
    runs.stop_client = server.hasty_client()
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
                    job = server.client.without_retries().get_job(run.job_id)
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
