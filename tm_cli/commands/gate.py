"""`tm gate`: the older name of `tm report eval` and `tm report explain`."""

from __future__ import annotations

import typer

from tm_cli.cli.global_options import group
from tm_cli.cli.lazy import QuickGroup
from tm_cli.commands.report import app as report

app = typer.Typer(cls=QuickGroup, add_completion=False, no_args_is_help=True, hidden=True)


@app.callback()
@group
def gate() -> None:
    """Re-evaluate or explain a saved report; `tm report` has the same commands."""


app.command("eval")(report.evaluate)
app.command("explain")(report.explain)
