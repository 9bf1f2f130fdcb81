"""The commands of `tm benchmarks` that look at runs and benchmarks, or end a run."""

from __future__ import annotations

from typing import Annotated

import typer

from tm_cli.cli import options
from tm_cli.cli.app import App
from tm_cli.cli.global_options import group
from tm_cli.cli.help_page import GATE
from tm_cli.cli.session import Session, command
from tm_cli.commands.benchmarks import options as ours
from tm_cli.commands.benchmarks.jobs import app as job_app
from tm_cli.commands.benchmarks.scenarios import app as scenario_app
from tm_cli.errors import UsageError


def add_to(app: typer.Typer) -> None:
    """Add the commands to the group."""
    app.command("list")(list_runs)
    app.command("show")(show)
    app.command("compare")(compare)
    app.command("complete")(complete)
    app.command("cancel")(cancel)
    app.command("logs")(logs)
    app.command("catalog")(catalog)
    app.command("scenarios")(scenarios)


@command
def list_runs(
    session: Session,
    benchmark: Annotated[
        str | None, typer.Option(metavar="ID", help="Filter by benchmark id.")
    ] = None,
    state: Annotated[
        str | None,
        typer.Option(
            metavar="STATE", help="Filter by state: running, completed, canceled or failed."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Filter by exact name.")] = None,
    search: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Filter by substring of id or name.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Maximum number of results.")] = 20,
) -> int:
    """List benchmark runs, newest first.

    tm benchmarks list --benchmark bmd_1 --state completed
    """
    from tm_cli.commands.benchmarks import views

    filters = {"benchmark_id": benchmark, "state": state, "name": name, "search": search}
    return views.list_runs(session, filters, limit)


@command
def show(session: Session, run: ours.RunId) -> int:
    """Show a run with all its scenario runs.

    tm benchmarks show bmr_7
    """
    from tm_cli.commands.benchmarks import views

    return views.show_run(session, run)


@command
def compare(
    session: Session,
    first: Annotated[str, typer.Argument(metavar="A", help="Run id.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Id of the run to compare with.")],
    form: options.Format = options.ComparisonFormat.TABLE,
) -> int:
    """Compare two runs scenario by scenario; the newer run becomes A.

    tm benchmarks compare bmr_7 bmr_3 --format markdown
    """
    from tm_cli.commands.benchmarks import views as benchmark_comparing
    from tm_cli.commands.history.compare import read_format

    chosen = read_format(form, wants_json=session.wants_json)
    return benchmark_comparing.compare(session, first, second, chosen)


@command
def complete(session: Session, run: ours.RunId) -> int:
    """Complete a run: no more scenarios can be started in it.

    tm benchmarks complete bmr_7
    """
    from tm_cli.commands.benchmarks import actions

    return actions.complete_run(session, run)


@command
def cancel(session: Session, run: ours.RunId) -> int:
    """Cancel a run and its scenario runs; a canceled run fails every gate.

    tm benchmarks cancel bmr_7
    """
    from tm_cli.commands.benchmarks import actions

    return actions.cancel_run(session, run)


@command
def logs(session: Session, run: ours.RunId, output: ours.File) -> int:
    """Download a run's logs as a zip archive.

    tm benchmarks logs bmr_7 --output logs.zip
    """
    from tm_cli.commands.benchmarks import actions

    return actions.save_run_logs(session, run, output)


@command
def catalog(
    session: Session,
    public: Annotated[bool, typer.Option("--public", help="Include public benchmarks.")] = False,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Filter by exact name.")] = None,
    search: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Filter by substring of id or name.")
    ] = None,
) -> int:
    """List the available benchmarks.

    tm benchmarks catalog --public
    """
    from tm_cli.commands.benchmarks import views

    return views.list_benchmarks(session, {"name": name, "search": search}, public=public)


@command
def scenarios(
    session: Session,
    benchmark: Annotated[
        str, typer.Argument(metavar="BENCHMARK", help="Benchmark id or exact name.")
    ],
) -> int:
    """List a benchmark's scenarios.

    tm benchmarks scenarios bmd_1
    """
    from tm_cli.commands.benchmarks import views

    return views.list_scenarios(session, benchmark)


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
    from tm_cli.commands.benchmarks import gate as gating

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
    from tm_cli.commands.benchmarks import gate as gating
    from tm_cli.commands.benchmarks import last_start

    if last:
        return last_start.wait_for_last(session, gate, manners, rules=rules, wish=wish)
    return gating.wait_for(session, run or [], name, rules, wish, gate, manners)


add_to(app)
