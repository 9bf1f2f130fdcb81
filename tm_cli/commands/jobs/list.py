"""`tm jobs list` and the tables of runs, items and values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tm_cli.api.strait import as_run
from tm_cli.backends.strait.results import seconds_of
from tm_cli.cli.app import App
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.commands.jobs import options
from tm_cli.commands.shared.lists import value_text
from tm_cli.errors import UsageError
from tm_cli.render.tables import columns, instant
from tm_cli.runtime.terminal import Terminal
from tm_cli.values.durations import format_duration
from tm_cli.values.text import sanitize

if TYPE_CHECKING:
    from tm_cli.api.strait import RunPage


def run_table(terminal: Terminal, items: Sequence[Mapping[str, Any]]) -> str:
    """Return a row per run."""
    rows = []
    for item in items:
        run = as_run(item)
        took = seconds_of(run)
        rows.append(
            (
                run.id,
                run.status,
                run.attempt,
                run.job_id,
                run.triggered_by,
                instant(run.created_at),
                None if took is None or took < 0 else format_duration(took),
                run.error,
            )
        )
    head = ("RUN", "STATUS", "ATTEMPT", "JOB", "TRIGGERED BY", "CREATED", "TOOK", "ERROR")
    return columns(terminal, head, rows, least=("TRIGGERED BY", "JOB", "TOOK"))


def item_table(terminal: Terminal, items: Sequence[Any], fields: Mapping[str, str]) -> str:
    """Return a row per item; `fields` names the member of the item for each head."""
    rows = [[value_text(_member(item, name)) for name in fields.values()] for item in items]
    return columns(terminal, tuple(fields), rows)


def _member(item: Any, name: str) -> Any:
    return item.get(name) if isinstance(item, Mapping) else None


def member_lines(document: Mapping[str, Any]) -> list[str]:
    """Return a line per member of an object, but for those without a value."""
    width = max((len(sanitize(name)) for name in document), default=0)
    return [
        f"  {sanitize(name):<{width}}  {shown}"
        for name, value in document.items()
        if (shown := value_text(value)) not in (None, "")
    ]


def describe_members(document: Any) -> str:
    """Return a line per member of an object, or per item of a list."""
    if isinstance(document, Mapping):
        return "\n".join(member_lines(document))
    items = document if isinstance(document, list) else [document]
    return "\n".join(value_text(item) or "-" for item in items) or "none"


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
)


@app.command("list")
@with_session
def list_runs(
    session: CommandContext,
    status: Annotated[
        list[str] | None,
        typer.Option(metavar="STATUS", help="Filter by status; repeatable."),
    ] = None,
    tag: options.TagFilter = None,
    metadata: Annotated[
        str | None, typer.Option(metavar="K[=V]", help="Filter by metadata.")
    ] = None,
    triggered_by: options.TriggeredBy = None,
    batch: options.Batch = None,
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
    project: options.Project = None,
) -> int:
    """List runs, newest first.

    tm jobs list --status failed --status dead_letter --tag team=core
    """
    if tag is not None and metadata is not None:
        raise UsageError("--tag and --metadata exclude each other: the server takes one of them")
    statuses = [str(options.read_status(word)) for word in status or []]
    tag_filter = _pair("tag", tag)
    query: dict[str, Any] = {
        "status": statuses[0] if len(statuses) == 1 else None,
        "statuses": statuses if len(statuses) > 1 else None,
        **tag_filter,
        **_pair("metadata", metadata),
        "triggered_by": triggered_by,
        "batch_id": batch,
        "payload_contains": payload_contains
        and options.read_json("--payload-contains", payload_contains),
        "execution_mode": execution_mode,
        "error_class": options.one_of("--error-class", error_class, ERROR_CLASSES),
    }
    from tm_cli.api.strait import collect
    from tm_cli.commands.jobs.client import open_client

    client = open_client(session, project)
    page = collect(
        lambda after, size: client.list_runs(**query, cursor=after, limit=size),
        most=limit,
        cursor=cursor,
    )
    # Not every server knows a filter by tag, or by several statuses.
    several = statuses if len(statuses) > 1 else []
    found = [run for run in page.data if _is_wanted(run, several, **tag_filter)]
    return _show(session, page.model_copy(update={"data": found}))


@app.command("dlq")
@with_session
def list_dead_letters(
    session: CommandContext,
    limit: options.Limit = 50,
    cursor: options.Cursor = None,
    project: options.Project = None,
) -> int:
    """List the runs in the dead-letter queue, newest first.

    tm jobs dlq --limit 20
    """
    from tm_cli.api.strait import collect
    from tm_cli.commands.jobs.client import open_client

    client = open_client(session, project)
    page = collect(
        lambda after, size: client.list_dead_letters(cursor=after, limit=size),
        most=limit,
        cursor=cursor,
    )
    return _show(session, page)


def _show(session: CommandContext, page: RunPage) -> int:
    note_rest(session, page)
    return session.emit(page.document(), lambda: run_table(session.terminal, page.data))


def note_rest(session: CommandContext, page: RunPage) -> None:
    """Say what the list does not show."""
    if page.incomplete_at:
        session.terminal.write_line(
            f"tm: the server may have left out what was made at {sanitize(page.incomplete_at)}: "
            "its lists skip items that have the same time as the end of a page"
        )
    if session.wants_json or not page.has_more:
        return
    if page.next_cursor:
        session.note(f"tm: there may be more; go on with --cursor {sanitize(page.next_cursor)}")
    else:
        session.note("tm: there are more; raise --limit")


def _is_wanted(
    run: Mapping[str, Any], statuses: Sequence[str], tag_key: str | None, tag_value: str | None
) -> bool:
    if statuses and run.get("status") not in statuses:
        return False
    tags = run.get("tags")
    own = tags if isinstance(tags, Mapping) else {}
    return tag_key is None or (tag_key in own and tag_value in (None, own[tag_key]))


def _pair(name: str, text: str | None) -> dict[str, str | None]:
    key, equals, value = (text or "").partition("=")
    if text is not None and not key:
        raise UsageError(f"--{name}: {text!r} is not K or K=V")
    return {f"{name}_key": key or None, f"{name}_value": value if equals else None}
