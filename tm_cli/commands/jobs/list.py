"""`tm jobs list|dlq`: runs, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tm_cli.cli.app import App
from tm_cli.cli.session import Session, command
from tm_cli.commands.jobs import options
from tm_cli.errors import UsageError

if TYPE_CHECKING:
    from tm_cli.api.strait.models import Page

app = App()

ERROR_CLASSES = (
    "rate_limited",
    "auth",
    "client",
    "server",
    "transient",
    "timeout",
    "oom",
    "connection",
    "budget",
    "unknown",
    "dlq_overflow",
)


@app.command("list")
@command
def list_runs(
    session: Session,
    status: Annotated[
        list[str] | None,
        typer.Option(metavar="STATUS", help="Filter by status; repeatable."),
    ] = None,
    tag: Annotated[str | None, typer.Option(metavar="K[=V]", help="Filter by tag.")] = None,
    metadata: Annotated[
        str | None, typer.Option(metavar="K[=V]", help="Filter by metadata.")
    ] = None,
    triggered_by: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE", help="Filter by trigger: manual, cron, workflow, retry, ..."
        ),
    ] = None,
    batch: Annotated[
        str | None, typer.Option(metavar="ID", help="Filter by id of the bulk trigger.")
    ] = None,
    payload_contains: Annotated[
        str | None,
        typer.Option(metavar="JSON", help="Filter by payload: runs whose payload contains this."),
    ] = None,
    execution_mode: Annotated[
        Literal["http", "worker"] | None,
        typer.Option(metavar="MODE", help="Filter by execution mode."),
    ] = None,
    error_class: Annotated[
        str | None,
        typer.Option(metavar="CLASS", help="Filter by error class: server, client, timeout, ..."),
    ] = None,
    limit: options.Limit = 50,
    cursor: options.Cursor = None,
) -> int:
    """List runs, newest first.

    tm jobs list --status failed --status dead_letter --tag team=core
    """
    if tag is not None and metadata is not None:
        raise UsageError("--tag and --metadata exclude each other: the server takes one of them")
    statuses = _statuses(status or [])
    query: dict[str, Any] = {
        "status": statuses[0] if len(statuses) == 1 else None,
        "statuses": statuses if len(statuses) > 1 else None,
        **_pair("tag", tag),
        **_pair("metadata", metadata),
        "triggered_by": triggered_by,
        "batch_id": batch,
        "payload_contains": payload_contains
        and options.read_json("--payload-contains", payload_contains),
        "execution_mode": execution_mode,
        "error_class": _one_of("--error-class", error_class, ERROR_CLASSES),
    }
    from tm_cli.api.strait.client import collect
    from tm_cli.commands.jobs.client import open_client

    client = open_client(session)
    page = collect(
        lambda after, size: client.list_runs(**query, cursor=after, limit=size),
        most=limit,
        cursor=cursor,
    )
    return _show(session, page)


@app.command("dlq")
@command
def list_dead_letters(
    session: Session, limit: options.Limit = 50, cursor: options.Cursor = None
) -> int:
    """List the runs in the dead-letter queue, newest first.

    tm jobs dlq --limit 20
    """
    from tm_cli.api.strait.client import collect
    from tm_cli.commands.jobs.client import open_client

    client = open_client(session)
    page = collect(
        lambda after, size: client.list_dead_letters(cursor=after, limit=size),
        most=limit,
        cursor=cursor,
    )
    return _show(session, page)


def _show(session: Session, page: Page) -> int:
    from tm_cli.commands.jobs.tables import run_table
    from tm_cli.values.text import clean

    if page.next_cursor and not session.wants_json:
        session.note(f"tm: there are more; go on with --cursor {clean(page.next_cursor)}")
    return session.emit(page.document(), lambda: run_table(session.terminal, page.data))


def _statuses(words: list[str]) -> list[str]:
    from tm_cli.backends.strait.results import STATUSES

    return [str(_one_of("--status", word, STATUSES)) for word in words]


def _one_of(flag: str, word: str | None, words: tuple[str, ...]) -> str | None:
    if word is not None and word not in words:
        raise UsageError(f"{flag}: {word!r} is not one of {', '.join(words)}")
    return word


def _pair(name: str, text: str | None) -> dict[str, str | None]:
    key, equals, value = (text or "").partition("=")
    if text is not None and not key:
        raise UsageError(f"--{name}: {text!r} is not K or K=V")
    return {f"{name}_key": key or None, f"{name}_value": value if equals else None}
