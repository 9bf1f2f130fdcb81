"""Benchmark jobs for the gate (section 6 of the contract): the service itself runs them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Unpack

from tm_cli.api.errors import ApiError, HttpError
from tm_cli.api.runloop import BenchmarkJob, RunloopClient
from tm_cli.backends.runloop.baseline import LAST, NOT_THERE, BaselineQuery
from tm_cli.backends.runloop.judge import Baseline, Case, Expected
from tm_cli.backends.runloop.measurements import COMPLETED, ENDED, UNDER_WAY, Measured, of_job
from tm_cli.backends.runloop.results import baseline_result, failed_result, job_result
from tm_cli.backends.runloop.rules import Rules
from tm_cli.backends.runloop.runs import BackendOptions, RunloopBackend, count_states
from tm_cli.backends.runloop.start import BenchmarkStarter, not_started
from tm_cli.errors import Refused, TmError, Undecided
from tm_cli.gate.model import Missing, Phase, Progress, Result, Run
from tm_cli.runtime.clock import Clock
from tm_cli.values.text import sanitize


class BenchmarkJobs(RunloopBackend):
    """The jobs of one specification.

    `agents` is how many outcomes a job must have, None where that is not known. `baseline` is an
    earlier job, each of whose agents is compared with the one of the same name.
    """

    def __init__(
        self,
        client: RunloopClient,
        clock: Clock,
        *,
        rules: Rules,
        expected: Expected,
        baseline: BenchmarkJob | None = None,
        choice: str | None = None,
        spec: Mapping[str, Any] | None = None,
        name: str | None = None,
        agents: int | None = None,
        **options: Unpack[BackendOptions],
    ) -> None:
        super().__init__(client, clock, **options)
        self._rules = rules
        self._expected = expected
        self._baseline = baseline
        self._choice = choice
        self._spec = spec or {}
        self._name = name
        self._agents = agents
        self._under_way: tuple[str, ...] = ()
        self._started: str | None = None
        self._known = frozenset({baseline.id} if baseline else ())

    def prepare(self) -> None:
        """Read which jobs have a chosen name already: the answer to the start must name another."""
        if self._name is not None:
            with suppress(ApiError):
                self._known |= {job.id for job in self._client.list_jobs(name=self._name)}

    def start(self) -> Run:
        """Create one job; when the answer is lost, only a generated name identifies it."""
        token = self._make_token()
        name = self._name or f"tm-{token}"
        starter = BenchmarkStarter(
            self._clock,
            send=lambda: self._send(name, token),
            find=lambda: None if self._name else self._find_started(name),
            hint=f"look for it with `tm benchmarks job list --name {sanitize(name)}`",
        )
        job, asked_at = starter.start()
        self._known |= {job.id}
        self._stall, self._under_way, self._started = None, (), name
        self._not_found.started()
        return self._as_run(job.id, job.state, asked_at)

    def _send(self, name: str, token: str) -> BenchmarkJob:
        job = self._client.create_job(self._spec, name=name, request_id=f"tm-{token}")
        if job.id in self._known:
            raise not_started(job, ", which was there before")
        if job.state == COMPLETED:
            raise not_started(job, f", which is {COMPLETED} already")
        return job

    def observe(self, run: Run) -> Progress:
        job = self._read(run)
        if job.state in ENDED:
            return Progress(Phase.ENDED, sanitize(job.state), is_ours=True)
        active = [item for item in job.in_progress_runs or [] if item.state in UNDER_WAY]
        self._under_way = tuple(item.benchmark_run_id for item in active)
        return self._active(job.id, job.state, self._items(job) or None, self._total(job))

    def find_result(self, run: Run) -> Result | Missing:
        job = self._read(run)
        if job.state not in ENDED:
            raise Undecided(f"job {sanitize(job.id)} had ended and is {sanitize(job.state)} now")
        facts = job.document()
        measured = of_job(job)
        if job.state != COMPLETED and not measured:
            why = f": {sanitize(job.failure_reason)}" if job.failure_reason else ""
            return failed_result(
                job.id, f"job {sanitize(job.id)} is {sanitize(job.state)}{why}", facts
            )
        if not measured:
            return Result(
                job.id, None, None, facts={**facts, "id": job.id}, note="the job has no outcome"
            )
        result = job_result(job.id, [self._case(job, item) for item in measured], facts)
        reported = len({(item.run_id, item.name) for item in measured})
        if self._agents is not None and reported < self._agents:
            reason = f"only {reported} of {self._agents} agents have an outcome"
            return failed_result(job.id, f"incomplete: {reason}", facts)
        return result

    def confirm(self, run: Run, result: Result) -> Result:
        """Read the job again: its state and outcomes must not have changed since."""
        try:
            seen = self._read(run).document()
        except ApiError:
            return result
        if any(
            seen.get(name) != result.facts.get(name) for name in ("state", "benchmark_outcomes")
        ):
            raise Undecided(f"job {sanitize(run.run_id)} changed while it was judged")
        return result

    def find_baseline(self, result: Result) -> Result | None:
        """Return the first agent of the baseline job."""
        found = of_job(self._baseline) if self._baseline else []
        return baseline_result(Baseline(found[0])) if found else None

    def stop(self, run: Run) -> None:
        """Cancel the runs of the job: the API cannot cancel the job itself."""
        problem: TmError = Refused(f"job {sanitize(run.run_id)} has no run that could be canceled")
        is_canceled = False
        for run_id in self._under_way:
            try:
                self._stop_client.cancel_run(run_id)
                is_canceled = True
            except ApiError as error:  # the others cost money too
                problem = error
        if not is_canceled:
            raise problem

    def _case(self, job: BenchmarkJob, measured: Measured) -> Case:
        """The expected scenarios are those fixed at the start, else those the job itself names."""
        expected = self._expected
        if expected.total is None:
            expected = Expected(job.scenario_ids)
        return Case(measured, self._rules, expected, self._baseline_of(measured))

    def _baseline_of(self, measured: Measured) -> Baseline:
        if self._baseline is None:
            return Baseline(why="there is no earlier job")
        for before in of_job(self._baseline):
            if before.name == measured.name:
                return Baseline(before, choice=self._choice)
        return Baseline(why=f"job {sanitize(self._baseline.id)} has no {measured.name}")

    def _find_started(self, name: str) -> BenchmarkJob | None:
        found = [job for job in self._reader.list_jobs(name=name) if job.name == name]
        return found[0] if len(found) == 1 else None

    def _read(self, run: Run) -> BenchmarkJob:
        job = self._read_by_id(self._reader.get_job, run, unknown_job)
        if self._started is not None and job.name != self._started:
            raise Undecided(
                f"job {sanitize(job.id)} does not have the name of this start",
                hint=f"look with `tm benchmarks job show {sanitize(job.id)}`",
            )
        self._not_found.seen()
        return job

    def _items(self, job: BenchmarkJob) -> dict[str, int]:
        """Scenarios by state, of agents that are done and of those under way."""
        states = [
            item.state for done in job.benchmark_outcomes or [] for item in done.scenario_outcomes
        ]
        for run_id in self._under_way:
            with suppress(ApiError):
                states += [item.state for item in self._reader.list_scenario_runs(run_id)]
        return count_states(states)

    def _total(self, job: BenchmarkJob) -> int | None:
        each = self._expected.total or len(job.scenario_ids or ())
        return each * (self._agents or 1) or None


def unknown_job(job_id: str) -> TmError:
    return TmError(
        f"the server knows no benchmark job {sanitize(job_id)}",
        hint="`tm benchmarks job list` shows them; a benchmark API that is gone answers the same",
        code="unknown_job",
    )


def get_job(client: RunloopClient, job_id: str) -> BenchmarkJob:
    try:
        return client.get_job(job_id)
    except HttpError as error:
        if error.status not in NOT_THERE:
            raise
        raise unknown_job(job_id) from None


def select_baseline_job(
    client: RunloopClient,
    rules: Rules,
    selection: BaselineQuery,
    *,
    benchmark_id: str | None,
    scenario_ids: frozenset[str] | None,
    than: BenchmarkJob | None = None,
) -> BenchmarkJob | None:
    """Choose the job to compare with; None when there is none.

    `than` is the job to be judged where it exists already. Raises Refused when the job that was
    named cannot be a baseline.
    """
    if selection.run is not None and selection.run != LAST:
        named = get_job(client, selection.run)
        if than is not None and named.id == than.id:
            raise Refused(f"job {sanitize(named.id)} cannot be the baseline of itself")
        if named.state != COMPLETED or not named.benchmark_outcomes:
            raise Refused(f"job {sanitize(named.id)} cannot be the baseline: it is not completed")
        if not _is_alike(named, benchmark_id, scenario_ids):
            raise Refused(
                f"job {sanitize(named.id)} cannot be the baseline: it is of other scenarios"
            )
        return named
    if selection.run is None and not rules.needs_baseline:
        return None
    candidates = [
        (job.create_time_ms, job.id)
        for job in client.list_jobs()
        if job.state == COMPLETED
        and job.create_time_ms is not None
        and _is_alike(job, benchmark_id, scenario_ids)
        and (than is None or _is_older(job, than))
    ]
    return client.get_job(max(candidates)[1]) if candidates else None


def _is_older(job: BenchmarkJob, than: BenchmarkJob) -> bool:
    if job.create_time_ms is None or than.create_time_ms is None:
        return False
    return job.id != than.id and job.create_time_ms < than.create_time_ms


def _is_alike(
    job: BenchmarkJob, benchmark_id: str | None, scenario_ids: frozenset[str] | None
) -> bool:
    if benchmark_id is not None:
        return job.benchmark_id == benchmark_id
    return scenario_ids is not None and job.scenario_ids == scenario_ids
