"""`tm report`: evaluates, shows, converts and comments saved reports."""

from __future__ import annotations

from typing import Annotated

import typer

from tm_cli.cli import options
from tm_cli.cli.app import App
from tm_cli.cli.global_options import group
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.completion.candidates import complete_verdicts
from tm_cli.errors import UsageError

app = App()
gate_app = App(hidden=True)
"""The older names of two commands: `tm gate eval` and `tm gate explain`."""

SavedReport = Annotated[
    str, typer.Argument(metavar="FILE", help="JSON or HTML report written by a gate.")
]


@app.callback()
@group
def report() -> None:
    """Re-evaluate, explain, show and convert saved reports, comment on pull requests."""


@gate_app.callback()
@group
def gate() -> None:
    """Re-evaluate or explain a saved report; `tm report` has the same commands."""


@app.command("eval")
@gate_app.command("eval")
@with_session
def evaluate(
    session: CommandContext,
    file: SavedReport,
    fail_on: Annotated[
        str | None,
        typer.Option(
            "--fail-on",
            metavar="VERDICTS",
            autocompletion=complete_verdicts,
            help="Verdicts that fail the gate, instead of those in the report: "
            "FAIL,WARN,NO_BASELINE.",
        ),
    ] = None,
    checks: Annotated[
        list[str] | None,
        typer.Option(
            "--assert",
            metavar="CHECK",
            help='Check to apply instead of those in the report, e.g. "p95<400ms"; repeatable.',
        ),
    ] = None,
    report: options.Report = None,
) -> int:
    """Re-evaluate a saved report with its own gate or another one; sends no request.

    tm report eval gate.json --fail-on FAIL --assert "p95<250ms"
    """
    from tm_cli.commands.report import replay

    options.reject_space_after_comma(fail_on, [file])
    return replay.evaluate(session, file, fail_on=fail_on, checks=checks, reports=report or [])


@app.command("explain")
@gate_app.command("explain")
@with_session
def explain(session: CommandContext, file: SavedReport) -> int:
    """Explain in a sentence why a gate passed or failed, and list the reasons.

    tm report explain gate.json
    """
    from tm_cli.commands.report import replay

    return replay.explain(session, file)


@app.command("show")
@with_session
def show(session: CommandContext, file: SavedReport) -> int:
    """Print the summary of a saved report; exits with 0 whatever its outcome.

    tm report show gate.json
    """
    from tm_cli.commands.report import replay

    return replay.show(session, file)


@app.command("render")
@with_session
def render(session: CommandContext, file: SavedReport, to: options.Report = None) -> int:
    """Write a saved report in other formats.

    tm report render gate.json --report markdown=gate.md --report html=gate.html
    """
    if not to:
        raise UsageError("--report says what to write", hint="for instance --report html=gate.html")
    from tm_cli.commands.report import replay

    return replay.render(session, file, to)


@app.command("schema")
@with_session
def schema(session: CommandContext) -> int:
    """Print the JSON Schema of report files.

    tm report schema
    """
    from tm_cli.report.document import schema_text

    session.terminal.write_result(schema_text())
    return 0


@app.command("comment")
@with_session
def comment(
    session: CommandContext,
    file: SavedReport,
    name: Annotated[
        str, typer.Option(metavar="GATE", help="Name of the gate, if there are several.")
    ] = "tm",
    repo: Annotated[
        str | None,
        typer.Option(
            metavar="OWNER/REPO",
            help="Repository, or project of GitLab. [from the CI environment]",
        ),
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
