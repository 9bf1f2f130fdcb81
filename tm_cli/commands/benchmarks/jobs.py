"""`tm benchmarks job`: benchmark runs that the service itself drives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from tm_cli.backends.runloop.baseline import BaselineWish
from tm_cli.backends.runloop.documents import read_job_spec
from tm_cli.backends.runloop.rules import Rules
from tm_cli.cli import options
from tm_cli.cli.global_options import group
from tm_cli.cli.lazy import QuickGroup
from tm_cli.cli.session import Session, command
from tm_cli.commands.benchmarks import options as ours
from tm_cli.errors import UsageError
from tm_cli.values.durations import parse_duration

app = typer.Typer(cls=QuickGroup, add_completion=False, no_args_is_help=True)


@app.callback()
@group
def job() -> None:
    """Gate benchmark jobs, which the service itself drives."""


@app.command("start")
@command
def start(
    session: Session,
    *,
    benchmark: Annotated[
        str | None, typer.Argument(metavar="[BENCHMARK]", help="Id or exact name.")
    ] = None,
    agent: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[:MODEL]", help="Agent that is measured; repeatable."),
    ] = None,
    scenario: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Scenario instead of a benchmark; repeatable."),
    ] = None,
    spec: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Whole specification of the job, JSON or YAML."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the job. [a unique one]")
    ] = None,
    agent_timeout: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Longest time for an agent.")
    ] = None,
    agent_secret: Annotated[
        list[str] | None,
        typer.Option(metavar="VARIABLE=SECRET", help="Secret of the account; repeatable."),
    ] = None,
    attempts: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Retries of a failed scenario.")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Scenarios at the same time.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end and judge it.")] = False,
    rule_options: ours.RuleOptions,
    baseline: ours.Baseline = None,
    gate_options: options.GateOptions,
    confirm: options.Confirm = 0,
    wait_options: options.WaitOptions,
) -> int:
    """Start a job; with --wait, exit by the worst of its agents.

    tm benchmarks job start bmd_1 --agent coder:fast --wait --min-score 85%
    """
    options.refuse_torn_verdicts(gate_options.fail_on, [benchmark] if benchmark else [])
    rules = rule_options.read()
    if wait:
        ours.require_a_rule(rules)
    else:
        options.refuse_without_wait(confirm=confirm, report=wait_options.report)
    manners = wait_options.read(session)
    gate = gate_options.read(session, confirm=confirm)
    from tm_cli.commands.benchmarks import job_gate as gating

    request = read_request(
        session,
        benchmark=benchmark,
        scenarios=scenario or [],
        spec=spec,
        agents=agent or [],
        name=name,
        agent_timeout=agent_timeout,
        agent_secrets=ours.read_pairs("--agent-secret", agent_secret),
        attempts=attempts,
        concurrency=concurrency,
        rules=rules,
        baseline=ours.read_baseline(baseline, None),
    )
    if wait:
        return gating.start_and_wait(session, request, gate, manners)
    return gating.start_only(session, request, gate)


@app.command("wait")
@command
def wait(
    session: Session,
    *,
    job_id: Annotated[list[str], typer.Argument(metavar="JOB...", help="Ids of benchmark jobs.")],
    rule_options: ours.RuleOptions,
    baseline: ours.Baseline = None,
    gate_options: options.GateOptions,
    wait_options: options.WaitOptions,
    fail_fast: options.FailFast = False,
) -> int:
    """Wait for a job, and exit by the worst of its agents.

    tm benchmarks job wait bmj_1 --min-score 85%
    """
    options.refuse_torn_verdicts(gate_options.fail_on, job_id)
    rules = rule_options.read()
    ours.require_a_rule(rules)
    manners = wait_options.read(session, fail_fast=fail_fast)
    gate = gate_options.read(session)
    from tm_cli.commands.benchmarks import job_gate as gating

    if len(set(job_id)) != len(job_id):
        raise UsageError("a job is named twice")
    return gating.wait_for(
        session, job_id, rules, ours.read_baseline(baseline, None), gate, manners
    )


@app.command("list")
@command
def list_jobs(
    session: Session,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Only jobs so named.")] = None,
    search: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only with this in id or name.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="At most so many.")] = 20,
) -> int:
    """List benchmark jobs, newest first.

    tm benchmarks job list
    """
    from tm_cli.commands.benchmarks import views

    return views.list_jobs(session, {"name": name, "search": search}, limit)


@app.command("show")
@command
def show(
    session: Session,
    job_id: Annotated[str, typer.Argument(metavar="JOB", help="Id of a benchmark job.")],
) -> int:
    """Show a job: how each of its agents did in each scenario.

    tm benchmarks job show bmj_1
    """
    from tm_cli.commands.benchmarks import views

    return views.show_job(session, job_id)


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What the user asked to start; `benchmark` is an id or a name."""

    spec: Mapping[str, Any]
    benchmark: str | None
    name: str | None
    rules: Rules
    baseline: BaselineWish


def read_request(
    session: Session,
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
    rules: Rules,
    baseline: BaselineWish,
) -> JobRequest:
    """Check all that needs no server; raises UsageError and ConfigurationError."""
    if [benchmark is not None, bool(scenarios), spec is not None].count(True) != 1:
        raise UsageError("name a BENCHMARK, or give --scenario, or --spec")
    if spec is not None:
        if agents or agent_timeout or agent_secrets or attempts is not None or concurrency:
            raise UsageError("--spec is the whole specification; it goes with no other part of one")
        document = read_job_spec(session.context.cwd / spec)
        return JobRequest(document, document.get("benchmark_id"), name, rules, baseline)
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
    return JobRequest(found, benchmark, name, rules, baseline)


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
