"""`tm jobs show|children|lineage|dependencies`: one run and those that belong to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from tm_cli.cli.session import Session, command
from tm_cli.commands.jobs import options
from tm_cli.commands.jobs.inspect import describe_members, read_page, read_part

if TYPE_CHECKING:
    from tm_cli.api.strait.models import JobRun


def add_to(app: typer.Typer) -> None:
    """Give `tm jobs` these commands."""
    for name, function in (
        ("show", show),
        ("children", children),
        ("lineage", lineage),
        ("dependencies", dependencies),
    ):
        app.command(name)(function)


@command
def show(session: Session, run: options.RunId) -> int:
    """Show one run as it is now.

    tm jobs show 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    from tm_cli.commands.jobs.client import open_client, told_when_missing

    options.check_run_id(run)
    client = open_client(session)
    with told_when_missing(run):
        found = client.get_run(run)
    return session.emit(found.document(), lambda: _describe(found))


def _describe(run: JobRun) -> str:
    from tm_cli.commands.jobs.list import member_lines
    from tm_cli.values.text import clean

    document = run.document()
    rest = {name: value for name, value in document.items() if name not in {"id", "status"}}
    return "\n".join([f"{clean(run.id)}: {clean(run.status)}", *member_lines(rest)])


@command
def children(session: Session, run: options.RunId) -> int:
    """List the runs that a run has started, oldest first.

    Their status is that of their beginning: `tm jobs show` tells how one has ended.

    tm jobs children 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    return _runs(session, run, "children")


@command
def lineage(session: Session, run: options.RunId) -> int:
    """List the runs that a run continues, the first one first.

    tm jobs lineage 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    return _runs(session, run, "lineage")


@command
def dependencies(session: Session, run: options.RunId) -> int:
    """Show what a run waits for before it begins.

    tm jobs dependencies 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    document = read_part(session, run, "dependency-status")
    return session.emit(document, lambda: describe_members(document))


def _runs(session: Session, run: str, part: str) -> int:
    from tm_cli.commands.jobs.list import run_table

    page = read_page(session, run, part)
    return session.emit(page.document(), lambda: run_table(session.terminal, page.data))
