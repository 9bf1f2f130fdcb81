"""The commands of `tm benchmarks` that look at runs and benchmarks, or end a run."""

from __future__ import annotations

from typing import Annotated

import typer

from tm_cli.cli import options
from tm_cli.cli.global_options import group
from tm_cli.cli.lazy import QuickGroup
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
        str | None, typer.Option(metavar="ID", help="Only runs of this benchmark.")
    ] = None,
    state: Annotated[
        str | None, typer.Option(metavar="STATE", help="running, completed, canceled or failed.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Only runs so named.")] = None,
    search: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only with this in id or name.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="At most so many.")] = 20,
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
    first: Annotated[str, typer.Argument(metavar="A", help="Id of a run.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Id of the other run.")],
    form: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="table, json or markdown.")
    ] = "table",
) -> int:
    """Compare two runs scenario by scenario; whatever the order, A is the newer one.

    tm benchmarks compare bmr_7 bmr_3 --format markdown
    """
    from tm_cli.commands.benchmarks import views as benchmark_comparing
    from tm_cli.commands.history.compare import read_format

    chosen = read_format(form, wants_json=session.wants_json)
    return benchmark_comparing.compare(session, first, second, chosen)


@command
def complete(session: Session, run: ours.RunId) -> int:
    """Complete a run: nothing more will be started in it.

    tm benchmarks complete bmr_7
    """
    from tm_cli.commands.benchmarks import actions

    return actions.complete_run(session, run)


@command
def cancel(session: Session, run: ours.RunId) -> int:
    """Cancel a run and everything that runs in it; a canceled run fails every gate.

    tm benchmarks cancel bmr_7
    """
    from tm_cli.commands.benchmarks import actions

    return actions.cancel_run(session, run)


@command
def logs(session: Session, run: ours.RunId, output: ours.File) -> int:
    """Write the logs of a run to a zip archive; its content is not looked at.

    tm benchmarks logs bmr_7 --output logs.zip
    """
    from tm_cli.commands.benchmarks import actions

    return actions.save_run_logs(session, run, output)


@command
def catalog(
    session: Session,
    public: Annotated[bool, typer.Option("--public", help="Those of everybody.")] = False,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Only those so named.")] = None,
    search: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only with this in id or name.")
    ] = None,
) -> int:
    """List the benchmarks that can be run.

    tm benchmarks catalog --public
    """
    from tm_cli.commands.benchmarks import views

    return views.list_benchmarks(session, {"name": name, "search": search}, public=public)


@command
def scenarios(
    session: Session,
    benchmark: Annotated[str, typer.Argument(metavar="BENCHMARK", help="Id or exact name.")],
) -> int:
    """List the scenarios of a benchmark.

    tm benchmarks scenarios bmd_1
    """
    from tm_cli.commands.benchmarks import views

    return views.list_scenarios(session, benchmark)


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
