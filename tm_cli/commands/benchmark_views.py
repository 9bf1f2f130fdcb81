"""Benchmark runs, jobs and scenarios as the server has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tm_cli.api.runloop.models import Benchmark, BenchmarkRun, Job, ScenarioRun
from tm_cli.commands.benchmark_client import benchmark_client
from tm_cli.commands.benchmark_comparing import began
from tm_cli.commands.session import Session
from tm_cli.durations import format_duration
from tm_cli.render.tables import columns
from tm_cli.systems.runloop.evidence import of_job, of_run
from tm_cli.systems.runloop.jobs import get_job
from tm_cli.systems.runloop.pinning import find_benchmark, get_run
from tm_cli.systems.runloop.rules import read_score
from tm_cli.systems.runloop.wording import share
from tm_cli.text import clean

Filters = Mapping[str, str | None]


def list_runs(session: Session, filters: Filters, limit: int) -> int:
    """Print the newest runs; the server promises no order, so all are read."""
    found = benchmark_client(session).list_runs(**filters)
    found.sort(key=lambda run: (run.start_time_ms or 0, run.id), reverse=True)
    return _emit_list(session, "runs", found, limit, _run_table)


def show_run(session: Session, run_id: str) -> int:
    """Print a run with all its scenario runs."""
    client = benchmark_client(session)
    run = get_run(client, run_id)
    scenario_runs = client.list_scenario_runs(run.id)
    data = {**run.document(), "scenario_runs": [item.document() for item in scenario_runs]}
    return session.emit(data, lambda: _run_text(session, run, scenario_runs))


def list_benchmarks(session: Session, filters: Filters, *, public: bool) -> int:
    """Print the benchmarks of the account, or the public ones."""
    found = benchmark_client(session).list_benchmarks(public=public, **filters)
    return _emit_list(session, "benchmarks", found, len(found), _benchmark_table)


def list_scenarios(session: Session, benchmark: str) -> int:
    """Print the definitions of a benchmark's scenarios."""
    client = benchmark_client(session)
    found = client.list_scenarios(find_benchmark(client, benchmark).id)

    def table(session: Session, items: Sequence[Any]) -> str:
        return columns(session.terminal, ("ID", "NAME"), [(item.id, item.name) for item in items])

    return _emit_list(session, "scenarios", found, len(found), table)


def list_jobs(session: Session, filters: Filters, limit: int) -> int:
    """Print the newest jobs."""
    found = benchmark_client(session).list_jobs(**filters)
    found.sort(key=lambda job: (job.create_time_ms or 0, job.id), reverse=True)
    return _emit_list(session, "jobs", found, limit, _job_table)


def show_job(session: Session, job_id: str) -> int:
    """Print a job with what each of its agents has shown."""
    job = get_job(benchmark_client(session), job_id)
    return session.emit(job.document(), lambda: _job_text(session, job))


def list_scenario_runs(session: Session, filters: Filters) -> int:
    """Print scenario runs of any benchmark run."""
    found = benchmark_client(session).list_all_scenario_runs(**filters)
    return _emit_list(session, "scenario_runs", found, len(found), _scenario_run_table)


def show_scenario_run(session: Session, run_id: str) -> int:
    """Print one scenario run."""
    found = benchmark_client(session).get_scenario_run(run_id)
    return session.emit(found.document(), lambda: _scenario_run_table(session, [found]))


def _emit_list(
    session: Session,
    key: str,
    found: Sequence[Any],
    limit: int,
    table: Callable[[Session, Sequence[Any]], str],
) -> int:
    shown = found[:limit]
    code = session.emit({key: [item.document() for item in shown]}, lambda: table(session, shown))
    if len(found) > limit:
        session.note(f"tm: {len(found) - limit} more; --limit shows them")
    return code


def _run_table(session: Session, runs: Sequence[BenchmarkRun]) -> str:
    head = ("ID", "BENCHMARK", "NAME", "STATE", "SCORE", "STARTED", "TOOK")
    rows = [
        (
            run.id,
            run.benchmark_id,
            run.name,
            run.state,
            _score(run.score),
            began(run.start_time_ms),
            _took(run.duration_ms),
        )
        for run in runs
    ]
    return columns(session.terminal, head, rows, least=("NAME", "TOOK", "BENCHMARK"))


def _run_text(session: Session, run: BenchmarkRun, scenario_runs: Sequence[ScenarioRun]) -> str:
    details = [
        ("benchmark", run.benchmark_id),
        ("name", run.name),
        ("started", began(run.start_time_ms)),
        ("took", _took(run.duration_ms)),
        ("metadata", ", ".join(f"{key}={value}" for key, value in run.metadata.items())),
    ]
    lines = [f"run {clean(run.id)}: {clean(run.state) or '-'}, score {_score(run.score)}"]
    lines += [f"  {name} {clean(value)}" for name, value in details if value]
    if not scenario_runs:
        return "\n".join([*lines, "  no scenario has been started in it"])
    return "\n".join([*lines, _scenario_run_table(session, scenario_runs)])


def _scenario_run_table(session: Session, runs: Sequence[ScenarioRun]) -> str:
    head = ("SCENARIO RUN", "SCENARIO", "NAME", "STATE", "SCORE", "TOOK", "PROBLEM")
    rows = []
    for run in runs:
        attempt = of_run(BenchmarkRun(id=run.id), [run]).attempts[0]
        cells = (run.id, run.scenario_id, run.name, run.state, _score(run.score))
        rows.append((*cells, _took(run.duration_ms), attempt.problem))
    return columns(session.terminal, head, rows, least=("TOOK", "NAME"))


def _benchmark_table(session: Session, benchmarks: Sequence[Benchmark]) -> str:
    rows = [
        (item.id, item.name, len(item.scenario_ids or ()), item.status or None)
        for item in benchmarks
    ]
    return columns(session.terminal, ("ID", "NAME", "SCENARIOS", "STATUS"), rows)


def _job_table(session: Session, jobs: Sequence[Job]) -> str:
    rows = [
        (job.id, job.name, job.benchmark_id, job.state, began(job.create_time_ms)) for job in jobs
    ]
    return columns(session.terminal, ("ID", "NAME", "BENCHMARK", "STATE", "CREATED"), rows)


def _job_text(session: Session, job: Job) -> str:
    lines = [f"job {clean(job.id)} ({clean(job.name or '-')}): {clean(job.state) or '-'}"]
    if job.failure_reason:
        lines.append(f"  {clean(job.failure_reason)}")
    lines += [
        f"  run {clean(item.benchmark_run_id)} is {clean(item.state)}"
        for item in job.in_progress_runs or []
    ]
    for measured in of_job(job):
        average = f"average {_score(measured.score)} over what was completed"
        lines.append(f"  {measured.name}: {average}")
        head = ("SCENARIO", "NAME", "STATE", "SCORE", "PROBLEM")
        rows = [
            (
                item.scenario_id,
                item.name,
                item.state,
                None if item.score is None else share(item.score),
                item.problem,
            )
            for item in measured.attempts
        ]
        lines.append(columns(session.terminal, head, rows, indent=4))
    return "\n".join(lines)


def _score(value: Any) -> str:
    score = read_score(value)
    return "-" if score is None else share(score)


def _took(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else format_duration(max(milliseconds // 1000, 0))
