"""`tm benchmarks scenario`: what a driver of a run does, scenario by scenario."""

from __future__ import annotations

from typing import Annotated

import typer

from tm_cli.cli import options
from tm_cli.cli.app import App
from tm_cli.cli.global_options import group
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.commands.benchmarks import options as benchmark_options

app = App()

ScenarioRunId = Annotated[str, typer.Argument(metavar="RUN", help="Scenario run id.")]


@app.callback()
@group
def scenario() -> None:
    """Drive a run: start, score and complete its scenarios."""


@app.command("start")
@with_session
def start(
    session: CommandContext,
    scenario_id: Annotated[str, typer.Argument(metavar="SCENARIO", help="Scenario id.")],
    run: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Benchmark run to start the scenario in. [none]"),
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Name of the run.")] = None,
    metadata: benchmark_options.Metadata = None,
    profile: Annotated[
        str | None, typer.Option(metavar="FILE", help="Run profile, JSON or YAML.")
    ] = None,
) -> int:
    """Start a scenario on its own machine.

    tm benchmarks scenario start scn_1 --run bmr_7
    """
    from tm_cli.commands.benchmarks import actions

    return actions.start_scenario(
        session,
        scenario_id,
        run=run,
        name=name,
        metadata=benchmark_options.read_metadata(metadata),
        profile=profile,
    )


@app.command("list")
@with_session
def list_scenario_runs(
    session: CommandContext,
    run: Annotated[
        str | None, typer.Option(metavar="RUN", help="Filter by benchmark run id.")
    ] = None,
    scenario_id: Annotated[
        str | None, typer.Option("--scenario", metavar="ID", help="Filter by scenario id.")
    ] = None,
    state: Annotated[str | None, typer.Option(metavar="STATE", help="Filter by state.")] = None,
    name: benchmark_options.NameFilter = None,
) -> int:
    """List scenario runs.

    tm benchmarks scenario list --run bmr_7 --state failed
    """
    from tm_cli.commands.benchmarks import views

    filters = {"benchmark_run_id": run, "scenario_id": scenario_id, "state": state, "name": name}
    return views.list_scenario_runs(session, filters)


@app.command("show")
@with_session
def show(session: CommandContext, run: ScenarioRunId) -> int:
    """Show a scenario run.

    tm benchmarks scenario show scr_1
    """
    from tm_cli.commands.benchmarks import views

    return views.show_scenario_run(session, run)


@app.command("score")
@with_session
def score(
    session: CommandContext,
    run: ScenarioRunId,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the score.")] = False,
    wait_timeout: options.WaitTimeout = None,
) -> int:
    """Request the score of a scenario run; with --wait, wait for it.

    tm benchmarks scenario score scr_1 --wait
    """
    from tm_cli.commands.benchmarks import actions

    if wait:
        limit = session.setting("wait_timeout", wait_timeout)
        return actions.score_and_wait(session, run, limit)
    found = actions.benchmark_client(session).score_scenario_run(run)
    return actions.emit_state(session, "scenario run", found)


@app.command("complete")
@with_session
def complete(session: CommandContext, run: ScenarioRunId) -> int:
    """Complete a scenario run and shut its machine down.

    tm benchmarks scenario complete scr_1
    """
    from tm_cli.commands.benchmarks.actions import benchmark_client, emit_state

    found = benchmark_client(session).complete_scenario_run(run)
    return emit_state(session, "scenario run", found)


@app.command("cancel")
@with_session
def cancel(session: CommandContext, run: ScenarioRunId) -> int:
    """Cancel a scenario run and shut its machine down.

    tm benchmarks scenario cancel scr_1
    """
    from tm_cli.commands.benchmarks.actions import benchmark_client, emit_state

    found = benchmark_client(session).cancel_scenario_run(run)
    return emit_state(session, "scenario run", found)


@app.command("logs")
@with_session
def logs(session: CommandContext, run: ScenarioRunId, output: benchmark_options.File) -> int:
    """Download a scenario run's logs as a zip archive.

    tm benchmarks scenario logs scr_1 --output logs.zip
    """
    from tm_cli.commands.benchmarks.actions import benchmark_client, save_archive

    return save_archive(session, benchmark_client(session).download_scenario_logs(run), output)
