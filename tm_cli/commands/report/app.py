"""`tm report`: saved reports, shown, written anew, put on a pull request."""

from __future__ import annotations

from typing import Annotated

import typer

from tm_cli.cli import options
from tm_cli.cli.global_options import group
from tm_cli.cli.lazy import QuickGroup
from tm_cli.cli.session import Session, command
from tm_cli.commands.gate import SavedReport
from tm_cli.errors import UsageError

app = typer.Typer(cls=QuickGroup, add_completion=False, no_args_is_help=True)


@app.callback()
@group
def report() -> None:
    """Show saved reports, write them in other formats, put them on a pull request."""


@app.command("show")
@command
def show(session: Session, file: SavedReport) -> int:
    """Print a saved report as the summary of a gate; exits 0 whatever it says.

    tm report show gate.json
    """
    from tm_cli.commands.report import replay

    return replay.show(session, file)


@app.command("render")
@command
def render(session: Session, file: SavedReport, to: options.Report = None) -> int:
    """Write a saved report in other formats.

    tm report render gate.json --report markdown=gate.md --report html=gate.html
    """
    if not to:
        raise UsageError("--report says what to write", hint="for instance --report html=gate.html")
    from tm_cli.commands.report import replay

    return replay.render(session, file, to)


@app.command("schema")
@command
def schema(session: Session) -> int:
    """Print the JSON Schema of report files.

    tm report schema
    """
    from importlib.resources import files

    text = files("tm_cli").joinpath("schemas", "report-1.json").read_text(encoding="utf-8")
    session.terminal.result(text)
    return 0


@app.command("comment")
@command
def comment(
    session: Session,
    file: SavedReport,
    name: Annotated[
        str, typer.Option(metavar="GATE", help="Which of several gates this is.")
    ] = "tm",
    repo: Annotated[
        str | None,
        typer.Option(metavar="O/R", help="Repository. [GITHUB_REPOSITORY, CI_PROJECT_ID]"),
    ] = None,
    pr: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Pull or merge request. [found in CI]"),
    ] = None,
) -> int:
    """Comment a pull request with a saved report; the next time, the comment is replaced.

    tm report comment gate.json --name checkout
    """
    from tm_cli.commands.report import comment as commenting

    return commenting.comment(session, file, name=name, repo=repo, number=pr)
