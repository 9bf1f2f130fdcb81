"""`tm completion`: scripts for shells."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from tm_cli.commands.session import Session, command

app = typer.Typer(add_completion=False)


class Shell(StrEnum):
    """The shells that typer completes in."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    POWERSHELL = "powershell"


@app.command("completion")
@command
def completion(
    session: Session,
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh, fish or powershell.")],
) -> int:
    """Print the completion script of a shell; `tm --install-completion` installs it.

    tm completion bash
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    script = get_completion_script(prog_name="tm", complete_var="_TM_COMPLETE", shell=shell.value)
    session.terminal.result(script)
    return 0
