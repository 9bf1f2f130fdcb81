"""Benchmark jobs as cases of the gate: to be started, or there already."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tm_cli.api.runloop.client import Client
from tm_cli.api.runloop.models import Job
from tm_cli.commands.benchmark_client import SYSTEM, hasty_client, server_name
from tm_cli.commands.benchmark_terms import Remembered, resume_flags, verdicts
from tm_cli.commands.following import Case
from tm_cli.commands.last_run import StartedRun
from tm_cli.commands.session import Session
from tm_cli.gate.evidence import Run
from tm_cli.gate.policy import Gate
from tm_cli.systems.runloop.case import Expected
from tm_cli.systems.runloop.jobs import BenchmarkJobs
from tm_cli.systems.runloop.rules import Rules
from tm_cli.text import clean

JOB = "job"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a job is judged by, fixed before it starts; `agents` None where nobody knows."""

    rules: Rules
    expected: Expected
    baseline: Job | None
    choice: str | None
    agents: int | None


def existing(
    session: Session, client: Client, job_id: str, subject: str, terms: Terms, gate: Gate
) -> Case:
    """Return the case of a job that is there already; `subject` is what people call it."""
    jobs = jobs_of(session, client, subject, terms, gate)
    return case_of(session, subject, jobs, terms, gate, attach_to=jobs.attach(job_id))


def jobs_of(
    session: Session,
    client: Client,
    subject: str,
    terms: Terms,
    gate: Gate,
    *,
    spec: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> BenchmarkJobs:
    """Return the jobs of a specification; without one they can only be attached to."""

    def resume(job_id: str) -> str:
        pinned = terms.baseline.id if terms.baseline else None
        flags = resume_flags(session, gate, terms.rules, pinned)
        return shlex.join(["tm", "benchmarks", "job", "wait", clean(job_id), *map(clean, flags)])

    return BenchmarkJobs(
        client,
        session.context.clock,
        subject=subject,
        rules=terms.rules,
        expected=terms.expected,
        make_token=session.context.make_token,
        baseline=terms.baseline,
        choice=terms.choice,
        spec=spec,
        name=name,
        agents=terms.agents,
        stop_client=hasty_client(session),
        resume=resume,
    )


def case_of(
    session: Session,
    subject: str,
    jobs: BenchmarkJobs,
    terms: Terms,
    gate: Gate,
    *,
    subject_id: str | None = None,
    attach_to: Run | None = None,
) -> Case:
    """Return the case of a job; it is remembered with all it is judged by."""
    remembered = Remembered(
        JOB,
        terms.rules,
        terms.expected,
        baseline=terms.baseline.id if terms.baseline else None,
        choice=terms.choice,
        fail_on=verdicts(gate.fail_on) or None,
        agents=terms.agents,
    )

    def record(run_id: str) -> StartedRun:
        return StartedRun(
            SYSTEM,
            server_name(session),
            subject_id or subject,
            run_id,
            subject,
            remembered.document(),
        )

    return Case(subject, jobs, record, attach_to, subject_id, SYSTEM)
