"""`tm schema`: the JSON Schemas of the files that users and programs write and read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tm_cli.cli.app import App
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.commands.shared.output_files import write_output

app = App()

KINDS = ("profile", "settings", "report")


@app.command("schema")
@with_session
def schema(
    session: CommandContext,
    kind: Annotated[
        Literal["profile", "settings", "report"],
        typer.Argument(metavar="KIND", help="Schema of profile documents, tm.toml or reports."),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="File to write to. [standard output]"),
    ] = None,
) -> int:
    """Print the JSON Schema of profile documents, of tm.toml or of reports.

    Editors check files with it: `tm init` and `tm profiles new` write it next to their files.

    tm schema profile --output .tm-profile.schema.json
    """
    text = schema_text(kind)
    if output is None:
        session.terminal.write_result(text)
        return 0
    write_output(session.context.cwd, output, text)
    session.note(f"tm: wrote {output}")
    return 0


def schema_text(kind: str) -> str:
    """Return a schema as a file has it."""
    if kind == "profile":
        from tm_cli.backends.trafficmorph import profile_schema

        return profile_schema.schema_text()
    if kind == "settings":
        from tm_cli.settings import schema as settings

        return settings.schema_text()
    from tm_cli.report.document import schema_text as report

    return report()
