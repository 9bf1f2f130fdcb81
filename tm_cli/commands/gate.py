"""`tm gate`: what was decided, once more and in other words."""

from __future__ import annotations

from typing import Annotated

import typer

from tm_cli.cli import options
from tm_cli.cli.app import App
from tm_cli.cli.global_options import group
from tm_cli.cli.session import Session, command
from tm_cli.completion.candidates import complete_verdicts

app = App()

SavedReport = Annotated[
    str, typer.Argument(metavar="FILE", help="JSON or HTML report written by a gate.")
]


@app.callback()
@group
def gate() -> None:
    """Re-evaluate a saved report, explain its result."""


@app.command("eval")
@command
def evaluate(
    session: Session,
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

    tm gate eval gate.json --fail-on FAIL --assert "p95<250ms"
    """
    from tm_cli.commands.report import replay

    options.refuse_torn_verdicts(fail_on, [file])
    return replay.evaluate(session, file, fail_on=fail_on, checks=checks, reports=report or [])


@app.command("explain")
@command
def explain(session: Session, file: SavedReport) -> int:
    """Explain why a gate passed or failed, and what the result is based on.

    tm gate explain gate.json
    """
    from tm_cli.commands.report import replay

    return replay.explain(session, file)
