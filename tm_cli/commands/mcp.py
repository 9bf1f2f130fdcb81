"""`tm mcp`: the gate for assistants, on standard input and output."""

from __future__ import annotations

from typing import Annotated

import typer

from tm_cli.cli.app import App
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.errors import ConfigurationError
from tm_cli.exit_codes import ExitCode

app = App()

GROUPS = (
    "runs", "history", "profiles", "variables", "captures", "domains", "account", "benchmarks",
    "jobs",
)  # fmt: skip
"""The groups of `tm_cli.mcp.tools`, which takes a while to import."""


def complete_tools(incomplete: str) -> list[str]:
    """Each group once, after those already in the list."""
    *there, _ = incomplete.split(",")
    head = ",".join([*there, ""])
    return [head + group for group in GROUPS if group not in there]


Tools = Annotated[
    list[str] | None,
    typer.Option(
        "--tools",
        metavar="GROUP,...",
        autocompletion=complete_tools,
        help=f"Offer only these groups ({', '.join(GROUPS)}) or single tools; repeatable.",
    ),
]


@app.command("mcp")
@with_session
def mcp(session: CommandContext, tools: Tools = None) -> int:
    """Run a Model Context Protocol (MCP) server on standard input and output.

    An MCP client starts it; it ends when its input is closed. Server and key come from flags,
    variables, files and contexts as for every command, never from the client.

    tm mcp

    tm mcp --context staging

    tm mcp --tools runs,history
    """
    from tm_cli.mcp.tools import select_tools

    offered = select_tools(tools)
    try:
        from tm_cli.mcp.server import run
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            f"the Model Context Protocol needs another package ({missing.name} is missing)",
            hint="pip install 'tm-cli[mcp]'",
        ) from None
    run(session, offered)
    return int(ExitCode.OK)
