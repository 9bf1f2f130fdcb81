"""The commands of `tm benchmarks` that look at runs and benchmarks, or end a run."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated

import typer

from tm_cli.cli import options
from tm_cli.cli.app import App
from tm_cli.cli.global_options import group
from tm_cli.cli.help_page import GATE
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.commands.benchmarks import options as benchmark_options
from tm_cli.commands.benchmarks.jobs import app as job_app
from tm_cli.commands.benchmarks.scenarios import app as scenario_app
from tm_cli.errors import UsageError

app = App()
app.add_typer(job_app, name="job")
app.add_typer(scenario_app, name="scenario")


@app.callback()
@group
def benchmarks() -> None:
    """Gate benchmark runs of Runloop: start, drive, wait, compare."""


@app.command("start")
@with_session
def start(
    session: CommandContext,
    *,
    benchmark: Annotated[
        list[str], typer.Argument(metavar="BENCHMARK...", help="Benchmark ids or exact names.")
    ],
    wait: benchmark_options.Wait = False,
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
    metadata: benchmark_options.Metadata = None,
    profile: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Run profile, JSON or YAML: envVars, mounts, ..."),
    ] = None,
    rule_options: benchmark_options.RuleOptions,
    baseline: benchmark_options.Baseline = None,
    match: benchmark_options.Match = None,
    gate_options: options.GateOptions,
    confirm: options.Confirm = 0,
    wait_options: options.WaitOptions,
    fail_fast: options.FailFast = False,
) -> int:
    """Start one or more runs; with --wait or --exec, exit by their verdicts.

    tm benchmarks start bmd_1 --exec "python drive.py" --min-score 85% --max-drop 3%

    tm benchmarks start bmd_1 --wait --min-score 0.85 --baseline last --match branch=main
    """
    options.reject_space_after_comma(gate_options.fail_on, benchmark)
    rules = rule_options.read()
    waits = wait or drive is not None
    if waits:
        benchmark_options.require_a_rule(rules)
    else:
        options.refuse_without_wait(
            warn_on=gate_options.warn_on,
            confirm=confirm,
            fail_fast=fail_fast,
            report=wait_options.report,
        )
    with wait_options.open(session, fail_fast=fail_fast) as behavior:
        gate = gate_options.read(session, confirm=confirm)
        from tm_cli.commands.benchmarks.gate import BenchmarkGate, read_start
        from tm_cli.commands.shared.gate import start_and_wait, start_only

        chosen = benchmark_options.read_baseline(baseline, match)
        request = read_start(
            session,
            benchmarks=benchmark,
            name=name,
            metadata=benchmark_options.read_metadata(metadata),
            profile=profile,
            baseline=chosen,
            drive=drive,
            is_gated=waits,
        )
        runs = BenchmarkGate(session, rules, chosen)
        if waits:
            if drive is not None:  # the driver writes to the same screen
                behavior = replace(behavior, redraws=False)
            return start_and_wait(runs, gate, behavior, partial(runs.plan, request))
        return start_only(runs, gate, partial(runs.plan, request, gate))


@app.command("wait")
@with_session
def wait(
    session: CommandContext,
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
    rule_options: benchmark_options.RuleOptions,
    baseline: benchmark_options.Baseline = None,
    match: benchmark_options.Match = None,
    gate_options: options.GateOptions,
    wait_options: options.WaitOptions,
    fail_fast: options.FailFast = False,
) -> int:
    """Wait for a run that another process drives, and exit by its verdict.

    tm benchmarks wait bmr_7 --min-score 85%

    tm benchmarks wait --last
    """
    options.reject_space_after_comma(gate_options.fail_on, run or [])
    if [bool(run), name is not None, last].count(True) != 1:
        raise UsageError("name runs by their ids, or one with --name, or give --last")
    rules = rule_options.read()
    chosen = benchmark_options.read_baseline(baseline, match)
    if not last:
        benchmark_options.require_a_rule(rules)
    with wait_options.open(session, fail_fast=fail_fast) as behavior:
        gate = gate_options.read(session, last=last)
        from tm_cli.commands.benchmarks.gate import BenchmarkGate
        from tm_cli.commands.shared.gate import wait_for

        if last:
            from tm_cli.commands.shared.last_gate import wait_for_last_benchmarks

            return wait_for_last_benchmarks(session, gate, behavior, rules, chosen)
        run_ids = run or []
        if len(set(run_ids)) != len(run_ids):
            raise UsageError("a run is named twice")
        runs = BenchmarkGate(session, rules, chosen)
        return wait_for(runs, gate, behavior, partial(runs.attach, run_ids, name))


@app.command("list")
@with_session
def list_runs(
    session: CommandContext,
    benchmark: Annotated[
        str | None, typer.Option(metavar="ID", help="Filter by benchmark id.")
    ] = None,
    state: Annotated[
        str | None,
        typer.Option(
            metavar="STATE", help="Filter by state: running, completed, canceled or failed."
        ),
    ] = None,
    name: benchmark_options.NameFilter = None,
    search: benchmark_options.Search = None,
    limit: benchmark_options.Limit = 20,
) -> int:
    """List benchmark runs, newest first.

    tm benchmarks list --benchmark bmd_1 --state completed
    """
    from tm_cli.commands.benchmarks import views

    filters = {"benchmark_id": benchmark, "state": state, "name": name, "search": search}
    return views.list_runs(session, filters, limit)


@app.command("show")
@with_session
def show(session: CommandContext, run: benchmark_options.RunId) -> int:
    """Show a run with all its scenario runs.

    tm benchmarks show bmr_7
    """
    from tm_cli.commands.benchmarks import views

    return views.show_run(session, run)


@app.command("compare")
@with_session
def compare(
    session: CommandContext,
    first: Annotated[str, typer.Argument(metavar="A", help="Run id.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Id of the run to compare with.")],
    form: options.Format = options.ComparisonFormat.TABLE,
) -> int:
    """Compare two runs scenario by scenario; the newer run becomes A.

    tm benchmarks compare bmr_7 bmr_3 --format markdown
    """
    from tm_cli.commands.benchmarks import views
    from tm_cli.commands.history.compare import read_format

    chosen = read_format(form, wants_json=session.wants_json)
    return views.compare(session, first, second, chosen)


@app.command("complete")
@with_session
def complete(session: CommandContext, run: benchmark_options.RunId) -> int:
    """Complete a run: no more scenarios can be started in it.

    tm benchmarks complete bmr_7
    """
    from tm_cli.commands.benchmarks.actions import benchmark_client, emit_state

    return emit_state(session, "run", benchmark_client(session).complete_run(run))


@app.command("cancel")
@with_session
def cancel(session: CommandContext, run: benchmark_options.RunId) -> int:
    """Cancel a run and its scenario runs; a canceled run fails every gate.

    tm benchmarks cancel bmr_7
    """
    from tm_cli.commands.benchmarks.actions import benchmark_client, emit_state

    return emit_state(session, "run", benchmark_client(session).cancel_run(run))


@app.command("logs")
@with_session
def logs(
    session: CommandContext, run: benchmark_options.RunId, output: benchmark_options.File
) -> int:
    """Download a run's logs as a zip archive.

    tm benchmarks logs bmr_7 --output logs.zip
    """
    from tm_cli.commands.benchmarks.actions import benchmark_client, save_archive

    return save_archive(session, benchmark_client(session).download_run_logs(run), output)


@app.command("catalog")
@with_session
def catalog(
    session: CommandContext,
    public: Annotated[bool, typer.Option("--public", help="Include public benchmarks.")] = False,
    name: benchmark_options.NameFilter = None,
    search: benchmark_options.Search = None,
) -> int:
    """List the available benchmarks.

    tm benchmarks catalog --public
    """
    from tm_cli.commands.benchmarks import views

    return views.list_benchmarks(session, {"name": name, "search": search}, public=public)


@app.command("scenarios")
@with_session
def scenarios(
    session: CommandContext,
    benchmark: Annotated[
        str, typer.Argument(metavar="BENCHMARK", help="Benchmark id or exact name.")
    ],
) -> int:
    """List a benchmark's scenarios.

    tm benchmarks scenarios bmd_1
    """
    from tm_cli.commands.benchmarks import views

    return views.list_scenarios(session, benchmark)
