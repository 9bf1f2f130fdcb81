"""What is fixed before a run starts: its scenarios and its baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tm_cli.api.errors import HttpError
from tm_cli.api.runloop import Benchmark, BenchmarkRun, RunloopClient
from tm_cli.backends.runloop.judge import Baseline, Expected
from tm_cli.backends.runloop.measurements import COMPLETED, Measured, of_run
from tm_cli.backends.runloop.rules import Rules, read_score
from tm_cli.errors import Refused, TmError
from tm_cli.values.text import sanitize

LAST = "last"
"""The baseline that asks for the newest run that could be one."""

NOT_THERE = frozenset({404, 410})
ARCHIVED = "archived"
AMBIGUOUS, UNKNOWN = "ambiguous_benchmark", "unknown_benchmark"


@dataclass(frozen=True, slots=True)
class BaselineQuery:
    """Which run to compare with: an id, `last`, or None; `match` is metadata that it must have."""

    run: str | None = None
    match: Mapping[str, str] = field(default_factory=dict)


def find_benchmark(client: RunloopClient, text: str) -> Benchmark:
    """Return the benchmark of this id, else the only one of exactly this name.

    Raises Refused when there is none, and when the benchmark API is not served at all.
    """
    try:
        return client.get_benchmark(text)
    except HttpError as error:
        if error.status not in NOT_THERE:
            raise
    named = {
        found.id: found
        for public in (False, True)
        for found in _listed(client, text, public=public)
        if found.name == text
    }
    if len(named) == 1:
        return client.get_benchmark(next(iter(named)))
    if named:
        raise Refused(
            f"{len(named)} benchmarks are named {sanitize(text)}: "
            f"{', '.join(map(sanitize, named))}",
            hint="name one by its id",
            code=AMBIGUOUS,
        )
    raise Refused(
        f"unknown benchmark {sanitize(text)}",
        hint="`tm benchmarks catalog` lists them",
        code=UNKNOWN,
    )


def not_served(error: HttpError) -> Refused:
    """Return the error for a benchmark API that is not served; Runloop has withdrawn it."""
    return Refused(
        f"the benchmark API is not available at this base URL or for this account: {error.message}",
        hint="check RUNLOOP_BASE_URL; Runloop has withdrawn benchmarks from its newer clients",
        code="not_supported",
    )


def expect(benchmark: Benchmark, rules: Rules, *, to_run: bool = True) -> Expected:
    """Return the scenarios that a run of this benchmark must have, as they are now.

    Raises Refused when it does not say what it holds, and where it is `to_run` and cannot be.
    """
    if to_run and benchmark.status == ARCHIVED:
        raise Refused(f"benchmark {sanitize(benchmark.id)} is archived and cannot be run")
    if benchmark.scenario_ids:
        return Expected(frozenset(benchmark.scenario_ids))
    if rules.expected:
        return Expected(count=rules.expected)
    raise Refused(
        f"benchmark {sanitize(benchmark.id)} names no scenarios, so it is unknown when a run of it "
        "is complete",
        hint="say how many there must be with --expect N",
    )


def select_baseline(
    client: RunloopClient,
    benchmark_id: str | None,
    rules: Rules,
    selection: BaselineQuery,
    *,
    than: BenchmarkRun | None = None,
) -> Baseline:
    """Choose the run to compare with.

    `than` is the run to be judged where it exists already; only older ones count then. Raises
    Refused when the run that was named cannot be a baseline.
    """
    if selection.run is not None and selection.run != LAST:
        if than is not None and than.id == selection.run:
            raise Refused(f"run {sanitize(than.id)} cannot be the baseline of itself")
        return Baseline(_named(client, selection.run, benchmark_id), choice="chosen")
    if selection.run is None and not rules.needs_baseline:
        return Baseline()
    if benchmark_id is None:
        return Baseline(why="the run belongs to no benchmark")
    newest = _newest(client, benchmark_id, selection.match, than)
    if newest is None:
        return Baseline(why="no earlier run is completed and has a score")
    return Baseline(measure(client, newest), choice=LAST)


def measure(client: RunloopClient, run: BenchmarkRun) -> Measured:
    return of_run(run, client.list_scenario_runs(run.id))


def get_run(client: RunloopClient, run_id: str) -> BenchmarkRun:
    try:
        return client.get_run(run_id)
    except HttpError as error:
        if error.status not in NOT_THERE:
            raise
        raise unknown_run(run_id) from None


def unknown_run(run_id: str) -> TmError:
    return TmError(
        f"the server knows no benchmark run {sanitize(run_id)}",
        hint="`tm benchmarks list` shows them; a benchmark API that is gone answers the same",
        code="unknown_run",
    )


def _listed(client: RunloopClient, name: str, *, public: bool) -> list[Benchmark]:
    try:
        return client.list_benchmarks(public=public, name=name)
    except HttpError as error:
        if error.status not in NOT_THERE:
            raise
        raise not_served(error) from None


def _named(client: RunloopClient, run_id: str, benchmark_id: str | None) -> Measured:
    run = get_run(client, run_id)
    problem = None
    if run.state != COMPLETED:
        problem = f"it is {sanitize(run.state) or 'in no state'}"
    elif read_score(run.score) is None:
        problem = "it has no usable score"
    elif run.benchmark_id != benchmark_id:
        problem = "it is of another benchmark"
    if problem:
        raise Refused(f"run {sanitize(run_id)} cannot be the baseline: {problem}")
    return measure(client, run)


def _newest(
    client: RunloopClient, benchmark_id: str, match: Mapping[str, str], than: BenchmarkRun | None
) -> BenchmarkRun | None:
    """The newest run that could be compared with; the server's own filters are not relied on."""
    candidates = [
        (run.start_time_ms, run.id, run)
        for run in client.list_runs(benchmark_id=benchmark_id, state=COMPLETED)
        if run.benchmark_id == benchmark_id
        and run.state == COMPLETED
        and run.start_time_ms is not None
        and read_score(run.score) is not None
        and match.items() <= run.labels.items()
        and _is_older(run.id, run.start_time_ms, than)
    ]
    return max(candidates, key=lambda item: item[:2])[2] if candidates else None


def _is_older(run_id: str, start_time_ms: int, than: BenchmarkRun | None) -> bool:
    if than is None:
        return True
    began = than.start_time_ms
    return run_id != than.id and began is not None and start_time_ms < began
