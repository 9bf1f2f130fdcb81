"""`tm benchmarks list|show|compare|catalog|scenarios`: runs, jobs and benchmarks for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tm_cli.api.runloop import Benchmark, BenchmarkJob, BenchmarkRun, ScenarioRun
from tm_cli.backends.runloop.baseline import find_benchmark, get_run, measure
from tm_cli.backends.runloop.differences import compare_scenarios
from tm_cli.backends.runloop.jobs import get_job
from tm_cli.backends.runloop.measurements import Measured, of_job, of_run
from tm_cli.backends.runloop.rules import read_score, share
from tm_cli.cli.options import ComparisonFormat as Format
from tm_cli.cli.session import CommandContext
from tm_cli.commands.benchmarks.actions import benchmark_client
from tm_cli.errors import TmError, UsageError
from tm_cli.gate.model import Comparison
from tm_cli.render.comparisons import comparison_markdown, comparison_table
from tm_cli.render.tables import columns, instant
from tm_cli.report.writer import comparison_data
from tm_cli.values.durations import format_duration
from tm_cli.values.text import sanitize


def compare(session: CommandContext, first: str, second: str, chosen: Format) -> int:
    """Compare two runs of one benchmark and print it; nothing is judged."""
    if first == second:
        raise UsageError(f"run {sanitize(first)} is compared with itself", hint="name two runs")
    client = benchmark_client(session)
    runs = [get_run(client, run_id) for run_id in (first, second)]
    if runs[0].benchmark_id != runs[1].benchmark_id:
        raise TmError(
            f"runs {sanitize(first)} and {sanitize(second)} are of different benchmarks",
            code="not_comparable",
        )
    newer, older = sorted(runs, key=lambda run: run.start_time_ms or 0, reverse=True)
    now, before = measure(client, newer), measure(client, older)
    rows, notes = compare_scenarios(now, before)
    items = [_score_comparison(now, before), *rows]
    data = {
        "runA": newer.document(),
        "runB": older.document(),
        "comparisons": [comparison_data(item) for item in items],
        "notes": list(notes),
    }
    return session.emit(
        data,
        lambda: _shown(session, (newer, older), items, notes, chosen),
        as_json=chosen is Format.JSON,
    )


def _score_comparison(now: Measured, before: Measured) -> Comparison:
    score, earlier = now.usable_score, before.usable_score
    both = score is not None and earlier is not None
    return Comparison(
        "score",
        "%",
        value=None if score is None else score * 100,
        baseline=None if earlier is None else earlier * 100,
        change=((score or 0.0) - (earlier or 0.0)) * 100 if both else None,
        than="baseline",
    )


def _shown(
    session: CommandContext,
    runs: tuple[BenchmarkRun, BenchmarkRun],
    items: list[Comparison],
    notes: tuple[str, ...],
    chosen: Format,
) -> str:
    newer, older = runs
    names = (f"A: {sanitize(newer.id)}", f"B: {sanitize(older.id)}")
    subject = sanitize(newer.benchmark_id or "benchmark")
    title = f"{subject}: run {sanitize(newer.id)} compared with run {sanitize(older.id)}"
    facts = [f"A is {_state(newer)}, B is {_state(older)}", *notes]
    if chosen is Format.MARKDOWN:
        return comparison_markdown(items, title=title, names=names, notes=facts)
    table = comparison_table(session.terminal, items, names=names, indent=2)
    return "\n".join([title, *(f"  {line}" for line in facts), table])


def _state(run: BenchmarkRun) -> str:
    return (
        f"{sanitize(run.state) or 'in no state'}, started {began(run.start_time_ms) or 'some time'}"
    )


def began(milliseconds: int | None) -> str | None:
    """Return a time of the API in UTC; None for one that is none."""
    if milliseconds is None:
        return None
    try:
        return instant(datetime.fromtimestamp(milliseconds / 1000, UTC))
    except (OverflowError, OSError, ValueError):
        return None


Filters = Mapping[str, str | None]


def list_runs(session: CommandContext, filters: Filters, limit: int) -> int:
    """Print the newest runs; the server promises no order, so all are read."""
    found = benchmark_client(session).list_runs(**filters)
    found.sort(key=lambda run: (run.start_time_ms or 0, run.id), reverse=True)
    return _emit_list(session, "runs", found, limit, _run_table)


def show_run(session: CommandContext, run_id: str) -> int:
    client = benchmark_client(session)
    run = get_run(client, run_id)
    scenario_runs = client.list_scenario_runs(run.id)
    data = {**run.document(), "scenario_runs": [item.document() for item in scenario_runs]}
    return session.emit(data, lambda: _run_text(session, run, scenario_runs))


def list_benchmarks(session: CommandContext, filters: Filters, *, public: bool) -> int:
    found = benchmark_client(session).list_benchmarks(public=public, **filters)
    return _emit_list(session, "benchmarks", found, len(found), _benchmark_table)


def list_scenarios(session: CommandContext, benchmark: str) -> int:
    client = benchmark_client(session)
    found = client.list_scenarios(find_benchmark(client, benchmark).id)

    def table(session: CommandContext, items: Sequence[Any]) -> str:
        return columns(session.terminal, ("ID", "NAME"), [(item.id, item.name) for item in items])

    return _emit_list(session, "scenarios", found, len(found), table)


def list_jobs(session: CommandContext, filters: Filters, limit: int) -> int:
    found = benchmark_client(session).list_jobs(**filters)
    found.sort(key=lambda job: (job.create_time_ms or 0, job.id), reverse=True)
    return _emit_list(session, "jobs", found, limit, _job_table)


def show_job(session: CommandContext, job_id: str) -> int:
    job = get_job(benchmark_client(session), job_id)
    return session.emit(job.document(), lambda: _job_text(session, job))


def list_scenario_runs(session: CommandContext, filters: Filters) -> int:
    found = benchmark_client(session).list_all_scenario_runs(**filters)
    return _emit_list(session, "scenario_runs", found, len(found), _scenario_run_table)


def show_scenario_run(session: CommandContext, run_id: str) -> int:
    found = benchmark_client(session).get_scenario_run(run_id)
    return session.emit(found.document(), lambda: _scenario_run_table(session, [found]))


def _emit_list(
    session: CommandContext,
    key: str,
    found: Sequence[Any],
    limit: int,
    table: Callable[[CommandContext, Sequence[Any]], str],
) -> int:
    shown = found[:limit]
    code = session.emit({key: [item.document() for item in shown]}, lambda: table(session, shown))
    if len(found) > limit:
        session.note(f"tm: {len(found) - limit} more; --limit shows them")
    return code


def _run_table(session: CommandContext, runs: Sequence[BenchmarkRun]) -> str:
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


def run_details(run: BenchmarkRun) -> list[str]:
    """Return a line for each known field but state and score; of variables the names alone."""
    document = run.document()
    secrets = (document.get("secrets_provided") or {}).items()
    details = [
        ("benchmark", run.benchmark_id),
        ("name", run.name),
        ("started", began(run.start_time_ms)),
        ("took", _took(run.duration_ms)),
        ("purpose", run.purpose),
        ("metadata", ", ".join(f"{key}={value}" for key, value in run.labels.items())),
        ("variables", ", ".join(document.get("environment_variables") or {})),
        ("secrets", ", ".join(f"{key}={value}" for key, value in secrets)),
    ]
    return [f"{name} {sanitize(value)}" for name, value in details if value]


def _run_text(
    session: CommandContext, run: BenchmarkRun, scenario_runs: Sequence[ScenarioRun]
) -> str:
    lines = [f"run {sanitize(run.id)}: {sanitize(run.state) or '-'}, score {_score(run.score)}"]
    lines += [f"  {line}" for line in run_details(run)]
    if not scenario_runs:
        return "\n".join([*lines, "  no scenario has been started in it"])
    return "\n".join([*lines, _scenario_run_table(session, scenario_runs)])


def _scenario_run_table(session: CommandContext, runs: Sequence[ScenarioRun]) -> str:
    head = ("SCENARIO RUN", "SCENARIO", "NAME", "STATE", "SCORE", "TOOK", "PROBLEM")
    rows = []
    for run in runs:
        attempt = of_run(BenchmarkRun(id=run.id), [run]).attempts[0]
        cells = (run.id, run.scenario_id, run.name, run.state, _score(run.score))
        rows.append((*cells, _took(run.duration_ms), attempt.problem))
    return columns(session.terminal, head, rows, least=("TOOK", "NAME"))


def _benchmark_table(session: CommandContext, benchmarks: Sequence[Benchmark]) -> str:
    rows = [
        (item.id, item.name, len(item.scenario_ids or ()), item.status or None)
        for item in benchmarks
    ]
    return columns(session.terminal, ("ID", "NAME", "SCENARIOS", "STATUS"), rows)


def _job_table(session: CommandContext, jobs: Sequence[BenchmarkJob]) -> str:
    rows = [
        (job.id, job.name, job.benchmark_id, job.state, began(job.create_time_ms)) for job in jobs
    ]
    return columns(session.terminal, ("ID", "NAME", "BENCHMARK", "STATE", "CREATED"), rows)


def _job_text(session: CommandContext, job: BenchmarkJob) -> str:
    lines = [f"job {sanitize(job.id)} ({sanitize(job.name or '-')}): {sanitize(job.state) or '-'}"]
    if job.failure_reason:
        lines.append(f"  {sanitize(job.failure_reason)}")
    lines += [
        f"  run {sanitize(item.benchmark_run_id)} is {sanitize(item.state)}"
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
    return None if milliseconds is None else format_duration(max(milliseconds / 1000, 0))
