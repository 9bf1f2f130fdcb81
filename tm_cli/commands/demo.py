"""`tm demo`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import typer

from tm_cli.cli.session import Session, command
from tm_cli.exit_codes import ExitCode

app = typer.Typer(add_completion=False)


@app.command("demo")
@command
def demo(session: Session) -> int:
    """Watch a gate pass and fail, in about a minute.

    Starts a small service on this machine, tests it with real load three times, makes it slower
    before the last time, and exits 0 only if every command returned the code it must return.

    tm demo
    """
    from tm_cli.demo.script import play

    with tempfile.TemporaryDirectory(prefix="tm-demo-", ignore_cleanup_errors=True) as directory:
        right = play(Path(directory), session.context.environ, session.terminal.result)
    if right:
        session.terminal.result("\nEvery command returned the exit code that it should.")
        return int(ExitCode.OK)
    session.terminal.note("tm: a command returned another exit code than it should")
    return int(ExitCode.ERROR)
