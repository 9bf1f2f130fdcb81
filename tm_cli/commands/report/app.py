"""`tm report`: saved reports, shown, written anew, put on a pull request."""

from __future__ import annotations

from typing import Annotated

import typer

from tm_cli.cli import options
from tm_cli.cli.app import App
from tm_cli.cli.global_options import group
from tm_cli.cli.session import Session, command
from tm_cli.commands.gate import SavedReport
from tm_cli.errors import UsageError

app = App()


@app.callback()
@group
def report() -> None:
    """Show saved reports, convert them, comment on pull requests."""


@app.command("show")
@command
def show(session: Session, file: SavedReport) -> int:
    """Print the summary of a saved report; exits with 0 whatever its outcome.

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

    text = files("tm_cli").joinpath("report", "report-1.json").read_text(encoding="utf-8")
    session.terminal.result(text)
    return 0


@app.command("comment")
@command
def comment(
    session: Session,
    file: SavedReport,
    name: Annotated[
        str, typer.Option(metavar="GATE", help="Name of the gate, if there are several.")
    ] = "tm",
    repo: Annotated[
        str | None,
        typer.Option(metavar="O/R", help="Repository. [GITHUB_REPOSITORY or CI_PROJECT_ID]"),
    ] = None,
    pr: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Number of the pull or merge request. [from the CI environment]",
        ),
    ] = None,
) -> int:
    """Post a saved report as a comment on a pull request, or update the comment.

    tm report comment gate.json --name checkout
    """
    from tm_cli.commands.report import comment as commenting

    return commenting.comment(session, file, name=name, repo=repo, number=pr)
