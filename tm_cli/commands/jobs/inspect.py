"""`tm jobs show|children|events|...`: one run, and what it has left behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tm_cli.cli import options
from tm_cli.cli.app import App
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.commands.jobs import options as job_options
from tm_cli.errors import Refused

if TYPE_CHECKING:
    from tm_cli.api.strait import JobRun, RunPage


app = App()

EVENTS = {"CREATED": "created_at", "LEVEL": "level", "TYPE": "type", "MESSAGE": "message"}
CHECKPOINTS = {
    "SEQUENCE": "sequence",
    "SOURCE": "source",
    "CREATED": "created_at",
    "STATE": "state",
}
OUTPUTS = {"KEY": "output_key", "VALUE": "value", "CREATED": "created_at"}
STATE = {"KEY": "state_key", "VALUE": "value", "UPDATED": "updated_at"}


@app.command("show")
@with_session
def show(session: CommandContext, run: job_options.RunId) -> int:
    """Show a run.

    tm jobs show 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    from tm_cli.backends.strait.runs import describe_continuations, read_run
    from tm_cli.commands.jobs.client import client_for_run

    with client_for_run(session, run) as client:
        found = read_run(client, run)
        later = describe_continuations(client, found) if not session.wants_json else []
    return session.emit(found.document(), lambda: "\n".join([_describe(found), *later]))


def _describe(run: JobRun) -> str:
    from tm_cli.commands.jobs.list import member_lines
    from tm_cli.values.text import sanitize

    document = run.document()
    rest = {name: value for name, value in document.items() if name not in {"id", "status"}}
    return "\n".join([f"{sanitize(run.id)}: {sanitize(run.status)}", *member_lines(rest)])


@app.command("children")
@with_session
def children(session: CommandContext, run: job_options.RunId) -> int:
    """List a run's child runs, oldest first.

    The server reports their initial status; `tm jobs show` shows the current one.

    tm jobs children 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    return _runs(session, run, "children")


@app.command("lineage")
@with_session
def lineage(session: CommandContext, run: job_options.RunId) -> int:
    """List the runs that a run continues, oldest first.

    tm jobs lineage 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    return _runs(session, run, "lineage")


@app.command("dependencies")
@with_session
def dependencies(session: CommandContext, run: job_options.RunId) -> int:
    """Show the dependencies that a run waits for.

    tm jobs dependencies 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    return _emit_part(session, read_part(session, run, "dependency-status"))


def _runs(session: CommandContext, run: str, part: str) -> int:
    from tm_cli.commands.jobs.list import run_table

    page = read_page(session, run, part)
    return session.emit(page.document(), lambda: run_table(session.terminal, page.data))


@app.command("events")
@with_session
def events(
    session: CommandContext,
    run: job_options.RunId,
    level: Annotated[str | None, typer.Option(metavar="LEVEL", help="Filter by level.")] = None,
    kind: Annotated[
        str | None,
        typer.Option("--type", metavar="TYPE", help="Filter by type: log, error, progress, ..."),
    ] = None,
) -> int:
    """List the events that the job has reported, oldest first.

    tm jobs events 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11 --level error
    """
    return _items(session, run, "events", EVENTS, level=level, type=kind)


@app.command("checkpoints")
@with_session
def checkpoints(session: CommandContext, run: job_options.RunId) -> int:
    """List a run's checkpoints, newest first.

    tm jobs checkpoints 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    return _items(session, run, "checkpoints", CHECKPOINTS)


@app.command("outputs")
@with_session
def outputs(session: CommandContext, run: job_options.RunId) -> int:
    """List a run's outputs by key.

    tm jobs outputs 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    return _items(session, run, "outputs", OUTPUTS)


@app.command("state")
@with_session
def state(session: CommandContext, run: job_options.RunId) -> int:
    """List a run's stored state by key.

    tm jobs state 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    return _entries(session, run, "state", STATE, {})


