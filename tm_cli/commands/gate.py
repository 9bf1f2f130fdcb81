"""`tm gate`: the older name of `tm report eval` and `tm report explain`."""

from __future__ import annotations

from tm_cli.cli.app import App
from tm_cli.cli.global_options import group
from tm_cli.commands.report import app as report

app = App(hidden=True)


@app.callback()
@group
def gate() -> None:
    """Re-evaluate or explain a saved report; `tm report` has the same commands."""


app.command("eval")(report.evaluate)
app.command("explain")(report.explain)
