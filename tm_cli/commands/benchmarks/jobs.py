"""`tm benchmarks job`: benchmark runs that the service itself drives."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from tm_cli.cli import options
from tm_cli.cli.app import App
from tm_cli.cli.global_options import group
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.commands.benchmarks import options as benchmark_options
from tm_cli.errors import UsageError

app = App()


@app.callback()
@group
def job() -> None:
    """Gate benchmark jobs, which the service drives."""


@app.command("start")
@with_session
def start(
    session: CommandContext,
    *,
    benchmark: Annotated[
        str | None, typer.Argument(metavar="[BENCHMARK]", help="Benchmark id or exact name.")
    ] = None,
    agent: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:MODEL]", help="Agent to run, with an optional model; repeatable."
        ),
    ] = None,
    scenario: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Scenario to run instead of a benchmark; repeatable."),
    ] = None,
    spec: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Complete job specification, JSON or YAML."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the job. [generated]")
    ] = None,
    agent_timeout: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Maximum run time of an agent.")
    ] = None,
    agent_secret: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VARIABLE=SECRET",
            help="Account secret to pass to the agent as an environment variable; repeatable.",
        ),
    ] = None,
    attempts: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Number of retries of a failed scenario.")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Number of scenarios to run in parallel.")
    ] = None,
    wait: benchmark_options.Wait = False,
    rule_options: benchmark_options.RuleOptions,
    baseline: benchmark_options.Baseline = None,
    gate_options: options.GateOptions,
    confirm: options.Confirm = 0,
    wait_options: options.WaitOptions,
) -> int:
    """Start a job; with --wait, exit by the worst verdict of its agents.

    tm benchmarks job start bmd_1 --agent coder:fast --wait --min-score 85%
    """
    options.reject_space_after_comma(gate_options.fail_on, [benchmark] if benchmark else [])
    rules = rule_options.read()
    if wait:
        benchmark_options.require_a_rule(rules)
    else:
        options.refuse_without_wait(confirm=confirm, report=wait_options.report)
    with wait_options.open(session) as behavior:
        gate = gate_options.read(session, confirm=confirm)
        from tm_cli.commands.benchmarks.job_gate import BenchmarkJobGate, read_start
        from tm_cli.commands.shared.gate import start_and_wait, start_only

        request = read_start(
            session,
            benchmark=benchmark,
            scenarios=scenario or [],
            spec=spec,
            agents=agent or [],
            name=name,
            agent_timeout=agent_timeout,
            agent_secrets=options.read_pairs("--agent-secret", agent_secret),
            attempts=attempts,
            concurrency=concurrency,
        )
        jobs = BenchmarkJobGate(session, rules, benchmark_options.read_baseline(baseline, None))
        if wait:
            return start_and_wait(jobs, gate, behavior, partial(jobs.plan, request))
        return start_only(jobs, gate, partial(jobs.plan, request, gate))


@app.command("wait")
@with_session
def wait(
    session: CommandContext,
    *,
    job_id: Annotated[list[str], typer.Argument(metavar="JOB...", help="Benchmark job ids.")],
    rule_options: benchmark_options.RuleOptions,
    baseline: benchmark_options.Baseline = None,
    gate_options: options.GateOptions,
    wait_options: options.WaitOptions,
    fail_fast: options.FailFast = False,
) -> int:
    """Wait for a job, and exit by the worst verdict of its agents.

    tm benchmarks job wait bmj_1 --min-score 85%
    """
    options.reject_space_after_comma(gate_options.fail_on, job_id)
    rules = rule_options.read()
    benchmark_options.require_a_rule(rules)
    with wait_options.open(session, fail_fast=fail_fast) as behavior:
        gate = gate_options.read(session)
        from tm_cli.commands.benchmarks.job_gate import BenchmarkJobGate
        from tm_cli.commands.shared.gate import wait_for

        if len(set(job_id)) != len(job_id):
            raise UsageError("a job is named twice")
        jobs = BenchmarkJobGate(session, rules, benchmark_options.read_baseline(baseline, None))
        return wait_for(jobs, gate, behavior, partial(jobs.attach, job_id))


@app.command("list")
@with_session
def list_jobs(
    session: CommandContext,
    name: benchmark_options.NameFilter = None,
    search: benchmark_options.Search = None,
    limit: benchmark_options.Limit = 20,
) -> int:
    """List benchmark jobs, newest first.

    tm benchmarks job list
    """
    from tm_cli.commands.benchmarks import views

    return views.list_jobs(session, {"name": name, "search": search}, limit)


@app.command("show")
@with_session
def show(
    session: CommandContext,
    job_id: Annotated[str, typer.Argument(metavar="JOB", help="Benchmark job id.")],
) -> int:
    """Show a job with the results of each agent in each scenario.

    tm benchmarks job show bmj_1
    """
    from tm_cli.commands.benchmarks import views

    return views.show_job(session, job_id)
