"""`tm runs`: start runs, wait for their verdict, control them."""

from __future__ import annotations

from typing import Annotated

import typer

from tm_cli.commands import options
from tm_cli.commands.session import Session, command
from tm_cli.errors import UsageError
from tm_cli.global_options import group
from tm_cli.lazy import QuickGroup

app = typer.Typer(cls=QuickGroup, add_completion=False, no_args_is_help=True)


@app.callback()
@group
def runs() -> None:
    """Start runs, wait for their verdict, control them."""


@app.command("start")
@command
def start(
    session: Session,
    profile: options.Profile,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the run's own verdict.")] = False,
    fail_on: options.FailOn = None,
    region: Annotated[
        str | None, typer.Option(metavar="R", help="Region of the load. [TM_REGION]")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="T", help="Tag of the run; repeatable.")
    ] = None,
    wait_timeout: options.WaitTimeout = None,
    verdict_timeout: options.VerdictTimeout = None,
    poll_interval: options.PollInterval = None,
) -> int:
    """Start a run; with --wait, exit by its verdict.

    Without --fail-on the verdict is printed and does not change the exit code.

    tm runs start checkout --wait --fail-on FAIL,WARN
    """
    if fail_on is not None and not wait:
        raise UsageError(
            "--fail-on needs --wait", hint="a run that nobody waits for has no verdict"
        )
    gate = options.read_gate(
        session,
        fail_on=fail_on,
        wait_timeout=wait_timeout,
        verdict_timeout=verdict_timeout,
        poll_interval=poll_interval,
    )
    from tm_cli.commands import gating

    request = gating.StartRequest(
        profile=profile,
        region=session.setting("region", region),
        tags=options.read_tags(tag or []),
    )
    if wait:
        return gating.start_and_wait(session, request, gate)
    return gating.start_only(session, request)


@app.command("wait")
@command
def wait(
    session: Session,
    profile: options.Profile,
    run_id: Annotated[
        str, typer.Option("--run-id", metavar="ID", help="The id that the start returned.")
    ],
    fail_on: options.FailOn = None,
    wait_timeout: options.WaitTimeout = None,
    verdict_timeout: options.VerdictTimeout = None,
    poll_interval: options.PollInterval = None,
) -> int:
    """Wait for a run that was started before, and exit by its verdict.

    tm runs wait checkout --run-id 3f2a41c0 --fail-on FAIL
    """
    if not run_id.strip():
        raise UsageError("--run-id is empty")
    gate = options.read_gate(
        session,
        fail_on=fail_on,
        wait_timeout=wait_timeout,
        verdict_timeout=verdict_timeout,
        poll_interval=poll_interval,
    )
    from tm_cli.commands import gating

    return gating.wait_for(session, profile, run_id, gate)


@app.command("status")
@command
def status(session: Session, profile: options.Profile) -> int:
    """Show the run of a profile as it is now.

    tm runs status checkout
    """
    from tm_cli.commands import controls

    return controls.show_status(session, profile)


@app.command("stop")
@command
def stop(session: Session, profile: options.Profile) -> int:
    """Stop the run of a profile; a stopped run has no verdict.

    tm runs stop checkout
    """
    from tm_cli.commands import controls

    return controls.control(session, profile, controls.Action.STOP)


@app.command("pause")
@command
def pause(session: Session, profile: options.Profile) -> int:
    """Pause the run of a profile; its place on the curve is kept.

    tm runs pause checkout
    """
    from tm_cli.commands import controls

    return controls.control(session, profile, controls.Action.PAUSE)


@app.command("resume")
@command
def resume(session: Session, profile: options.Profile) -> int:
    """Resume the paused run of a profile.

    tm runs resume checkout
    """
    from tm_cli.commands import controls

    return controls.control(session, profile, controls.Action.RESUME)
