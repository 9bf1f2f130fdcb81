"""`tm benchmarks scenario`: what a driver of a run does, scenario by scenario."""

from __future__ import annotations

from typing import Annotated

import typer

from tm_cli.cli import options
from tm_cli.cli.global_options import group
from tm_cli.cli.lazy import QuickGroup
from tm_cli.cli.session import Session, command
from tm_cli.commands.benchmarks import options as ours

app = typer.Typer(cls=QuickGroup, add_completion=False, no_args_is_help=True)

ScenarioRunId = Annotated[str, typer.Argument(metavar="RUN", help="Id of a scenario run.")]


@app.callback()
@group
def scenario() -> None:
    """Drive a run: start its scenarios, score and complete them."""


@app.command("start")
@command
def start(
    session: Session,
    scenario_id: Annotated[str, typer.Argument(metavar="SCENARIO", help="Id of a scenario.")],
    run: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Benchmark run that it belongs to. [none]"),
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Name of the run.")] = None,
    metadata: ours.Metadata = None,
    profile: Annotated[
        str | None, typer.Option(metavar="FILE", help="Run profile, JSON or YAML.")
    ] = None,
) -> int:
    """Start one scenario on a machine of its own.

    tm benchmarks scenario start scn_1 --run bmr_7
    """
    from tm_cli.commands.benchmarks import actions

    return actions.start_scenario(
        session,
        scenario_id,
        run=run,
        name=name,
        metadata=ours.read_pairs("--metadata", metadata),
        profile=profile,
    )


@app.command("list")
@command
def list_scenario_runs(
    session: Session,
    run: Annotated[
        str | None, typer.Option(metavar="RUN", help="Only those of this benchmark run.")
    ] = None,
    scenario_id: Annotated[
        str | None, typer.Option("--scenario", metavar="ID", help="Only those of this scenario.")
    ] = None,
    state: Annotated[
        str | None, typer.Option(metavar="STATE", help="Only those in this state.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Only those so named.")] = None,
) -> int:
    """List scenario runs.

    tm benchmarks scenario list --run bmr_7 --state failed
    """
    from tm_cli.commands.benchmarks import views

    filters = {"benchmark_run_id": run, "scenario_id": scenario_id, "state": state, "name": name}
    return views.list_scenario_runs(session, filters)


@app.command("show")
@command
def show(session: Session, run: ScenarioRunId) -> int:
    """Show one scenario run.

    tm benchmarks scenario show scr_1
    """
    from tm_cli.commands.benchmarks import views

    return views.show_scenario_run(session, run)


@app.command("score")
@command
def score(
    session: Session,
    run: ScenarioRunId,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is scored.")] = False,
    wait_timeout: options.WaitTimeout = None,
) -> int:
    """Ask for the score of a scenario run; it comes later.

    tm benchmarks scenario score scr_1 --wait
    """
    from tm_cli.commands.benchmarks import actions

    if wait:
        limit = session.setting("wait_timeout", wait_timeout)
        return actions.score_and_wait(session, run, limit)
    return actions.score_scenario_run(session, run)


@app.command("complete")
@command
def complete(session: Session, run: ScenarioRunId) -> int:
    """Complete a scenario run; its machine goes away.

    tm benchmarks scenario complete scr_1
    """
    from tm_cli.commands.benchmarks import actions

    return actions.complete_scenario_run(session, run)


@app.command("cancel")
@command
def cancel(session: Session, run: ScenarioRunId) -> int:
    """Cancel a scenario run; its machine goes away.

    tm benchmarks scenario cancel scr_1
    """
    from tm_cli.commands.benchmarks import actions

    return actions.cancel_scenario_run(session, run)


@app.command("logs")
@command
def logs(session: Session, run: ScenarioRunId, output: ours.File) -> int:
    """Write the logs of a scenario run to a zip archive; its content is not looked at.

    tm benchmarks scenario logs scr_1 --output logs.zip
    """
    from tm_cli.commands.benchmarks import actions

    return actions.save_scenario_logs(session, run, output)
