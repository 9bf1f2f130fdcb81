"""`tm history`: runs that have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tm_cli.cli import options
from tm_cli.cli.global_options import group
from tm_cli.cli.lazy import QuickGroup
from tm_cli.cli.session import Session, command
from tm_cli.errors import UsageError

if TYPE_CHECKING:
    from tm_cli.api.trafficmorph.models import HistoryPage, HistoryRow

app = typer.Typer(cls=QuickGroup, add_completion=False, no_args_is_help=True)


SOURCES = ("api", "manual", "scheduled")


@app.callback()
@group
def history() -> None:
    """Look at runs that have ended, compare them."""


@app.command("list")
@command
def list_history(
    session: Session,
    profile: Annotated[
        str | None, typer.Option(metavar="PROFILE", help="Only this profile: id or name.")
    ] = None,
    verdict: Annotated[
        str | None, typer.Option(metavar="VERDICT", help="PASS, WARN, FAIL or NO_BASELINE.")
    ] = None,
    triggered_by: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="api, manual or scheduled.")
    ] = None,
    region: Annotated[str | None, typer.Option(metavar="R", help="Only this region.")] = None,
    tag: Annotated[str | None, typer.Option(metavar="T", help="Only runs with this tag.")] = None,
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Recorded at or after this time.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Recorded at or before this time.")
    ] = None,
    page: Annotated[int, typer.Option(min=0, help="Page, from 0.")] = 0,
    size: Annotated[int, typer.Option(min=1, max=100, help="Rows on a page.")] = 20,
) -> int:
    """List ended runs, newest first.

    tm history list --profile checkout --verdict FAIL
    """
    if triggered_by is not None and triggered_by not in SOURCES:
        raise UsageError(f"--triggered-by: {triggered_by!r} is not one of {', '.join(SOURCES)}")
    filters = {
        "autoVerdict": _verdict(verdict),
        "triggeredBy": triggered_by,
        "region": region,
        "tag": tag,
        "from": _with_offset("--from", since),
        "to": _with_offset("--to", until),
        "profileId": _profile_id(session, profile) if profile is not None else None,
    }
    found = session.client.list_history(page=page, size=size, **filters)
    return session.emit(found.document(), lambda: _table(session, found))


@app.command("show")
@command
def show(session: Session, history_id: options.HistoryId) -> int:
    """Show one ended run in detail, drawn over time and beside its baseline.

    tm history show 42
    """
    row = _row(session, history_id)
    return session.emit(row.document(), lambda: _describe(session, row))


@app.command("compare")
@command
def compare(
    session: Session,
    first: Annotated[
        int, typer.Argument(metavar="A", min=1, max=2**63 - 1, help="History id of a run.")
    ],
    second: Annotated[
        int, typer.Argument(metavar="B", min=1, max=2**63 - 1, help="History id of the other run.")
    ],
    form: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="table, json or markdown.")
    ] = "table",
) -> int:
    """Compare two ended runs of one profile; whatever the order, A is the newer one.

    tm history compare 42 41 --format markdown
    """
    from tm_cli.commands.history import compare as comparing

    chosen = comparing.read_format(form, wants_json=session.wants_json)
    return comparing.compare(session, first, second, chosen)


@app.command("get", hidden=True)
@command
def get(session: Session, history_id: options.HistoryId) -> int:
    """Print one ended run as the server sends it, for scripts of the Go tm."""
    from tm_cli.render.formats.json_document import to_json

    session.terminal.result(to_json(_row(session, history_id).document()))
    return 0


@app.command("delete")
@command
def delete(session: Session, history_id: options.HistoryId, yes: options.Yes = False) -> int:
    """Delete one ended run for good; later runs are no longer compared with it.

    tm history delete 42 --yes
    """
    from tm_cli.commands.history.show import told_when_missing

    options.confirm_deletion(session, f"run {history_id} from the history", yes=yes)
    with told_when_missing(history_id):
        session.client.delete_history_item(history_id)
    return session.emit(
        {"run_id": history_id}, lambda: f"deleted run {history_id} from the history"
    )


def _row(session: Session, history_id: int) -> HistoryRow:
    from tm_cli.commands.history.show import find_ended_run

    return find_ended_run(session.client, history_id)


def _verdict(text: str | None) -> str | None:
    from tm_cli.gate.verdict import KNOWN

    if text is not None and text.upper() not in KNOWN:
        raise UsageError(f"--verdict: {text!r} is not one of PASS, WARN, FAIL and NO_BASELINE")
    return text.upper() if text is not None else None


def _with_offset(flag: str, text: str | None) -> str | None:
    """Return a time with an offset, which the API demands; without one it is local time."""
    if text is None:
        return None
    from datetime import datetime

    try:
        return datetime.fromisoformat(text).astimezone().isoformat()
    except (ValueError, OverflowError):
        raise UsageError(
            f"{flag}: {text!r} is no time", hint="write for instance 2026-03-01T12:00:00+01:00"
        ) from None


def _profile_id(session: Session, text: str) -> int:
    from tm_cli.commands.runs.profile_argument import find_subject

    return find_subject(session.client, text, session.context.cwd).profile_id


def _table(session: Session, page: HistoryPage) -> str:
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


def _describe(session: Session, row: HistoryRow) -> str:
    from tm_cli.commands.history.show import describe_run

    return describe_run(session, row)
