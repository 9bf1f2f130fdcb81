"""`tm benchmarks`: gate benchmark runs of Runloop."""

from __future__ import annotations

from typing import Annotated

import typer

from tm_cli.cli.app import App
from tm_cli.cli.help_page import GATE
from tm_cli.commands import benchmark_looking, options
from tm_cli.commands import benchmark_options as ours
from tm_cli.commands.benchmark_jobs import app as job_app
from tm_cli.commands.benchmark_scenarios import app as scenario_app
from tm_cli.commands.session import Session, command
from tm_cli.errors import UsageError
from tm_cli.global_options import group

app = App()
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
        list[str], typer.Argument(metavar="BENCHMARK...", help="Benchmark ids or exact names.")
    ],
    wait: Annotated[
        bool,
        typer.Option(
            "--wait", help="Wait for the run to finish and apply the rules.", rich_help_panel=GATE
        ),
    ] = False,
    drive: Annotated[
        str | None,
        typer.Option(
            "--exec",
            metavar="COMMAND",
            help="Command that drives the run: exit code 0 completes it, any other "
            "cancels it. The run id is in the environment variable "
            "RUNLOOP_BENCHMARK_RUN_ID. Implies --wait.",
            rich_help_panel=GATE,
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the run. [generated]")
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
    """Start one or more runs; with --wait or --exec, exit by their verdicts.

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
    manners = wait_options.read(session, fail_fast=fail_fast)
    gate = gate_options.read(session, confirm=confirm)
    from tm_cli.commands import benchmark_gating as gating

    request = gating.read_request(
        session,
        benchmarks=benchmark,
        name=name,
        metadata=ours.read_pairs("--metadata", metadata),
        profile=profile,
        rules=rules,
        baseline=ours.read_baseline(baseline, match),
        drive=drive,
    )
    if waits:
        return gating.start_and_wait(session, request, gate, manners)
    return gating.start_only(session, request, gate)


@app.command("wait")
@command
def wait(
    session: Session,
    *,
    run: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN]...", help="Benchmark run ids.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Wait for the run with this name; the name must be unique."
        ),
    ] = None,
    last: options.Last = False,
    rule_options: ours.RuleOptions,
    baseline: ours.Baseline = None,
    match: ours.Match = None,
    gate_options: options.GateOptions,
    wait_options: options.WaitOptions,
    fail_fast: options.FailFast = False,
) -> int:
    """Wait for a run that another process drives, and exit by its verdict.

    tm benchmarks wait bmr_7 --min-score 85%

    tm benchmarks wait --last
    """
    options.refuse_torn_verdicts(gate_options.fail_on, run or [])
    if [bool(run), name is not None, last].count(True) != 1:
        raise UsageError("name runs by their ids, or one with --name, or give --last")
    rules = rule_options.read()
    wish = ours.read_baseline(baseline, match)
    if not last:
        ours.require_a_rule(rules)
    manners = wait_options.read(session, fail_fast=fail_fast)
    gate = gate_options.read(session, last=last)
    from tm_cli.commands import benchmark_gating as gating
    from tm_cli.commands import benchmark_last

    if last:
        return benchmark_last.wait_for_last(session, gate, manners, rules=rules, wish=wish)
    return gating.wait_for(session, run or [], name, rules, wish, gate, manners)


benchmark_looking.add_to(app)
