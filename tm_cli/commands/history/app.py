"""`tm history`: runs that have ended."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from tm_cli.cli import options
from tm_cli.cli.app import App
from tm_cli.cli.global_options import group
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.commands.history.list import RunFilter, list_runs
from tm_cli.commands.shared.lists import ListOptions

app = App()


@app.callback()
@group
def history() -> None:
    """List, show and compare finished runs."""


@app.command("list")
@with_session
def list_history(
    session: CommandContext,
    *,
    chosen: RunFilter,
    listing: ListOptions,
    page: Annotated[
        int | None,
        typer.Option(min=0, show_default=False, help="Page number of --size results, from 0."),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(min=1, max=100, show_default=False, help="Results per page. [20]"),
    ] = None,
    details: Annotated[
        bool,
        typer.Option(
            "--details",
            help="Read each run by itself where the list lacks response times.",
        ),
    ] = False,
) -> int:
    """List finished runs, newest first: 20, unless --limit or --all is given.

    CHANGE is that of p95 since the baseline or, without one, since the comparable run before it.

    tm history list --profile checkout --verdict FAIL

    tm history list --from 7d --all --fields id,startedAt,autoVerdict,p95 --jsonl
    """
    return list_runs(session, chosen, listing, page=page, size=size, details=details)


@app.command("show")
@with_session
def show(session: CommandContext, run: options.EndedRun) -> int:
    """Show a finished run in detail: over time and compared with its baseline.

    tm history show 42

    tm history show latest:checkout
    """
    from tm_cli.commands.history.show import describe_run, find_ended_run

    row = find_ended_run(session, run)
    return session.emit(row.document(), lambda: describe_run(session, row))


@app.command("compare")
@with_session
def compare(
    session: CommandContext,
    first: Annotated[
        str,
        typer.Argument(metavar="A", help="A run: history id, run id, `latest` and so on."),
    ],
    second: Annotated[
        str | None,
        typer.Argument(
            metavar="[B]",
            show_default=False,
            help="The run to compare with. [the baseline of A]",
        ),
    ] = None,
    form: options.Format = options.ComparisonFormat.TABLE,
) -> int:
    """Compare two finished runs of a profile; the newer run becomes A.

    tm history compare 42 41 --format markdown

    tm history compare latest:checkout
    """
    from tm_cli.commands.history import compare as comparing

    chosen = comparing.read_format(form, wants_json=session.wants_json)
    return comparing.compare(session, *comparing.find_both(session, first, second), chosen)


@app.command("filters")
@with_session
def filters(session: CommandContext) -> int:
    """Show which profiles, regions and tags the history can be filtered by.

    tm history filters
    """
    from tm_cli.commands.history.filters import show_filters

    return show_filters(session)


@app.command("export")
@with_session
def export(
    session: CommandContext,
    *,
    chosen: RunFilter,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="File to write; it is there when it is complete. [standard output]",
        ),
    ] = None,
    form: Annotated[
        Literal["jsonl", "csv"] | None,
        typer.Option(
            "--format", metavar="FORMAT", help="Output format. [by the name of the file, jsonl]"
        ),
    ] = None,
    fields: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Fields to write, separated by commas.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Maximum number of runs.")
    ] = None,
    details: Annotated[
        bool, typer.Option("--details", help="Write each run in full; one request per run.")
    ] = False,
) -> int:
    """Export finished runs, newest first, as JSON Lines or CSV.

    Takes the same memory for any number of runs. Runs that end while it goes on are left out.

    tm history export --output history.csv

    tm history export --profile checkout --from 30d --fields id,startedAt,autoVerdict,p95
    """
    from tm_cli.commands.history import export as exporting

    return exporting.export(
        session,
        chosen,
        output=output,
        form=None if form is None else exporting.ExportFormat(form),
        fields=fields,
        limit=limit,
        details=details,
    )


@app.command("changes")
@with_session
def changes(
    session: CommandContext,
    profile: options.Profile,
    metric: Annotated[
        Literal["p50", "p95", "p99", "errors"] | None,
        typer.Option(metavar="METRIC", help="Look at one metric only."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            "--from",
            metavar="TIME",
            help="Earliest time: ISO 8601, or a duration before now such as 30d.",
        ),
    ] = None,
    region: Annotated[str | None, typer.Option(metavar="REGION", help="Filter by region.")] = None,
    runs: Annotated[
        int, typer.Option(min=1, max=1000, metavar="N", help="Look at the newest N runs.")
    ] = 100,
    form: options.Format = options.ComparisonFormat.TABLE,
) -> int:
    """Find where response times or errors of a profile changed for good.

    Looks at all completed runs with the load of the newest one. Shows the size of each change, the
    first run after it and, where the runs know them, the commits in between. One history of a
    hundred seems to have a change although it has none.

    tm history changes checkout

    tm history changes checkout --metric p95 --since 30d --format markdown
    """
    from tm_cli.commands.history import changes as finding
    from tm_cli.commands.history.comparable import METRICS
    from tm_cli.commands.history.compare import read_format
    from tm_cli.commands.shared.profile_argument import resolve_profile

    chosen = read_format(form, wants_json=session.wants_json)
    now = session.context.clock.now()
    earliest = None if since is None else options.read_time("--since", since, now=now)
    found = finding.find_in_history(
        session,
        resolve_profile(session.client, profile, session.context.cwd),
        (metric,) if metric else METRICS,
        most=runs,
        filters={"region": region, "from": earliest},
    )
    return finding.show_changes(session, found, chosen)


@app.command("trend")
@with_session
def trend(
    session: CommandContext,
    profile: options.Profile,
    metric: Annotated[
        Literal["p50", "p95", "p99", "errors"], typer.Option(metavar="METRIC", help="What to show.")
    ] = "p95",
    runs: Annotated[
        int, typer.Option(min=1, max=1000, metavar="N", help="Look at the newest N runs.")
    ] = 30,
    since: options.Since = None,
    region: Annotated[str | None, typer.Option(metavar="REGION", help="Filter by region.")] = None,
) -> int:
    """Show a metric of a profile run by run, and where its level changed.

    The runs are the completed ones with the load of the newest one, as for `tm history changes`.

    tm history trend checkout

    tm history trend checkout --metric errors --runs 100
    """
    from tm_cli.commands.history.trend import show_trend
    from tm_cli.commands.shared.profile_argument import resolve_profile

    now = session.context.clock.now()
    earliest = None if since is None else options.read_time("--from", since, now=now)
    subject = resolve_profile(session.client, profile, session.context.cwd)
    filters = {"region": region, "from": earliest}
    return show_trend(session, subject, metric, most=runs, filters=filters)


@app.command("get", hidden=True)
@with_session
def get(session: CommandContext, run: options.EndedRun) -> int:
    """Print one ended run as the server sends it, for scripts of the Go tm."""
    from tm_cli.commands.history.show import find_ended_run
    from tm_cli.render.formats.json_document import as_on_the_wire, to_json

    row = find_ended_run(session, run).document()
    session.terminal.write_result(to_json(as_on_the_wire(row) if session.is_go_json else row))
    return 0


@app.command("delete")
@with_session
def delete(session: CommandContext, run: options.EndedRun, yes: options.Yes = False) -> int:
    """Delete a finished run permanently; it is no longer used as a baseline.

    tm history delete 42 --yes
    """
    from tm_cli.commands.history.find import find_history_id, short_title
    from tm_cli.commands.history.show import get_ended_run, not_found_as_error

    number = find_history_id(session, run, for_change=True)
    subject = f"run {number}"
    if session.terminal.live and not yes:  # who is asked must see which run it is
        subject += f" ({short_title(get_ended_run(session.client, number))})"
    options.confirm_deletion(session, f"{subject} from the history", yes=yes)
    with not_found_as_error(number):
        session.client.delete_history_item(number)
    return session.emit({"run_id": number}, lambda: f"deleted run {number} from the history")
