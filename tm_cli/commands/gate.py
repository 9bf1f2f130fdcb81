"""`tm gate`: what was decided, once more and in other words."""

from __future__ import annotations

from typing import Annotated

import typer

from tm_cli.cli import options
from tm_cli.cli.global_options import group
from tm_cli.cli.lazy import QuickGroup
from tm_cli.cli.session import Session, command

app = typer.Typer(cls=QuickGroup, add_completion=False, no_args_is_help=True)

SavedReport = Annotated[
    str, typer.Argument(metavar="FILE", help="A JSON or HTML report that a gate has written.")
]


@app.callback()
@group
def gate() -> None:
    """Decide a saved report anew, say why a gate passed or failed."""


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
            help="Instead of those of the report: FAIL,WARN,NO_BASELINE.",
        ),
    ] = None,
    checks: Annotated[
        list[str] | None,
        typer.Option(
            "--assert",
            metavar="CHECK",
            help="Instead of those of the report: p95<400ms, errors<1%; repeatable.",
        ),
    ] = None,
    report: options.Report = None,
) -> int:
    """Decide a saved report by another gate, or by its own; nothing is sent.

    tm gate eval gate.json --fail-on FAIL --assert "p95<250ms"
    """
    from tm_cli.commands.report import replay

    options.refuse_torn_verdicts(fail_on, [file])
    return replay.evaluate(session, file, fail_on=fail_on, checks=checks, reports=report or [])


@app.command("explain")
@command
def explain(session: Session, file: SavedReport) -> int:
    """Say in a sentence why a gate passed or failed, and what it rests on.

    tm gate explain gate.json
    """
    from tm_cli.commands.report import replay

    return replay.explain(session, file)
