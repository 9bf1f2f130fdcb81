"""Benchmark jobs for the gate (section 6 of the contract): the service itself drives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from tm_cli.api.errors import ApiError, HttpError
from tm_cli.api.runloop.client import Client
from tm_cli.api.runloop.models import Job
from tm_cli.backends.runloop.baseline import LAST, NOT_THERE, BaselineWish
from tm_cli.backends.runloop.judge import Baseline, Case, Expected
from tm_cli.backends.runloop.measurements import COMPLETED, ENDED, UNDER_WAY, Measured, of_job
from tm_cli.backends.runloop.results import baseline_result, failed_result, job_result
from tm_cli.backends.runloop.rules import Rules
from tm_cli.backends.runloop.runs import Watch, count
from tm_cli.backends.runloop.start import Patience, Starter
from tm_cli.errors import Refused, TmError, Undecided
from tm_cli.gate.model import Missing, Phase, Progress, Result, Run
from tm_cli.runtime.clock import Clock
from tm_cli.values.text import clean


class BenchmarkJobs:
    """The jobs of one specification.

    `agents` is how many outcomes a job must have, None where nobody knows. `baseline` is an earlier
    job, each of whose agents is compared with its namesake.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock,
        *,
        subject: str,
        rules: Rules,
        expected: Expected,
        make_token: Callable[[], str],
        baseline: Job | None = None,
        choice: str | None = None,
        spec: Mapping[str, Any] | None = None,
        name: str | None = None,
        agents: int | None = None,
        hasty: Client | None = None,
        resume: Callable[[str], str] | None = None,
    ) -> None:
        self._client = client
        self._once = client.reading_once()
        self._hasty = hasty or client
        self._clock = clock
        self._subject = subject
        self._rules = rules
        self._expected = expected
        self._make_token = make_token
        self._baseline = baseline
        self._choice = choice
        self._spec = spec or {}
        self._name = name
        self._agents = agents
        self._resume = resume or (lambda _job_id: "")
        self._watch: Watch | None = None
        self._patience = Patience(clock)
        self._under_way: tuple[str, ...] = ()
        self._started: str | None = None

    def prepare(self) -> None:
        """Everything is fixed already."""

    def start(self) -> Run:
        """Create one job; only a name of our own tells it from others when the answer is lost."""
        token = self._make_token()
        name = self._name or f"tm-{token}"
        starter = Starter(
            self._clock,
            send=lambda: self._client.create_job(self._spec, name=name, request_id=f"tm-{token}"),
            look=lambda: None if self._name else self._look(name),
            hint=f"look for it with `tm benchmarks job list --name {clean(name)}`",
        )
        job, asked_at = starter.start()
        self._watch, self._under_way, self._started = None, (), name
        self._patience.started()
        return self._as_run(job.id, job.state, asked_at)

    def attach(self, job_id: str) -> Run:
        """Return the job that somebody has created."""
        return self._as_run(job_id, "", None)

    def observe(self, run: Run) -> Progress:
        """Look at the job and at the scenarios of its runs."""
        job = self._read(run)
        state = clean(job.state) or "no state"
        if job.state in ENDED:
            return Progress(Phase.ENDED, state, is_ours=True)
        active = [item for item in job.in_progress_runs or [] if item.state in UNDER_WAY]
        self._under_way = tuple(item.benchmark_run_id for item in active)
        items = self._items(job)
        watch = self._watch = self._watch or Watch(self._clock, job.id)
        total = self._total(job)
        warnings = watch.warnings(job.state, items or None, total)
        return Progress(
            Phase.ACTIVE, state, is_ours=True, warnings=warnings, items=items or {}, expected=total
        )

    def find_result(self, run: Run) -> Result | Missing:
        """Judge what each agent has shown."""
        job = self._read(run)
        if job.state not in ENDED:
            raise Undecided(f"job {clean(job.id)} had ended and is {clean(job.state)} now")
        facts = job.document()
        measured = of_job(job)
        if job.state != COMPLETED and not measured:
            why = f": {clean(job.failure_reason)}" if job.failure_reason else ""
            return failed_result(job.id, f"job {clean(job.id)} is {clean(job.state)}{why}", facts)
        if not measured:
            return Result(
                job.id, None, None, facts={**facts, "id": job.id}, note="the job has no outcome"
            )
        result = job_result(job.id, [self._case(job, item) for item in measured], facts)
        told = len({(item.run_id, item.name) for item in measured})  # one told twice is one
        if self._agents is not None and told < self._agents:
            reason = f"only {told} of {self._agents} agents have an outcome"
            return failed_result(job.id, f"incomplete: {reason}", facts)
        return result

    def confirm(self, run: Run, result: Result) -> Result:
        """Read the job once more: its state and outcomes must not have changed since."""
        try:
            seen = self._read(run).document()
        except ApiError:
            return result
        if any(
            seen.get(name) != result.facts.get(name) for name in ("state", "benchmark_outcomes")
        ):
            raise Undecided(f"job {clean(run.run_id)} changed while it was judged")
        return result

    def find_baseline(self, result: Result) -> Result | None:
        """Return the first agent of the job that was pinned."""
        found = of_job(self._baseline) if self._baseline else []
        return baseline_result(Baseline(found[0])) if found else None

    def stop(self, run: Run) -> None:
        """Cancel the runs of the job: the API cannot cancel the job itself."""
        problem: TmError = Refused(f"job {clean(run.run_id)} has no run that could be canceled")
        is_canceled = False
        for run_id in self._under_way:
            try:
                self._hasty.cancel_run(run_id)
                is_canceled = True
            except ApiError as error:  # the others cost money as well
                problem = error
        if not is_canceled:
            raise problem

    def observed_nothing(self, error: TmError) -> float | None:
        """Ride out whatever says nothing about the job; a refused key is final."""
        return self._patience.pause_after(error)

    def _case(self, job: Job, measured: Measured) -> Case:
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
        return Baseline(why=f"job {clean(self._baseline.id)} has no {measured.name}")

    def _look(self, name: str) -> Job | None:
        found = [job for job in self._once.list_jobs(name=name) if job.name == name]
        return found[0] if len(found) == 1 else None

    def _as_run(self, job_id: str, state: str, asked_at: datetime | None) -> Run:
        return Run(job_id, self._subject, clean(state), asked_at, self._resume(job_id) or None)

    def _read(self, run: Run) -> Job:
        try:
            job = self._once.get_job(run.run_id or "")
        except HttpError as error:
            if error.status in NOT_THERE and not self._patience.excuses(error):
                raise unknown_job(run.run_id or "") from None
            raise
        if self._started is not None and job.name != self._started:
            raise Undecided(
                f"job {clean(job.id)} does not have the name of this start",
                hint=f"look with `tm benchmarks job show {clean(job.id)}`",
            )
        self._patience.seen()
        return job

    def _items(self, job: Job) -> dict[str, int]:
        """Scenarios by state, of agents that are done and of those under way."""
        states = [
            item.state for done in job.benchmark_outcomes or [] for item in done.scenario_outcomes
        ]
        for run_id in self._under_way:
            with suppress(ApiError):
                states += [item.state for item in self._once.list_scenario_runs(run_id)]
        return count(states)

    def _total(self, job: Job) -> int | None:
        each = self._expected.total or len(job.scenario_ids or ())
        return each * (self._agents or 1) or None


