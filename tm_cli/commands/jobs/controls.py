"""`tm jobs cancel|replay|pause|...`: what can be done to one run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tm_cli.cli import options
from tm_cli.cli.app import App
from tm_cli.cli.global_options import group
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.commands.jobs import options as job_options
from tm_cli.errors import UsageError

if TYPE_CHECKING:
    from tm_cli.api.strait import JobRun, StraitClient

app = App()
debug_app = App()

NOT_REPLAYABLE = (
    "a run is replayed after failed, timed_out, crashed and system_failed; "
    "`tm jobs dlq-replay` revives a dead letter"
)


@app.command("cancel")
@with_session
def cancel(session: CommandContext, run: job_options.RunId) -> int:
    """Cancel a run and its unfinished child runs.

    tm jobs cancel 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    return _move(session, run, lambda client: client.cancel_run(run))


@app.command("replay")
@with_session
def replay(
    session: CommandContext,
    run: job_options.RunId,
    from_checkpoint: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Start from the state of this checkpoint."),
    ] = None,
) -> int:
    """Repeat a failed run as a new run; each call starts another.

    tm jobs replay 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    from tm_cli.api.errors import HttpError
    from tm_cli.commands.jobs.client import client_for_run, start_unknown_if_lost
    from tm_cli.values.text import sanitize

    with client_for_run(session, run, only_run=False) as client, start_unknown_if_lost():
        try:
            made = client.replay_run(run, from_checkpoint=from_checkpoint)
        except HttpError as error:
            if error.status in {400, 409} and error.from_api:
                error.hint = error.hint or NOT_REPLAYABLE
            raise
    data = {**made.document(), "replayed_run_id": run}
    return session.emit(
        data, lambda: f"made run {sanitize(made.id)} from {sanitize(run)}: {sanitize(made.status)}"
    )


@app.command("dlq-replay")
@with_session
def dlq_replay(session: CommandContext, run: job_options.RunId) -> int:
    """Move a run from the dead-letter queue back to the queue; its id stays the same.

    tm jobs dlq-replay 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    return _move(session, run, lambda client: client.revive_run(run))


@app.command("pause")
@with_session
def pause(session: CommandContext, run: job_options.RunId) -> int:
    """Pause a run that is executing.

    tm jobs pause 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    return _move(session, run, lambda client: client.move_run(run, "pause"))


@app.command("resume")
@with_session
def resume(session: CommandContext, run: job_options.RunId) -> int:
    """Return a paused run to the queue.

    tm jobs resume 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    return _move(session, run, lambda client: client.move_run(run, "resume"))


@app.command("restart")
@with_session
def restart(
    session: CommandContext,
    run: job_options.RunId,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Machine preset to restart on, for servers with managed machines."
        ),
    ] = None,
) -> int:
    """Restart a run that is executing or paused; its id stays the same.

    tm jobs restart 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    if preset is not None and not preset.strip():
        raise UsageError("--preset is empty")
    body = None if preset is None else {"machine_preset": preset}
    return _move(session, run, lambda client: client.move_run(run, "restart", body))


@app.command("reschedule")
@with_session
def reschedule(
    session: CommandContext,
    run: job_options.RunId,
    at: Annotated[str, typer.Option(metavar="TIME", help="New start time, ISO 8601.")],
    payload: job_options.Payload = None,
) -> int:
    """Change the start time of a run that has not started, and optionally its payload.

    tm jobs reschedule 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11 --at 2026-03-01T12:00:00+01:00
    """
    body: dict[str, Any] = {"scheduled_at": options.read_time("--at", at)}
    if payload is not None:
        body["payload"] = job_options.read_payload(payload, session.context.cwd)
    return _move(
        session, run, lambda client: client.move_run(run, "reschedule", body), only_run=False
    )


@app.command("reset-idempotency-key")
@with_session
def reset_idempotency_key(session: CommandContext, run: job_options.RunId) -> int:
    """Free a run's idempotency key, so that it can start a new run.

    tm jobs reset-idempotency-key 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    from tm_cli.commands.jobs.client import client_for_run
    from tm_cli.values.text import sanitize

    with client_for_run(session, run, only_run=False) as client:
        answer = client.reset_idempotency_key(run)
    return session.emit(answer, lambda: f"the idempotency key of {sanitize(run)} is free")


@debug_app.callback()
@group
def debug() -> None:
    """Turn a run's debug mode on or off."""


@debug_app.command("on")
@with_session
def debug_on(session: CommandContext, run: job_options.RunId) -> int:
    """Turn a run's debug mode on.

    tm jobs debug on 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    return _set_debug(session, run, on=True)


@debug_app.command("off")
@with_session
def debug_off(session: CommandContext, run: job_options.RunId) -> int:
    """Turn a run's debug mode off.

    tm jobs debug off 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    return _set_debug(session, run, on=False)


def _set_debug(session: CommandContext, run: str, *, on: bool) -> int:
    from tm_cli.commands.jobs.client import client_for_run
    from tm_cli.values.text import sanitize

    with client_for_run(session, run) as client:
        client.set_debug(run, on=on)
    word = "on" if on else "off"
    return session.emit(
        {"run_id": run, "debug_mode": on}, lambda: f"{sanitize(run)}: debug mode is {word}"
    )


def _move(
    session: CommandContext,
    run: str,
    act: Callable[[StraitClient], JobRun | None],
    *,
    only_run: bool = True,
) -> int:
    """Do it once and say how the run is afterwards."""
    from tm_cli.commands.jobs.client import client_for_run
    from tm_cli.values.text import sanitize

    with client_for_run(session, run, only_run=only_run) as client:
        moved = act(client) or _read_afterwards(client, run)
    if moved is None:
        return session.emit({"id": run, "status": None}, lambda: f"{sanitize(run)}: accepted")
    return session.emit(moved.document(), lambda: f"{sanitize(moved.id)}: {sanitize(moved.status)}")


def _read_afterwards(client: StraitClient, run: str) -> JobRun | None:
    """Return the run after an answer that did not show it; None when it cannot be read."""
    from tm_cli.api.errors import ApiError

    with suppress(ApiError):
        return client.get_run(run)
    return None
