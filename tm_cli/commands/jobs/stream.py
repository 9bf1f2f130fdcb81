"""`tm jobs stream`: prints the events of a run while it is running."""

from __future__ import annotations

from typing import Annotated

import typer

from tm_cli.cli import options
from tm_cli.cli.app import App
from tm_cli.cli.session import Session, command
from tm_cli.commands.jobs import options as job_options
from tm_cli.errors import UsageError

app = App()


@app.command("stream")
@command
def stream(
    session: Session,
    run: job_options.RunId,
    chunks: Annotated[
        bool, typer.Option("--chunks", help="Print the text that the job streams.")
    ] = False,
    logs: Annotated[
        bool, typer.Option("--logs", help="Print the log of the run's worker.")
    ] = False,
    wait_timeout: options.WaitTimeout = None,
) -> int:
    """Print a run's messages until it has finished; with --json, one JSON object per line.

    tm jobs stream 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11 --chunks
    """
    if chunks and logs:
        raise UsageError("--chunks and --logs exclude each other")
    job_options.check_run_id(run)
    limit: float = session.setting("wait_timeout", wait_timeout)
    from tm_cli.commands.jobs.listener import listen_to

    part = "chunks" if chunks else "logs" if logs else None
    return listen_to(session, run, part=part, limit=limit)
