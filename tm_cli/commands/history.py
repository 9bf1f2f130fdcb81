"""`tm history`: runs that have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tm_cli.commands import options
from tm_cli.commands.session import Session, command
from tm_cli.errors import UsageError
from tm_cli.global_options import group
from tm_cli.lazy import QuickGroup
from tm_cli.text import clean

if TYPE_CHECKING:
    from tm_cli.api.trafficmorph.models import HistoryPage, HistoryRow

app = typer.Typer(cls=QuickGroup, add_completion=False, no_args_is_help=True)


SOURCES = ("api", "manual", "scheduled")

HistoryId = Annotated[int, typer.Argument(metavar="ID", min=1, max=2**63 - 1, help="History id.")]


@app.callback()
@group
def history() -> None:
    """Look at runs that have ended."""


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
def show(session: Session, history_id: HistoryId) -> int:
    """Show one ended run in detail.

    tm history show 42
    """
    row = session.client.get_history_item(history_id)
    return session.emit(row.document(), lambda: _describe(session, row))


@app.command("get", hidden=True)
@command
def get(session: Session, history_id: HistoryId) -> int:
    """Print one ended run as the server sends it, for scripts of the Go tm."""
    from tm_cli.render.machine import to_json

    session.terminal.result(to_json(session.client.get_history_item(history_id).document()))
    return 0


@app.command("delete")
@command
def delete(session: Session, history_id: HistoryId, yes: options.Yes = False) -> int:
    """Delete one ended run for good; later runs are no longer compared with it.

    tm history delete 42 --yes
    """
    options.confirm_deletion(session, f"run {history_id} from the history", yes=yes)
    session.client.delete_history_item(history_id)
    return session.emit(
        {"run_id": history_id}, lambda: f"deleted run {history_id} from the history"
    )


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
    from tm_cli.commands.subject import find_subject

    return find_subject(session.client, text, session.context.cwd).profile_id


def _table(session: Session, page: HistoryPage) -> str:
    from tm_cli.render.numbers import percent, rate
    from tm_cli.render.tables import columns, instant

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
    table = columns(session.terminal, head, rows)
    shown, total = len(page.content), page.total_elements
    if total is not None and total > shown:
        session.note(f"tm: {shown} of {total} runs; --page and --size show others")
    return table


def _unjudged(row: HistoryRow) -> str:
    return row.outcome.lower() if row.outcome not in (None, "COMPLETED") else "pending"


def _describe(session: Session, row: HistoryRow) -> str:
    from tm_cli.exit_codes import ExitCode
    from tm_cli.gate.events import Decided
    from tm_cli.gate.evidence import Run
    from tm_cli.gate.policy import Decision
    from tm_cli.render.summary import run_summary
    from tm_cli.render.tables import instant
    from tm_cli.systems.trafficmorph.results import as_result

    run = Run(row.run_id, clean(row.profile_name or "?"), "", None)
    shown = Decided(Decision(ExitCode.OK, ""), run, as_result(row))
    lines = [run_summary(session.terminal, shown)]
    details: list[tuple[str, Any]] = [
        ("started", instant(row.started_at)),
        ("finished", instant(row.finished_at)),
        ("baseline", row.auto_compare_baseline_run_id),
        ("target", row.target_url),
        ("region", row.region),
        ("tags", ", ".join(row.tags)),
    ]
    lines += [f"  {name} {clean(value)}" for name, value in details if value not in (None, "")]
    return "\n".join(lines)