def unknown_job(job_id: str) -> TmError:
    """Return the error for a job that the server does not know."""
    return TmError(
        f"the server knows no benchmark job {clean(job_id)}",
        hint="`tm benchmarks job list` shows them; a benchmark API that is gone answers the same",
        code="unknown_job",
    )


def get_job(client: Client, job_id: str) -> Job:
    """Return a job, or raise TmError saying that there is none."""
    try:
        return client.get_job(job_id)
    except HttpError as error:
        if error.status not in NOT_THERE:
            raise
        raise unknown_job(job_id) from None


def pin_job(
    client: Client,
    rules: Rules,
    wish: BaselineWish,
    *,
    benchmark_id: str | None,
    scenario_ids: frozenset[str] | None,
    than: Job | None = None,
) -> Job | None:
    """Choose the job to compare with, once and for all; None when there is none.

    `than` is the job to be judged where it exists already. Raises Refused when the job that was
    named cannot be a baseline.
    """
    if wish.run is not None and wish.run != LAST:
        named = get_job(client, wish.run)
        if named.state != COMPLETED or not named.benchmark_outcomes:
            raise Refused(f"job {clean(named.id)} cannot be the baseline: it is not completed")
        if not _is_alike(named, benchmark_id, scenario_ids):
            raise Refused(f"job {clean(named.id)} cannot be the baseline: it is of other scenarios")
        return named
    if wish.run is None and not rules.needs_baseline:
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


def _is_older(job: Job, than: Job) -> bool:
    if job.create_time_ms is None or than.create_time_ms is None:
        return False
    return job.id != than.id and job.create_time_ms < than.create_time_ms


def _is_alike(job: Job, benchmark_id: str | None, scenario_ids: frozenset[str] | None) -> bool:
    if benchmark_id is not None:
        return job.benchmark_id == benchmark_id
    return scenario_ids is not None and job.scenario_ids == scenario_ids
