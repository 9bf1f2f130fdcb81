"""`tm runs`: start runs, wait for their verdict, control them."""

from __future__ import annotations

from typing import Annotated

import typer

from tm_cli.cli import options
from tm_cli.cli.global_options import group
from tm_cli.cli.lazy import QuickGroup
from tm_cli.cli.session import Session, command
from tm_cli.errors import UsageError

app = typer.Typer(cls=QuickGroup, add_completion=False, no_args_is_help=True)


@app.callback()
@group
def runs() -> None:
    """Start runs, wait for their verdict, control them."""


@app.command("start")
@command
def start(
    session: Session,
    *,
    profile: Annotated[
        list[str],
        typer.Argument(metavar="PROFILE...", help="Ids, names, or paths to profile documents."),
    ],
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the run's own verdict.")] = False,
    gate_options: options.GateOptions,
    checks: options.Assert = None,
    confirm: options.Confirm = 0,
    baseline: options.Baseline = None,
    against: options.Against = None,
    region: Annotated[
        str | None, typer.Option(metavar="R", help="Region of the load. [TM_REGION]")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="T", help="Tag of the run; repeatable.")
    ] = None,
    wait_options: options.WaitOptions,
    fail_fast: options.FailFast = False,
) -> int:
    """Start a run, or several; with --wait, exit by the verdict.

    tm runs start checkout --wait --fail-on FAIL,WARN

    tm runs start checkout --against http://localhost:8081/checkout --wait --fail-on FAIL
    """
    options.refuse_torn_verdicts(gate_options.fail_on, profile)
    if not wait:
        options.refuse_without_wait(
            fail_on=gate_options.fail_on,
            checks=checks,
            confirm=confirm,
            fail_fast=fail_fast,
            report=wait_options.report,
        )
    manners = wait_options.read(session, fail_fast=fail_fast)
    gate = gate_options.read(session, checks=checks, confirm=confirm)
    from tm_cli.commands.runs import gate as gating
    from tm_cli.commands.runs.gate import read_terms

    request = gating.StartRequest(
        profiles=tuple(profile),
        region=session.setting("region", region),
        tags=options.read_tags(tag or []),
        terms=read_terms(session, baseline=baseline, against=against, profiles=profile),
    )
    if wait:
        return gating.start_and_wait(session, request, gate, manners)
    code = gating.start_only(session, request)
    if gate.fail_on:
        _say_ungated(session)
    return code


def _say_ungated(session: Session) -> None:
    """Say it to `--quiet` pipelines as well: they may take this start for their gate."""
    origin = session.settings["fail_on"].origin
    session.terminal.note(
        f"tm: this start does not gate: fail_on ({origin}) counts only with --wait, "
        "or later in `tm runs wait --last`"
    )


@app.command("wait")
@command
def wait(
    session: Session,
    *,
    profile: Annotated[
        str | None,
        typer.Argument(metavar="[PROFILE]", help="Id, name, or path to a profile document."),
    ] = None,
    run_id: Annotated[
        str | None, typer.Option("--run-id", metavar="ID", help="The id that the start returned.")
    ] = None,
    last: options.Last = False,
    gate_options: options.GateOptions,
    checks: options.Assert = None,
    baseline: options.AskedBaseline = None,
    against: options.AskedAgainst = None,
    wait_options: options.WaitOptions,
    fail_fast: options.FailFast = False,
) -> int:
    """Wait for a run that was started before, and exit by its verdict.

    tm runs wait checkout --run-id 6f0d2c1e-8a4b-4c39-9d51-0c8d5a3c7b21 --fail-on FAIL

    tm runs wait --last
    """
    options.refuse_torn_verdicts(gate_options.fail_on, [profile] if profile is not None else [])
    manners = wait_options.read(session, fail_fast=fail_fast)
    gate = gate_options.read(session, checks=checks, last=last)
    from tm_cli.commands.runs import gate as gating
    from tm_cli.commands.runs.gate import read_terms
    from tm_cli.commands.shared import last_gate

    if last:
        if (profile, run_id, baseline, against) != (None, None, None, None):
            raise UsageError(
                "--last stands alone, without PROFILE, --run-id, --baseline and --against"
            )
        return last_gate.wait_for_last(session, gate, manners)
    if profile is None or run_id is None:
        raise UsageError("name PROFILE and --run-id, or give --last")
    if not run_id.strip():
        raise UsageError("--run-id is empty")
    terms = read_terms(session, baseline=baseline, against=against, profiles=[profile])
    return gating.wait_for(session, profile, run_id, terms, gate, manners)


@app.command("status")
@command
def status(session: Session, profile: options.Profile) -> int:
    """Show the run of a profile as it is now.

    tm runs status checkout
    """
    from tm_cli.commands.runs import controls

    return controls.show_status(session, profile)


@app.command("stop")
@command
def stop(session: Session, profile: options.Profile) -> int:
    """Stop the run of a profile; a stopped run has no verdict.

    tm runs stop checkout
    """
    from tm_cli.commands.runs import controls

    return controls.control(session, profile, controls.Action.STOP)


@app.command("pause")
@command
def pause(session: Session, profile: options.Profile) -> int:
    """Pause the run of a profile; its place on the curve is kept.

    tm runs pause checkout
    """
    from tm_cli.commands.runs import controls

    return controls.control(session, profile, controls.Action.PAUSE)


@app.command("resume")
@command
def resume(session: Session, profile: options.Profile) -> int:
    """Resume the paused run of a profile.

    tm runs resume checkout
    """
    from tm_cli.commands.runs import controls

    return controls.control(session, profile, controls.Action.RESUME)
