"""The measurements of a run, or of one agent of a job, in one form for the judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tm_cli.api.runloop import BenchmarkJob, BenchmarkRun, JobOutcome, ScenarioOutcome, ScenarioRun
from tm_cli.backends.runloop.rules import read_score
from tm_cli.values.text import sanitize

COMPLETED = "completed"
CANCELED = "canceled"
FAILED = "failed"
TIMEOUT = "timeout"
SCORED = "scored"
ENDED = frozenset({COMPLETED, CANCELED, FAILED, TIMEOUT})
"""States that no run, scenario run or job leaves again."""

FINISHED = ENDED | {SCORED}
"""States in which a scenario run has done its work; `scored` waits to be completed."""

UNDER_WAY = frozenset({"running", "scoring", "initializing", "queued"})


@dataclass(frozen=True, slots=True)
class ScenarioAttempt:
    """One attempt at one scenario; `problem` says why its score does not count."""

    scenario_id: str
    state: str
    score: float | None = None
    name: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """A benchmark run as its judge sees it.

    `score` is what the server sent, usable or not. `name` is for messages, `reported_failures`
    is how many attempts the server itself counts as failed, where it does.
    """

    run_id: str
    name: str
    state: str
    score: Any
    attempts: tuple[ScenarioAttempt, ...]
    benchmark_id: str | None = None
    began_ms: int | None = None
    reported_failures: int = 0

    @property
    def usable_score(self) -> float | None:
        """The score from 0 to 1; None when it is missing or no such number."""
        return read_score(self.score)

    @property
    def scenario_ids(self) -> frozenset[str]:
        return frozenset(attempt.scenario_id for attempt in self.attempts)

    @property
    def failures(self) -> tuple[ScenarioAttempt, ...]:
        """The attempts without a measurement."""
        return tuple(attempt for attempt in self.attempts if attempt.problem is not None)


def of_run(run: BenchmarkRun, scenario_runs: Sequence[ScenarioRun]) -> Measured:
    return Measured(
        run_id=run.id,
        name=f"run {sanitize(run.id)}",
        state=run.state,
        score=run.score,
        attempts=tuple(_of_scenario_run(item) for item in scenario_runs),
        benchmark_id=run.benchmark_id,
        began_ms=run.start_time_ms,
    )


def of_job(job: BenchmarkJob) -> list[Measured]:
    """Return what each agent of a job shows; its average leaves out what was not completed."""
    return [_of_outcome(job, outcome) for outcome in job.benchmark_outcomes or []]


def agent_name(outcome: JobOutcome) -> str:
    model = f" ({sanitize(outcome.model_name)})" if outcome.model_name else ""
    return f"agent {sanitize(outcome.agent_name or 'without a name')}{model}"


def _of_outcome(job: BenchmarkJob, outcome: JobOutcome) -> Measured:
    return Measured(
        run_id=outcome.benchmark_run_id or job.id,
        name=agent_name(outcome),
        state=job.state,
        score=outcome.average_score,
        attempts=tuple(_of_scenario_outcome(item) for item in outcome.scenario_outcomes),
        benchmark_id=job.benchmark_id,
        began_ms=job.create_time_ms,
        reported_failures=(outcome.n_failed or 0) + (outcome.n_timeout or 0),
    )


def _of_scenario_run(run: ScenarioRun) -> ScenarioAttempt:
    score = read_score(run.score)
    return ScenarioAttempt(
        run.scenario_id,
        run.state,
        score,
        run.name,
        _problem(run.state, score, run.broken_scorers, None),
    )


def _of_scenario_outcome(outcome: ScenarioOutcome) -> ScenarioAttempt:
    score = read_score(outcome.score)
    return ScenarioAttempt(
        outcome.scenario_definition_id,
        outcome.state,
        score,
        outcome.scenario_name,
        _problem(outcome.state, score, (), outcome.failure_reason),
    )


def _problem(
    state: str,
    score: float | None,
    broken_scorers: Sequence[str],
    reason: Mapping[str, Any] | None,
) -> str | None:
    if state in FINISHED - {COMPLETED, SCORED}:
        message = (reason or {}).get("exception_message") or (reason or {}).get("exception_type")
        return f"{state}: {sanitize(message)}" if message else state
    if broken_scorers:
        return f"its scorer {sanitize(broken_scorers[0])} failed"
    if state in FINISHED and score is None:
        return f"{state} without a usable score"
    return None
