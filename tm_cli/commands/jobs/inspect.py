"""Reading the parts of one run that `tm jobs` shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tm_cli.cli.session import Session, command
from tm_cli.commands.jobs import options
from tm_cli.errors import Refused

if TYPE_CHECKING:
    from tm_cli.api.strait.models import Page


def read_page(session: Session, run: str, part: str, **query: str | None) -> Page:
    """Return what the server can list of a part; tells when that is not all."""
    from tm_cli.api.strait.client import LARGEST_PAGE
    from tm_cli.commands.jobs.client import open_client, told_when_missing

    options.check_run_id(run)
    client = open_client(session)
    with told_when_missing(run):
        page = client.list_part(run, part, **query)
    if page.has_more or page.next_cursor:
        session.terminal.note(
            f"tm: there are more than {LARGEST_PAGE}, and the server cannot list the rest"
        )
    return page


def read_part(session: Session, run: str, part: str) -> Any:
    """Return a part that is no list."""
    from tm_cli.commands.jobs.client import open_client, told_when_missing

    options.check_run_id(run)
    client = open_client(session)
    with told_when_missing(run):
        return client.get_part(run, part)


def describe_members(document: Any) -> str:
    """Return a line per member of an object, or per item of a list."""
    from tm_cli.commands.jobs.list import member_lines, value_text

    if isinstance(document, Mapping):
        return "\n".join(member_lines(document))
    items = document if isinstance(document, list) else [document]
    return "\n".join(value_text(item) or "-" for item in items)


EVENTS = {"CREATED": "created_at", "LEVEL": "level", "TYPE": "type", "MESSAGE": "message"}
CHECKPOINTS = {
    "SEQUENCE": "sequence",
    "SOURCE": "source",
    "CREATED": "created_at",
    "STATE": "state",
}
OUTPUTS = {"KEY": "output_key", "VALUE": "value", "CREATED": "created_at"}
STATE = {"KEY": "state_key", "VALUE": "value", "UPDATED": "updated_at"}


def add_to(app: typer.Typer) -> None:
    """Give `tm jobs` these commands."""
    for name, function in (
        ("events", events),
        ("checkpoints", checkpoints),
        ("outputs", outputs),
        ("state", state),
        ("resources", resources),
        ("debug-bundle", debug_bundle),
        ("usage", usage),
        ("tool-calls", tool_calls),
    ):
        app.command(name)(function)


@command
def events(
    session: Session,
    run: options.RunId,
    level: Annotated[
        str | None, typer.Option(metavar="LEVEL", help="Only events of this level.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="log, error, progress, ...")
    ] = None,
) -> int:
    """List what job code has reported of a run, oldest first.

    tm jobs events 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11 --level error
    """
    return _items(session, run, "events", EVENTS, level=level, type=kind)


@command
def checkpoints(session: Session, run: options.RunId) -> int:
    """List the checkpoints of a run, newest first.

    tm jobs checkpoints 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    return _items(session, run, "checkpoints", CHECKPOINTS)


@command
def outputs(session: Session, run: options.RunId) -> int:
    """List the outputs of a run by their keys.

    tm jobs outputs 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    return _items(session, run, "outputs", OUTPUTS)


@command
def state(session: Session, run: options.RunId) -> int:
    """List the state that a run keeps, by its keys.

    tm jobs state 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    return _entries(session, run, "state", STATE, {})


@command
def resources(
    session: Session,
    run: options.RunId,
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Measured at or after this time.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Measured at or before this time.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="Most samples.")] = 100,
) -> int:
    """List what a run has used of processor and memory.

    tm jobs resources 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11 --limit 20
    """
    query = {
        "from": None if since is None else options.read_time("--from", since),
        "to": None if until is None else options.read_time("--to", until),
        "limit": limit,
    }
    return _entries(session, run, "resources", None, query)


@command
def debug_bundle(session: Session, run: options.RunId) -> int:
    """Fetch everything that the server keeps of a run; with --json, as it is.

    tm jobs debug-bundle 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11 --json
    """
    document = read_part(session, run, "debug-bundle")
    return session.emit(document, lambda: _contents(document))


@command
def usage(session: Session, run: options.RunId) -> int:
    """Show what a run has cost, on servers that still tell.

    tm jobs usage 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    return _older_part(session, run, "usage")


@command
def tool_calls(session: Session, run: options.RunId) -> int:
    """List the tools that a run has called, on servers that still tell.

    tm jobs tool-calls 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    return _older_part(session, run, "tool-calls")


def _older_part(session: Session, run: str, part: str) -> int:
    """Show what newer servers have no more, or say so."""
    from tm_cli.api.errors import HttpError
    from tm_cli.commands.jobs.client import open_client, told_when_missing

    options.check_run_id(run)
    client = open_client(session)
    try:
        document = client.get_part(run, part)
    except HttpError as error:
        if error.status != 404:
            raise
        with told_when_missing(run):
            client.get_run(run)
        raise Refused(
            f"this server no longer has the {part} of runs",
            hint="`tm jobs debug-bundle` fetches what it keeps",
            code="not_supported",
        ) from None
    return session.emit(document, lambda: describe_members(document))


def _items(
    session: Session, run: str, part: str, fields: Mapping[str, str], **query: str | None
) -> int:
    from tm_cli.commands.jobs.list import item_table

    page = read_page(session, run, part, **query)
    return session.emit(page.document(), lambda: item_table(session.terminal, page.data, fields))


def _entries(
    session: Session,
    run: str,
    part: str,
    fields: Mapping[str, str] | None,
    query: dict[str, Any],
) -> int:
    from tm_cli.commands.jobs.client import open_client, told_when_missing
    from tm_cli.commands.jobs.list import item_table

    options.check_run_id(run)
    client = open_client(session)
    with told_when_missing(run):
        found = client.list_entries(run, part, **query)
    shown = fields if fields is not None else _members_of(found)
    return session.emit(found, lambda: item_table(session.terminal, found, shown))


def _members_of(items: Sequence[Any]) -> dict[str, str]:
    """A column for each member that the samples have."""
    names = [name for item in items if isinstance(item, dict) for name in item]
    hidden = {"id", "run_id"}
    return {name.upper(): name for name in dict.fromkeys(names) if name not in hidden}


def _contents(document: Any) -> str:
    """How much of what is in a bundle."""
    if not isinstance(document, Mapping):
        return describe_members(document)
    counted = {
        name: len(value) if isinstance(value, list) else "there" for name, value in document.items()
    }
    return f"{describe_members(counted)}\nthe whole bundle: --json"
