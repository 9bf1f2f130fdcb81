"""Benchmark runs as cases of the gate: to be started, or there already."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace

from tm_cli.api.runloop.client import Client
from tm_cli.api.runloop.models import Benchmark, BenchmarkRun
from tm_cli.commands.benchmark_client import SYSTEM, hasty_client, server_name
from tm_cli.commands.benchmark_terms import Remembered, resume_flags, verdicts
from tm_cli.commands.following import Case, already_there
from tm_cli.commands.last_run import StartedRun
from tm_cli.commands.session import Session
from tm_cli.gate.policy import Gate
from tm_cli.gate.system import System
from tm_cli.systems.runloop.case import Baseline
from tm_cli.systems.runloop.pinning import BaselineWish, get_run, pin_baseline
from tm_cli.systems.runloop.runs import BenchmarkRuns, StartWish, Terms
from tm_cli.text import clean

RUN = "run"


@dataclass(frozen=True, slots=True)
class Subject:
    """A benchmark and what its run is judged by."""

    benchmark: Benchmark
    terms: Terms

    @property
    def name(self) -> str:
        """What people call it."""
        return clean(self.benchmark.name or self.benchmark.id)


def attach(
    session: Session,
    client: Client,
    run: BenchmarkRun,
    terms: Terms,
    gate: Gate,
    *,
    subject: str,
) -> Case:
    """Return the case of a run that is there already; `subject` is what people call it."""
    runs = BenchmarkRuns(
        client,
        session.context.clock,
        run.benchmark_id,
        subject=subject,
        terms=terms,
        make_token=session.context.make_token,
        stop_client=hasty_client(session),
        resume=lambda run_id: _resume(session, gate, terms, run_id),
    )
    return Case(
        subject,
        runs,
        already_there,
        runs.attach(run.id),
        run.benchmark_id,
        SYSTEM,
    )


def runs_of(
    session: Session, client: Client, subject: Subject, wish: StartWish, gate: Gate
) -> BenchmarkRuns:
    """Return the runs of a benchmark that is to be started."""
    return BenchmarkRuns(
        client,
        session.context.clock,
        subject.benchmark.id,
        subject=subject.name,
        terms=subject.terms,
        make_token=session.context.make_token,
        wish=wish,
        stop_client=hasty_client(session),
        resume=lambda run_id: _resume(session, gate, subject.terms, run_id),
    )


def _resume(session: Session, gate: Gate, terms: Terms, run_id: str) -> str:
    before = terms.baseline.measured
    flags = resume_flags(session, gate, terms.rules, before.run_id if before else None)
    return shlex.join(["tm", "benchmarks", "wait", clean(run_id), *map(clean, flags)])


def case_of(session: Session, subject: Subject, system: System, gate: Gate) -> Case:
    """Return the case of a run that is to be started; it is remembered with all it is judged by."""
    terms = subject.terms
    before = terms.baseline.measured
    why = terms.baseline.why if terms.rules.needs_baseline else None
    remembered = Remembered(
        RUN,
        terms.rules,
        terms.expected,
        baseline=before.run_id if before else None,
        choice=terms.baseline.choice if before else why,
        fail_on=verdicts(gate.fail_on) or None,
    )

    def record(run_id: str) -> StartedRun:
        return StartedRun(
            SYSTEM,
            server_name(session),
            subject.benchmark.id,
            run_id,
            subject.name,
            remembered.document(),
        )

    return Case(subject.name, system, record, None, subject.benchmark.id, SYSTEM)


def pinned(client: Client, remembered: Remembered) -> Baseline:
    """Return the baseline that was pinned, read again."""
    if remembered.baseline is None:
        return Baseline(why=remembered.choice or "there is no earlier run")
    chosen = BaselineWish(remembered.baseline)
    run = get_run(client, remembered.baseline)
    found = pin_baseline(client, run.benchmark_id, remembered.rules, chosen)
    return replace(found, choice=remembered.choice)
