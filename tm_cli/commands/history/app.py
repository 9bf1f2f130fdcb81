"""`tm history`: runs that have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tm_cli.cli import options
from tm_cli.cli.app import App
from tm_cli.cli.global_options import group
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.completion.candidates import complete_profiles

if TYPE_CHECKING:
    from tm_cli.api.trafficmorph import HistoryPage, HistoryRow

app = App()


@app.callback()
@group
def history() -> None:
    """List, show and compare finished runs."""


@app.command("list")
@with_session
def list_history(
    session: CommandContext,
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="PROFILE",
            autocompletion=complete_profiles,
            help="Filter by profile id or name.",
        ),
    ] = None,
    verdict: Annotated[
        Literal["PASS", "WARN", "FAIL", "NO_BASELINE"] | None,
        typer.Option(metavar="VERDICT", case_sensitive=False, help="Filter by verdict."),
    ] = None,
    triggered_by: Annotated[
        Literal["api", "manual", "scheduled"] | None,
        typer.Option(metavar="SOURCE", help="Filter by trigger."),
    ] = None,
    region: Annotated[str | None, typer.Option(metavar="REGION", help="Filter by region.")] = None,
    tag: Annotated[str | None, typer.Option(metavar="TAG", help="Filter by tag.")] = None,
    since: options.Since = None,
    until: options.Until = None,
    page: Annotated[int, typer.Option(min=0, help="Page number, starting at 0.")] = 0,
    size: Annotated[int, typer.Option(min=1, max=100, help="Results per page.")] = 20,
) -> int:
    """List finished runs, newest first.

    tm history list --profile checkout --verdict FAIL
    """
    now = session.context.clock.now()
    filters = {
        "autoVerdict": verdict,
        "triggeredBy": triggered_by,
        "region": region,
        "tag": tag,
        "from": None if since is None else options.read_time("--from", since, now=now),
        "to": None if until is None else options.read_time("--to", until, now=now),
        "profileId": _profile_id(session, profile) if profile is not None else None,
    }
    found = session.client.list_history(page=page, size=size, **filters)
    return session.emit(found.document(), lambda: _table(session, found))


@app.command("show")
@with_session
def show(session: CommandContext, history_id: options.HistoryId) -> int:
    """Show a finished run in detail: over time and compared with its baseline.

    tm history show 42
    """
    from tm_cli.commands.history.show import describe_run, find_ended_run

    row = find_ended_run(session.client, history_id)
    return session.emit(row.document(), lambda: describe_run(session, row))


@app.command("compare")
@with_session
def compare(
    session: CommandContext,
    first: Annotated[
        int, typer.Argument(metavar="A", min=1, max=2**63 - 1, help="History id of a run.")
    ],
    second: Annotated[
        int,
        typer.Argument(
            metavar="B", min=1, max=2**63 - 1, help="History id of the run to compare with."
        ),
    ],
    form: options.Format = options.ComparisonFormat.TABLE,
) -> int:
    """Compare two finished runs of a profile; the newer run becomes A.

    tm history compare 42 41 --format markdown
    """
    from tm_cli.commands.history import compare as comparing

    chosen = comparing.read_format(form, wants_json=session.wants_json)
    return comparing.compare(session, first, second, chosen)


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
    from tm_cli.commands.history.compare import read_format
    from tm_cli.commands.shared.profile_argument import resolve_profile

    chosen = read_format(form, wants_json=session.wants_json)
    now = session.context.clock.now()
    earliest = None if since is None else options.read_time("--since", since, now=now)
    found = finding.find_in_history(
        session,
        resolve_profile(session.client, profile, session.context.cwd),
        (metric,) if metric else finding.METRICS,
        most=runs,
        filters={"region": region, "from": earliest},
    )
    return finding.show_changes(session, found, chosen)


@app.command("get", hidden=True)
@with_session
def get(session: CommandContext, history_id: options.HistoryId) -> int:
    """Print one ended run as the server sends it, for scripts of the Go tm."""
    from tm_cli.render.formats.json_document import as_on_the_wire, to_json

    row = _row(session, history_id).document()
    session.terminal.write_result(to_json(as_on_the_wire(row) if session.is_go_json else row))
    return 0


@app.command("delete")
@with_session
def delete(session: CommandContext, history_id: options.HistoryId, yes: options.Yes = False) -> int:
    """Delete a finished run permanently; it is no longer used as a baseline.

    tm history delete 42 --yes
    """
    from tm_cli.commands.history.show import not_found_as_error

    options.confirm_deletion(session, f"run {history_id} from the history", yes=yes)
    with not_found_as_error(history_id):
        session.client.delete_history_item(history_id)
    return session.emit(
        {"run_id": history_id}, lambda: f"deleted run {history_id} from the history"
    )


def _row(session: CommandContext, history_id: int) -> HistoryRow:
    from tm_cli.commands.history.show import find_ended_run

    return find_ended_run(session.client, history_id)


def _profile_id(session: CommandContext, text: str) -> int:
    from tm_cli.commands.shared.profile_argument import resolve_profile

    return resolve_profile(session.client, text, session.context.cwd).profile_id


def _table(session: CommandContext, page: HistoryPage) -> str:
    from tm_cli.render.tables import columns, instant, percent, rate

    head = ("ID", "PROFILE", "STARTED", "VERDICT", "REQUESTS", "SUCCESS", "AVG RPS", "RUN")
    rows = [
        (
            row.id,
            row.profile_name,
            instant(row.started_at),
            row.auto_verdict or _unjudged(row),
            row.total_requests,
            percent(row.success_rate),
            rate(row.avg_rps),
            row.run_id,
        )
        for row in page.content
    ]
    table = columns(session.terminal, head, rows, least=("RUN", "AVG RPS", "SUCCESS"))
    shown, total = len(page.content), page.total_elements
    if total is not None and total > shown:
        session.note(f"tm: {shown} of {total} runs; --page and --size show others")
    return table


def _unjudged(row: HistoryRow) -> str:
    return row.outcome.lower() if row.outcome not in (None, "COMPLETED") else "pending"
