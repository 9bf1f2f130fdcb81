"""Benchmark jobs as cases of the gate: to be started, or there already."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tm_cli.api.runloop.client import Client
from tm_cli.api.runloop.models import Job
from tm_cli.backends.runloop.baseline import LAST, BaselineWish, expect, find_benchmark
from tm_cli.backends.runloop.jobs import BenchmarkJobs, get_job, pin_job
from tm_cli.backends.runloop.judge import Expected
from tm_cli.backends.runloop.rules import Rules
from tm_cli.cli.session import Session
from tm_cli.commands.benchmarks.actions import (
    SYSTEM,
    benchmark_client,
    hasty_client,
    line_to,
    server_name,
)
from tm_cli.commands.benchmarks.jobs import JobRequest
from tm_cli.commands.benchmarks.terms import (
    Remembered,
    resume_flags,
    say_ungated,
    verdicts,
    with_usual_verdicts,
)
from tm_cli.commands.shared.follow import Case, Manners, follow, start_each
from tm_cli.commands.shared.last_start import StartedRun
from tm_cli.gate.model import Run
from tm_cli.gate.policy import Gate
from tm_cli.values.text import clean

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
        hasty=hasty_client(session),
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


def start_only(session: Session, request: JobRequest, gate: Gate) -> int:
    """Start the job and return at once; the rules are kept for `--last`."""
    jobs, case = _prepared(session, benchmark_client(session), request, gate)
    [run] = start_each(
        session,
        [case],
        lambda _position: jobs.start(),
        run_id_of=lambda started: started.run_id,
        told=lambda _case, started: _told(started),
    )
    data = {
        "run_id": run.run_id,
        "started_run_id": run.run_id,
        "profile_id": case.subject_id,
        "status": run.status or None,
        "waited": False,
    }
    code = session.emit(data, lambda: _told(run))
    session.note(f"tm: wait for it with: {run.resume}")
    if request.rules.is_set or gate.fail_on:
        say_ungated(session)
    return code


def _told(run: Run) -> str:
    return f"started job {clean(run.run_id)}: {run.status}"


def start_and_wait(session: Session, request: JobRequest, gate: Gate, manners: Manners) -> int:
    """Start the job, wait for its end and exit by the worst of its agents."""
    gate = with_usual_verdicts(session, gate)
    with manners.reports.begun():
        _, case = _prepared(session, benchmark_client(session), request, gate)
        does = (
            "cancels the runs of the job" if manners.stop_on_interrupt else "leaves the job going"
        )
        session.note(f"tm: Ctrl-C {does} (--on-interrupt)")
        return follow(session, [case], gate, manners, line_to(session))


def wait_for(
    session: Session,
    job_ids: Sequence[str],
    rules: Rules,
    wish: BaselineWish,
    gate: Gate,
    manners: Manners,
) -> int:
    """Wait for jobs that somebody has started."""
    gate = with_usual_verdicts(session, gate)
    with manners.reports.begun():
        client = benchmark_client(session)
        cases = [_attached(session, client, job_id, rules, wish, gate) for job_id in job_ids]
        return follow(session, cases, gate, manners, line_to(session))


def attach_last(
    session: Session,
    client: Client,
    entry: StartedRun,
    remembered: Remembered,
    gate: Gate,
    wish: BaselineWish | None,
) -> Case:
    """Return the case of a job that was started in this project."""
    was_not_sought = remembered.choice is None and remembered.rules.needs_baseline
    if was_not_sought or (wish is not None and wish.run is not None):
        wish = wish or BaselineWish()
        return _attached(session, client, entry.run_id, remembered.rules, wish, gate)
    baseline = get_job(client, remembered.baseline) if remembered.baseline else None
    terms = Terms(
        remembered.rules, remembered.expected, baseline, remembered.choice, remembered.agents
    )
    return existing(session, client, entry.run_id, clean(entry.subject), terms, gate)


def _prepared(
    session: Session, client: Client, request: JobRequest, gate: Gate
) -> tuple[BenchmarkJobs, Case]:
    """Fix everything that the job is judged by, and start nothing."""
    spec, expected, benchmark_id = dict(request.spec), Expected(count=request.rules.expected), None
    subject = clean(request.name or "job")
    ids = spec.get("scenario_ids")
    scenario_ids = frozenset(map(str, ids)) if isinstance(ids, list) else None
    if request.benchmark is not None:
        benchmark = find_benchmark(client, request.benchmark)
        spec["benchmark_id"] = benchmark_id = benchmark.id
        expected, subject = expect(benchmark, request.rules), clean(benchmark.name or benchmark.id)
    elif scenario_ids:
        expected = Expected(scenario_ids)
    baseline = pin_job(
        client,
        request.rules,
        request.baseline,
        benchmark_id=benchmark_id,
        scenario_ids=scenario_ids,
    )
    _tell_baseline(session, baseline, request.rules)
    configs = spec.get("agent_configs")
    agents = len(configs) if isinstance(configs, list) else None
    choice = _choice(request.rules, request.baseline)
    terms = Terms(request.rules, expected, baseline, choice, agents)
    jobs = jobs_of(session, client, subject, terms, gate, spec=spec, name=request.name)
    return jobs, case_of(session, subject, jobs, terms, gate, subject_id=benchmark_id)


def _attached(
    session: Session, client: Client, job_id: str, rules: Rules, wish: BaselineWish, gate: Gate
) -> Case:
    job = get_job(client, job_id)
    expected = Expected(job.scenario_ids, rules.expected)
    if expected.ids is None and job.benchmark_id is not None:
        expected = expect(find_benchmark(client, job.benchmark_id), rules, to_run=False)
    configs = (job.job_spec or {}).get("agent_configs")
    baseline = pin_job(
        client,
        rules,
        wish,
        benchmark_id=job.benchmark_id,
        scenario_ids=job.scenario_ids,
        than=job,
    )
    _tell_baseline(session, baseline, rules)
    agents = len(configs) if isinstance(configs, list) and configs else None
    terms = Terms(rules, expected, baseline, _choice(rules, wish), agents)
    return existing(session, client, job.id, clean(job.name or job.id), terms, gate)


def _choice(rules: Rules, wish: BaselineWish) -> str | None:
    """How the baseline was chosen; None where none was sought."""
    return wish.run or (LAST if rules.needs_baseline else None)


def _tell_baseline(session: Session, baseline: Job | None, rules: Rules) -> None:
    if baseline is not None:
        session.note(f"tm: baseline job {clean(baseline.id)} ({clean(baseline.name or '-')})")
    elif rules.needs_baseline:
        session.note("tm: no baseline: there is no earlier job of the same scenarios")