@app.command("resources")
@with_session
def resources(
    session: CommandContext,
    run: job_options.RunId,
    since: options.Since = None,
    until: options.Until = None,
    limit: Annotated[
        int, typer.Option(min=1, max=1000, metavar="N", help="Maximum number of samples.")
    ] = 100,
) -> int:
    """List a run's CPU and memory usage.

    tm jobs resources 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11 --limit 20
    """
    now = session.context.clock.now()
    query = {
        "from": None if since is None else options.read_time("--from", since, now=now),
        "to": None if until is None else options.read_time("--to", until, now=now),
        "limit": limit,
    }
    return _entries(session, run, "resources", None, query)


@app.command("debug-bundle")
@with_session
def debug_bundle(session: CommandContext, run: job_options.RunId) -> int:
    """Download all data of a run; with --json, unchanged.

    tm jobs debug-bundle 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11 --json
    """
    document = read_part(session, run, "debug-bundle")
    return session.emit(document, lambda: _contents(document))


@app.command("usage")
@with_session
def usage(session: CommandContext, run: job_options.RunId) -> int:
    """Show a run's cost, on servers that report it.

    tm jobs usage 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    return _older_part(session, run, "usage")


@app.command("tool-calls")
@with_session
def tool_calls(session: CommandContext, run: job_options.RunId) -> int:
    """List a run's tool calls, on servers that report them.

    tm jobs tool-calls 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    return _older_part(session, run, "tool-calls")


def _older_part(session: CommandContext, run: str, part: str) -> int:
    """Show what newer servers have no more, or say so."""
    from tm_cli.api.errors import HttpError
    from tm_cli.commands.jobs.client import not_found_as_error, open_client

    job_options.check_run_id(run)
    client = open_client(session)
    try:
        document = client.get_part(run, part)
    except HttpError as error:
        if error.status != 404:
            raise
        with not_found_as_error(run):
            client.get_run(run)
        raise Refused(
            f"this server no longer has the {part} of runs",
            hint="`tm jobs debug-bundle` fetches what it keeps",
            code="not_supported",
        ) from None
    return _emit_part(session, document)


def _items(
    session: CommandContext, run: str, part: str, fields: Mapping[str, str], **query: str | None
) -> int:
    from tm_cli.commands.jobs.list import item_table

    page = read_page(session, run, part, **query)
    return session.emit(page.document(), lambda: item_table(session.terminal, page.data, fields))


def _entries(
    session: CommandContext,
    run: str,
    part: str,
    fields: Mapping[str, str] | None,
    query: dict[str, Any],
) -> int:
    from tm_cli.commands.jobs.client import client_for_run
    from tm_cli.commands.jobs.list import item_table

    with client_for_run(session, run) as client:
        found = client.list_entries(run, part, **query)
    shown = fields if fields is not None else _members_of(found)
    return session.emit(found, lambda: item_table(session.terminal, found, shown) or "none")


def _members_of(items: Sequence[Any]) -> dict[str, str]:
    """A column for each member that the samples have."""
    names = [name for item in items if isinstance(item, dict) for name in item]
    hidden = {"id", "run_id"}
    return {name.upper(): name for name in dict.fromkeys(names) if name not in hidden}


def _emit_part(session: CommandContext, document: Any) -> int:
    from tm_cli.commands.jobs.list import describe_members

    return session.emit(document, lambda: describe_members(document))


def _contents(document: Any) -> str:
    """How much of what is in a bundle."""
    from tm_cli.commands.jobs.list import describe_members

    if not isinstance(document, Mapping):
        return describe_members(document)
    counted = {
        name: len(value) if isinstance(value, list) else "there" for name, value in document.items()
    }
    return f"{describe_members(counted)}\nthe whole bundle: --json"


def read_page(session: CommandContext, run: str, part: str, **query: str | None) -> RunPage:
    """Return what the server can list of a part; tells when that is not all."""
    from tm_cli.api.strait import LARGEST_PAGE
    from tm_cli.commands.jobs.client import client_for_run

    with client_for_run(session, run) as client:
        page = client.list_part(run, part, **query)
    if page.has_more or page.next_cursor:
        session.terminal.write_line(f"tm: the server lists only the first {LARGEST_PAGE}")
    return page


def read_part(session: CommandContext, run: str, part: str) -> Any:
    """Return a part that is not a list."""
    from tm_cli.commands.jobs.client import client_for_run

    with client_for_run(session, run) as client:
        return client.get_part(run, part)
