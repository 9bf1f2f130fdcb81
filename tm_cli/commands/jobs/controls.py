"""`tm jobs cancel|replay|pause|...`: what can be done to one run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tm_cli.cli.global_options import group
from tm_cli.cli.lazy import QuickGroup
from tm_cli.cli.session import Session, command
from tm_cli.commands.jobs import options

if TYPE_CHECKING:
    from tm_cli.api.strait.client import Client
    from tm_cli.api.strait.models import JobRun

debug_app = typer.Typer(cls=QuickGroup, add_completion=False, no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Give `tm jobs` these commands."""
    for name, function in (
        ("cancel", cancel),
        ("replay", replay),
        ("dlq-replay", dlq_replay),
        ("pause", pause),
        ("resume", resume),
        ("restart", restart),
        ("reschedule", reschedule),
        ("reset-idempotency-key", reset_idempotency_key),
    ):
        app.command(name)(function)


@command
def cancel(session: Session, run: options.RunId) -> int:
    """Cancel a run, and the runs it has started that are not over yet.

    tm jobs cancel 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    return _move(session, run, lambda client: client.cancel_run(run))


@command
def replay(
    session: Session,
    run: options.RunId,
    from_checkpoint: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Begin with the state of this checkpoint."),
    ] = None,
) -> int:
    """Make a new run like one that failed; each call makes another.

    tm jobs replay 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    from tm_cli.commands.jobs.client import open_client, told_when_lost, told_when_missing
    from tm_cli.values.text import clean

    options.check_run_id(run)
    client = open_client(session)
    with told_when_missing(run), told_when_lost():
        made = client.replay_run(run, from_checkpoint=from_checkpoint)
    data = {**made.document(), "replayed_run_id": run}
    return session.emit(
        data, lambda: f"made run {clean(made.id)} from {clean(run)}: {clean(made.status)}"
    )


@command
def dlq_replay(session: Session, run: options.RunId) -> int:
    """Put a run of the dead-letter queue back into the queue, under its own id.

    tm jobs dlq-replay 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    return _move(session, run, lambda client: client.revive_run(run))


@command
def pause(session: Session, run: options.RunId) -> int:
    """Pause a run that is executing.

    tm jobs pause 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    return _move(session, run, lambda client: client.move_run(run, "pause"))


@command
def resume(session: Session, run: options.RunId) -> int:
    """Put a paused run back into the queue.

    tm jobs resume 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    return _move(session, run, lambda client: client.move_run(run, "resume"))


@command
def restart(session: Session, run: options.RunId) -> int:
    """Let a run that is executing or paused begin anew, under its own id.

    tm jobs restart 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    return _move(session, run, lambda client: client.move_run(run, "restart"))


@command
def reschedule(
    session: Session,
    run: options.RunId,
    at: Annotated[str, typer.Option(metavar="TIME", help="When it shall begin.")],
    payload: options.Payload = None,
) -> int:
    """Give a run that has not begun another time, and if asked another payload.

    tm jobs reschedule 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11 --at 2026-03-01T12:00:00+01:00
    """
    body: dict[str, Any] = {"scheduled_at": options.read_time("--at", at)}
    if payload is not None:
        body["payload"] = options.read_payload(payload, session.context.cwd)
    return _move(session, run, lambda client: client.reschedule_run(run, body))


@command
def reset_idempotency_key(session: Session, run: options.RunId) -> int:
    """Free the idempotency key of a run, so that a trigger under it makes a new one.

    tm jobs reset-idempotency-key 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    from tm_cli.commands.jobs.client import open_client, told_when_missing
    from tm_cli.values.text import clean

    options.check_run_id(run)
    client = open_client(session)
    with told_when_missing(run):
        answer = client.reset_idempotency_key(run)
    return session.emit(answer, lambda: f"the idempotency key of {clean(run)} is free")


@debug_app.callback()
@group
def debug() -> None:
    """Turn the debug mode of a run on or off."""


@debug_app.command("on")
@command
def debug_on(session: Session, run: options.RunId) -> int:
    """Turn the debug mode of a run on.

    tm jobs debug on 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    return _set_debug(session, run, on=True)


@debug_app.command("off")
@command
def debug_off(session: Session, run: options.RunId) -> int:
    """Turn the debug mode of a run off.

    tm jobs debug off 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11
    """
    return _set_debug(session, run, on=False)


def _set_debug(session: Session, run: str, *, on: bool) -> int:
    from tm_cli.commands.jobs.client import open_client, told_when_missing
    from tm_cli.values.text import clean

    options.check_run_id(run)
    client = open_client(session)
    with told_when_missing(run):
        client.set_debug(run, on=on)
    word = "on" if on else "off"
    return session.emit(
        {"run_id": run, "debug_mode": on}, lambda: f"{clean(run)}: debug mode is {word}"
    )


def _move(session: Session, run: str, act: Callable[[Client], JobRun]) -> int:
    """Do it once and say how the run is afterwards."""
    from tm_cli.commands.jobs.client import open_client, told_when_missing
    from tm_cli.values.text import clean

    options.check_run_id(run)
    client = open_client(session)
    with told_when_missing(run):
        moved = act(client)
    return session.emit(moved.document(), lambda: f"{clean(moved.id)}: {clean(moved.status)}")
