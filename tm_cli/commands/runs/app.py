"""`tm runs`: start runs, wait for their verdict, control them."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Annotated

import typer

from tm_cli.cli import options
from tm_cli.cli.app import App
from tm_cli.cli.global_options import group
from tm_cli.cli.help_page import GATE
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.commands.run import Duration, Host, Rate, check_reach, read_load
from tm_cli.completion.candidates import complete_profiles
from tm_cli.errors import UsageError

app = App()


@app.callback()
@group
def runs() -> None:
    """Start runs, wait for their verdicts, control them."""


@app.command("start")
@with_session
def start(
    session: CommandContext,
    *,
    profile: Annotated[
        list[str],
        typer.Argument(
            metavar="PROFILE...",
            autocompletion=complete_profiles,
            help="Profile ids, names, or paths to profile documents or locustfiles.",
        ),
    ],
    wait: Annotated[
        bool,
        typer.Option(
            "--wait", help="Wait for the run's verdict and exit by it.", rich_help_panel=GATE
        ),
    ] = False,
    gate_options: options.GateOptions,
    checks: options.Assert = None,
    abort_if: options.AbortIf = None,
    confirm: options.Confirm = 0,
    start_options: options.StartOptions,
    target_options: options.TargetOptions,
    rate: Rate = None,
    duration: Duration = None,
    host: Host = None,
    wait_options: options.WaitOptions,
    fail_fast: options.FailFast = False,
    parallel: options.Parallel = None,
) -> int:
    """Start one or more runs; with --wait, exit by their verdicts.

    A locustfile (.py) has its load in the document of the same name, or in --rate and --duration.

    tm runs start checkout --wait --fail-on FAIL,WARN

    tm runs start shop.py --rate 5 --duration 60s --wait --fail-on FAIL

    tm runs start checkout --against http://localhost:8081/checkout --wait --fail-on FAIL

    tm runs start checkout.yaml --wait --fail-on FAIL --serve './start.sh --port 8080'
    """
    options.reject_space_after_comma(gate_options.fail_on, profile)
    if not wait:
        options.refuse_without_wait(
            fail_on=gate_options.fail_on,
            warn_on=gate_options.warn_on,
            checks=checks,
            abort_if=abort_if,
            confirm=confirm,
            fail_fast=fail_fast,
            report=wait_options.report,
            parallel=parallel,
            **asdict(target_options),
        )
    serves = target_options.serve is not None
    with wait_options.open(session, fail_fast=fail_fast, serves=serves) as behavior:
        from tm_cli.commands.runs.target import read_gate

        profile, document = read_load(session, profile, rate, duration, host)
        observed, gate = read_gate(
            session,
            profile if wait and document is None else [],
            gate_options,
            start_options,
            target_options,
            checks=checks,
            abort_if=abort_if,
            confirm=confirm,
        )
        from tm_cli.commands.runs.gate import RunGate
        from tm_cli.commands.runs.request import read_request
        from tm_cli.commands.shared.gate import start_and_wait, start_only

        request = read_request(
            session,
            profile,
            start_options,
            parallel=parallel,
            document=document,
            serves=serves,
        )
        runs = RunGate(session)
        if document is not None:
            check_reach(document["endpointUrl"], runs.server)
        if wait:
            plan = partial(runs.plan, request)
            return start_and_wait(runs, gate, behavior, plan, prepare=observed.prepare)
        return start_only(runs, gate, partial(runs.plan, request))


@app.command("wait")
@with_session
def wait(
    session: CommandContext,
    *,
    profile: Annotated[
        str | None,
        typer.Argument(
            metavar="[PROFILE]",
            autocompletion=complete_profiles,
            help="Profile id, name, or path to a profile document.",
        ),
    ] = None,
    run_id: Annotated[
        str | None, typer.Option("--run-id", metavar="ID", help="Run id printed by the start.")
    ] = None,
    last: options.Last = False,
    gate_options: options.GateOptions,
    checks: options.Assert = None,
    abort_if: options.AbortIf = None,
    baseline: options.AskedBaseline = None,
    against: options.AskedAgainst = None,
    wait_options: options.WaitOptions,
    fail_fast: options.FailFast = False,
) -> int:
    """Wait for a run that was started earlier, and exit by its verdict.

    tm runs wait checkout --run-id 6f0d2c1e-8a4b-4c39-9d51-0c8d5a3c7b21 --fail-on FAIL

    tm runs wait --last
    """
    options.reject_space_after_comma(gate_options.fail_on, [profile] if profile is not None else [])
    with wait_options.open(session, fail_fast=fail_fast) as behavior:
        if checks or not last:  # else those of the start are remembered
            checks = options.with_assert_setting(session, checks)
        is_remembered = last and not abort_if  # a flag takes none of the settings away
        limits = options.read_abort_if(session, abort_if, only_flags=is_remembered)
        gate = gate_options.read(session, checks=checks, abort_if=limits, last=last)
        from tm_cli.commands.runs.gate import RunGate
        from tm_cli.commands.runs.request import read_comparison
        from tm_cli.commands.shared.gate import wait_for

        if last:
            if (profile, run_id, baseline, against) != (None, None, None, None):
                raise UsageError(
                    "--last stands alone, without PROFILE, --run-id, --baseline and --against"
                )
            from tm_cli.commands.shared.last_gate import wait_for_last_start

            return wait_for_last_start(session, gate, behavior)
        if profile is None or run_id is None:
            raise UsageError("name PROFILE and --run-id, or give --last")
        if not run_id.strip():
            raise UsageError("--run-id is empty")
        compared = read_comparison(session, baseline=baseline, against=against, profiles=[profile])
        runs = RunGate(session)
        return wait_for(runs, gate, behavior, partial(runs.attach, profile, run_id, compared))


@app.command("status")
@with_session
def status(session: CommandContext, profile: options.Profile) -> int:
    """Show the current run of a profile.

    tm runs status checkout
    """
    from tm_cli.commands.runs import controls

    return controls.show_status(session, profile)


@app.command("stop")
@with_session
def stop(session: CommandContext, profile: options.Profile) -> int:
    """Stop the current run of a profile; a stopped run has no verdict.

    tm runs stop checkout
    """
    from tm_cli.commands.runs import controls

    return controls.control(session, profile, controls.RunAction.STOP)


@app.command("pause")
@with_session
def pause(session: CommandContext, profile: options.Profile) -> int:
    """Pause the current run of a profile.

    tm runs pause checkout
    """
    from tm_cli.commands.runs import controls

    return controls.control(session, profile, controls.RunAction.PAUSE)


@app.command("resume")
@with_session
def resume(session: CommandContext, profile: options.Profile) -> int:
    """Resume the paused run of a profile where it was paused.

    tm runs resume checkout
    """
    from tm_cli.commands.runs import controls

    return controls.control(session, profile, controls.RunAction.RESUME)
