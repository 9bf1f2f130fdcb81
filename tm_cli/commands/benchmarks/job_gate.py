"""`tm benchmarks job start` and `tm benchmarks job wait`: the gate over benchmark jobs."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tm_cli.api.runloop import BenchmarkJob
from tm_cli.backends.runloop.baseline import LAST, expect, find_benchmark
from tm_cli.backends.runloop.jobs import BenchmarkJobs, get_job, select_baseline_job
from tm_cli.backends.runloop.judge import Expected
from tm_cli.backends.runloop.rules import Rules
from tm_cli.backends.runloop.start import read_job_spec
from tm_cli.cli.session import CommandContext
from tm_cli.commands.benchmarks.terms import JOB, RememberedBenchmark, RunloopGate
from tm_cli.commands.shared.follow import FollowedRun
from tm_cli.commands.shared.gate import StartOutcome
from tm_cli.commands.shared.last_start import RememberedRun
from tm_cli.errors import UsageError
from tm_cli.gate.backend import Backend
from tm_cli.gate.policy import Gate
from tm_cli.values.durations import parse_duration
from tm_cli.values.text import sanitize
from tm_cli.values.verdict import format_fail_on


@dataclass(frozen=True, slots=True)
class BenchmarkJobStart:
    """What the user asked to start; `benchmark` is an id or a name."""

    spec: Mapping[str, Any]
    benchmark: str | None
    name: str | None


def read_start(
    session: CommandContext,
    *,
    benchmark: str | None,
    scenarios: Sequence[str],
    spec: str | None,
    agents: Sequence[str],
    name: str | None,
    agent_timeout: str | None,
    agent_secrets: Mapping[str, str],
    attempts: int | None,
    concurrency: int | None,
) -> BenchmarkJobStart:
    """Check all that needs no server; raises UsageError and ConfigurationError."""
    if [benchmark is not None, bool(scenarios), spec is not None].count(True) != 1:
        raise UsageError("name a BENCHMARK, or give --scenario, or --spec")
    if spec is not None:
        if agents or agent_timeout or agent_secrets or attempts is not None or concurrency:
            raise UsageError("--spec is the whole specification; it goes with no other part of one")
        document = read_job_spec(session.context.cwd / spec)
        return BenchmarkJobStart(document, document.get("benchmark_id"), name)
    if not agents:
        raise UsageError("a job measures agents", hint="name at least one: --agent NAME[:MODEL]")
    limit = _seconds(agent_timeout)
    found: dict[str, Any] = {"type": "scenarios", "scenario_ids": list(scenarios)}
    if benchmark is not None:
        found = {"type": "benchmark", "benchmark_id": benchmark}
    found["agent_configs"] = [_agent(text, limit, agent_secrets) for text in agents]
    orchestrator = {"n_attempts": attempts, "n_concurrent_trials": concurrency}
    if given := {key: value for key, value in orchestrator.items() if value is not None}:
        found["orchestrator_config"] = given
    return BenchmarkJobStart(found, benchmark, name)


def _agent(text: str, timeout: float | None, secrets: Mapping[str, str]) -> dict[str, Any]:
    name, _, model = text.partition(":")
    if not name.strip():
        raise UsageError(f"--agent: {text!r} is not NAME[:MODEL]")
    found: dict[str, Any] = {"type": "job_agent", "name": name}
    if model:
        found["model_name"] = model
    if timeout is not None:
        found["timeout_seconds"] = timeout
    if secrets:
        found["agent_environment"] = {"secrets": dict(secrets)}
    return found


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as problem:
        raise UsageError(f"--agent-timeout: {problem}") from None


@dataclass(frozen=True, slots=True)
class JobTerms:
    """What a job is judged by, fixed before it starts; `agents` is None where it is not known."""

    rules: Rules
    expected: Expected
    baseline: BenchmarkJob | None
    choice: str | None
    agents: int | None


class BenchmarkJobGate(RunloopGate):
    """Starts benchmark jobs, which the service itself drives, and waits for them."""

    stopping = "cancels the runs of the job"
    detaching = "leaves the job going"

    def plan(self, request: BenchmarkJobStart, gate: Gate) -> list[FollowedRun[Backend]]:
        """Fix everything that the job is judged by, and start nothing."""
        spec, benchmark_id = dict(request.spec), None
        expected, name = Expected(count=self.rules.expected), sanitize(request.name or "job")
        ids = spec.get("scenario_ids")
        scenario_ids = frozenset(map(str, ids)) if isinstance(ids, list) else None
        if request.benchmark is not None:
            benchmark = find_benchmark(self.client, request.benchmark)
            spec["benchmark_id"] = benchmark_id = benchmark.id
            expected = expect(benchmark, self.rules)
            name = sanitize(benchmark.name or benchmark.id)
        elif scenario_ids:
            expected = Expected(scenario_ids)
        configs = spec.get("agent_configs")
        agents = len(configs) if isinstance(configs, list) else None
        terms = self._terms(self.rules, expected, agents, benchmark_id, scenario_ids)
        jobs = self._jobs(name, terms, gate, spec, request.name)
        details = _remembered_terms(terms, gate).document()
        return [FollowedRun(name, jobs, benchmark_id, details)]

    def attach(self, job_ids: Sequence[str], gate: Gate) -> list[FollowedRun[Backend]]:
        """Return jobs that are there already; fix now what a start would have fixed."""
        return [self._attached(job_id, self.rules, gate) for job_id in job_ids]

    def start(self, run: FollowedRun[Backend]) -> StartOutcome:
        run.runs.prepare()
        found = run.runs.start()
        text = f"started job {sanitize(found.run_id)}: {found.status}"
        return StartOutcome(text, found.run_id, found.status, found.resume)

    def _attached(self, job_id: str, rules: Rules, gate: Gate) -> FollowedRun[Backend]:
        job = get_job(self.client, job_id)
        expected = Expected(job.scenario_ids, rules.expected)
        if expected.ids is None and job.benchmark_id is not None:
            expected = expect(find_benchmark(self.client, job.benchmark_id), rules, to_run=False)
        configs = (job.job_spec or {}).get("agent_configs")
        agents = len(configs) if isinstance(configs, list) and configs else None
        terms = self._terms(rules, expected, agents, job.benchmark_id, job.scenario_ids, than=job)
        return self._existing(job.id, sanitize(job.name or job.id), terms, gate)

    def reattach(
        self, entry: RememberedRun, found: RememberedBenchmark, gate: Gate
    ) -> FollowedRun[Backend]:
        was_not_sought = found.choice is None and found.rules.needs_baseline
        if was_not_sought or self.baseline.run is not None:
            return self._attached(entry.run_id, found.rules, gate)
        baseline = get_job(self.client, found.baseline) if found.baseline else None
        terms = JobTerms(found.rules, found.expected, baseline, found.choice, found.agents)
        return self._existing(entry.run_id, sanitize(entry.subject), terms, gate)

    def _existing(
        self, job_id: str, name: str, terms: JobTerms, gate: Gate
    ) -> FollowedRun[Backend]:
        jobs = self._jobs(name, terms, gate)
        return FollowedRun(name, jobs, attach_to=jobs.attach(job_id))

    def _terms(
        self,
        rules: Rules,
        expected: Expected,
        agents: int | None,
        benchmark_id: str | None,
        scenario_ids: frozenset[str] | None,
        *,
        than: BenchmarkJob | None = None,
    ) -> JobTerms:
        """Choose the baseline, once and for all, and say which it is."""
        baseline = select_baseline_job(
            self.client,
            rules,
            self.baseline,
            benchmark_id=benchmark_id,
            scenario_ids=scenario_ids,
            than=than,
        )
        if baseline is not None:
            name = sanitize(baseline.name or "-")
            self.session.note(f"tm: baseline job {sanitize(baseline.id)} ({name})")
        elif rules.needs_baseline:
            self.session.note("tm: no baseline: there is no earlier job of the same scenarios")
        choice = self.baseline.run or (LAST if rules.needs_baseline else None)
        return JobTerms(rules, expected, baseline, choice, agents)

    def _jobs(
        self,
        subject: str,
        terms: JobTerms,
        gate: Gate,
        spec: Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> BenchmarkJobs:
        """Return the jobs of a specification; without one they can only be attached to."""
        flags = self.resume_flags(gate, terms.rules, terms.baseline.id if terms.baseline else None)

        def resume(job_id: str) -> str:
            words = ["tm", "benchmarks", "job", "wait", sanitize(job_id), *map(sanitize, flags)]
            return shlex.join(words)

        return BenchmarkJobs(
            self.client,
            self.session.context.clock,
            subject=subject,
            rules=terms.rules,
            expected=terms.expected,
            make_token=self.session.context.make_token,
            baseline=terms.baseline,
            choice=terms.choice,
            spec=spec,
            name=name,
            agents=terms.agents,
            stop_client=self.stop_client(),
            resume=resume,
        )


def _remembered_terms(terms: JobTerms, gate: Gate) -> RememberedBenchmark:
    return RememberedBenchmark(
        JOB,
        terms.rules,
        terms.expected,
        baseline=terms.baseline.id if terms.baseline else None,
        choice=terms.choice,
        fail_on=format_fail_on(gate.fail_on) or None,
        agents=terms.agents,
    )
