"""The commands of `tm benchmarks` that look at runs and benchmarks, or end a run."""

from __future__ import annotations

from typing import Annotated

import typer

from tm_cli.commands import benchmark_options as ours
from tm_cli.commands import options
from tm_cli.commands.session import Session, command


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
    from tm_cli.commands import benchmark_views as views

    filters = {"benchmark_id": benchmark, "state": state, "name": name, "search": search}
    return views.list_runs(session, filters, limit)


@command
def show(session: Session, run: ours.RunId) -> int:
    """Show a run with all its scenario runs.

    tm benchmarks show bmr_7
    """
    from tm_cli.commands import benchmark_views as views

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
    from tm_cli.commands import benchmark_comparing
    from tm_cli.commands.comparing import read_format

    chosen = read_format(form, wants_json=session.wants_json)
    return benchmark_comparing.compare(session, first, second, chosen)


@command
def complete(session: Session, run: ours.RunId) -> int:
    """Complete a run: no more scenarios can be started in it.

    tm benchmarks complete bmr_7
    """
    from tm_cli.commands import benchmark_actions

    return benchmark_actions.complete_run(session, run)


@command
def cancel(session: Session, run: ours.RunId) -> int:
    """Cancel a run and its scenario runs; a canceled run fails every gate.

    tm benchmarks cancel bmr_7
    """
    from tm_cli.commands import benchmark_actions

    return benchmark_actions.cancel_run(session, run)


@command
def logs(session: Session, run: ours.RunId, output: ours.File) -> int:
    """Download a run's logs as a zip archive.

    tm benchmarks logs bmr_7 --output logs.zip
    """
    from tm_cli.commands import benchmark_actions

    return benchmark_actions.save_run_logs(session, run, output)


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
    from tm_cli.commands import benchmark_views as views

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
    from tm_cli.commands import benchmark_views as views

    return views.list_scenarios(session, benchmark)
