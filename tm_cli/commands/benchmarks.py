"""`tm benchmarks`: gate benchmark runs of Runloop."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated

import typer

from tm_cli.commands import benchmark_looking, options
from tm_cli.commands import benchmark_options as ours
from tm_cli.commands.benchmark_jobs import app as job_app
from tm_cli.commands.benchmark_scenarios import app as scenario_app
from tm_cli.commands.session import Session, command
from tm_cli.errors import UsageError
from tm_cli.global_options import group
from tm_cli.lazy import QuickGroup

app = typer.Typer(cls=QuickGroup, add_completion=False, no_args_is_help=True)
app.add_typer(job_app, name="job")
app.add_typer(scenario_app, name="scenario")


@app.callback()
@group
def benchmarks() -> None:
    """Gate benchmark runs of Runloop: start, drive, wait, compare."""


@app.command("start")
@command
def start(
    session: Session,
    *,
    benchmark: Annotated[
        list[str], typer.Argument(metavar="BENCHMARK...", help="Ids or exact names.")
    ],
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end and judge it.")] = False,
    drive: Annotated[
        str | None,
        typer.Option(
            "--exec",
            metavar="COMMAND",
            help="Drive the run with this command: complete it when it exits 0, else cancel it. "
            "It finds the run in RUNLOOP_BENCHMARK_RUN_ID. Implies --wait.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the run. [a unique one]")
    ] = None,
    metadata: ours.Metadata = None,
    profile: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Run profile, JSON or YAML: envVars, mounts, ..."),
    ] = None,
    rule_options: ours.RuleOptions,
    baseline: ours.Baseline = None,
    match: ours.Match = None,
    gate_options: options.GateOptions,
    confirm: options.Confirm = 0,
    wait_options: options.WaitOptions,
    fail_fast: options.FailFast = False,
) -> int:
    """Start a run, or several; with --wait or --exec, exit by its verdict.

    tm benchmarks start bmd_1 --exec "python drive.py" --min-score 85% --max-drop 3%

    tm benchmarks start bmd_1 --wait --min-score 0.85 --baseline last --match branch=main
    """
    options.refuse_torn_verdicts(gate_options.fail_on, benchmark)
    rules = rule_options.read()
    waits = wait or drive is not None
    if waits:
        ours.require_a_rule(rules)
    else:
        options.refuse_without_wait(
            confirm=confirm,
            fail_fast=fail_fast,
            report=wait_options.report,
        )
    with wait_options.open(session, fail_fast=fail_fast) as behavior:
        gate = gate_options.read(session, confirm=confirm)
        from tm_cli.commands.benchmark_gating import BenchmarkGate, read_start
        from tm_cli.commands.shared.gate import start_and_wait, start_only

        chosen = ours.read_baseline(baseline, match)
        request = read_start(
            session,
            benchmarks=benchmark,
            name=name,
            metadata=options.read_pairs("--metadata", metadata),
            profile=profile,
            baseline=chosen,
            drive=drive,
        )
        runs = BenchmarkGate(session, rules, chosen)
        if waits:
            if drive is not None:  # the driver writes to the same screen
                behavior = replace(behavior, redraws=False)
            return start_and_wait(runs, gate, behavior, partial(runs.plan, request))
        return start_only(runs, runs.plan(request, gate), gate)


@app.command("wait")
@command
def wait(
    session: Session,
    *,
    run: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN]...", help="Ids of benchmark runs.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Wait for the only run of this name.")
    ] = None,
    last: options.Last = False,
    rule_options: ours.RuleOptions,
    baseline: ours.Baseline = None,
    match: ours.Match = None,
    gate_options: options.GateOptions,
    wait_options: options.WaitOptions,
    fail_fast: options.FailFast = False,
) -> int:
    """Wait for a run that something else drives, and exit by its verdict.

    tm benchmarks wait bmr_7 --min-score 85%

    tm benchmarks wait --last
    """
    options.refuse_torn_verdicts(gate_options.fail_on, run or [])
    if [bool(run), name is not None, last].count(True) != 1:
        raise UsageError("name runs by their ids, or one with --name, or give --last")
    rules = rule_options.read()
    chosen = ours.read_baseline(baseline, match)
    if not last:
        ours.require_a_rule(rules)
    with wait_options.open(session, fail_fast=fail_fast) as behavior:
        gate = gate_options.read(session, last=last)
        from tm_cli.commands.benchmark_gating import BenchmarkGate
        from tm_cli.commands.benchmark_last import wait_for_last_benchmarks
        from tm_cli.commands.shared.gate import wait_for

        if last:
            return wait_for_last_benchmarks(session, gate, behavior, rules, chosen)
        run_ids = run or []
        if len(set(run_ids)) != len(run_ids):
            raise UsageError("a run is named twice")
        runs = BenchmarkGate(session, rules, chosen)
        return wait_for(runs, gate, behavior, partial(runs.attach, run_ids, name))


benchmark_looking.add_to(app)
