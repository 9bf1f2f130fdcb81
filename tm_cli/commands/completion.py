"""`tm completion`: scripts for shells, and the candidates that they ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from tm_cli.cli.app import App
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.completion.shells import SCRIPTS, Shell
from tm_cli.exit_codes import ExitCode

app = App()


@app.command("completion")
@with_session
def completion(
    session: CommandContext,
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="Shell to write the script for.")],
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[WORDS]...", help="Used by the script: the words before the cursor."
        ),
    ] = None,
) -> int:
    """Print the completion script for a shell; its first line says how to install it.

    tm completion bash
    """
    if not words:
        session.terminal.write_result(SCRIPTS[shell])
        return int(ExitCode.OK)
    try:
        session.terminal.write_result(_candidates(session, shell, words))
    except Exception:  # an error message would end up in the command line that is being typed
        session.terminal.write_result(":files")
    return int(ExitCode.OK)


def _candidates(session: CommandContext, shell: Shell, words: Sequence[str]) -> str:
    from tm_cli.completion.candidates import complete
    from tm_cli.completion.shells import read_typed, write_completions

    typed = read_typed(shell, words)
    found = complete(session.tree, session.context, typed.before, typed.current)
    return write_completions(shell, found, typed, words)
