"""`tm jobs`: trigger jobs of a Strait server, gate on their runs, inspect and control them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import typer

from tm_cli.cli import options
from tm_cli.cli.app import App
from tm_cli.cli.global_options import group
from tm_cli.cli.help_page import GATE
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.commands.jobs import bulk, controls, definitions, inspect, stream
from tm_cli.commands.jobs import list as list_commands
from tm_cli.commands.jobs import options as job_options
from tm_cli.errors import UsageError

app = App()


@app.callback()
@group
def jobs() -> None:
    """Gate on job runs of a Strait server; inspect and control them."""


@app.command("start")
@with_session
def start(
    session: CommandContext,
    *,
    job: Annotated[list[str], typer.Argument(metavar="JOB...", help="Job ids or slugs.")],
    wait: Annotated[
        bool,
        typer.Option(
            "--wait",
            help="Wait for the runs to finish and exit by the verdict.",
            rich_help_panel=GATE,
        ),
    ] = False,
    payload: job_options.Payload = None,
    tag: job_options.Tags = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Idempotency key. [generated]"),
    ] = None,
    reuse: Annotated[
        bool,
        typer.Option("--reuse", help="Accept an existing run with the same idempotency key."),
    ] = False,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Time to run at, instead of now (ISO 8601).")
    ] = None,
    priority: Annotated[
        int | None,
        typer.Option(min=0, max=10, metavar="N", help="Priority, from 0 to 10 (highest)."),
    ] = None,
    ttl: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Maximum time in the queue before the run expires."),
    ] = None,
    concurrency_key: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Concurrency key: runs that share it are serialized."),
    ] = None,
    debounce_key: Annotated[str | None, typer.Option(metavar="KEY", help="Debounce key.")] = None,
    batch_key: Annotated[str | None, typer.Option(metavar="KEY", help="Batch key.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Validate the trigger on the server; start nothing.")
    ] = False,
    gate_options: job_options.JobGateOptions,
    confirm: options.Confirm = 0,
    wait_options: options.WaitOptions,
    fail_fast: options.FailFast = False,
) -> int:
    """Trigger one or more jobs; with --wait, exit by the results of their runs.

    tm jobs start nightly-export --wait

    tm jobs start nightly-export --payload '{"rows": 100}' --wait --assert 'exported>=100'
    """
    options.reject_space_after_comma(gate_options.fail_on, job)
    job_options.check_keys(idempotency_key, concurrency_key, debounce_key, batch_key)
    if confirm and idempotency_key is not None:
        raise UsageError(
            "--confirm and --idempotency-key contradict each other",
            hint="under one key the server makes one run; leave the keys to tm",
        )
    if reuse and idempotency_key is None:
        raise UsageError("--reuse needs --idempotency-key")
    with wait_options.open(session, fail_fast=fail_fast) as behavior:
        gate = gate_options.read(session, confirm=confirm)
        body = job_options.read_trigger(
            session.context.cwd,
            payload=payload,
            tags=tag,
            at=at,
            priority=priority,
            ttl=ttl,
            keys={
                "concurrency_key": concurrency_key,
                "debounce_key": debounce_key,
                "batch_key": batch_key,
            },
        )
        job_wait = gate_options.read_wait()
        from tm_cli.commands.jobs.gate import JobGate, JobStart
        from tm_cli.commands.shared.gate import start_and_wait, start_only

        request = JobStart(tuple(job), body, idempotency_key, reuse)
        runs = JobGate(session, job_wait)
        if wait and not dry_run:
            return start_and_wait(runs, gate, behavior, partial(runs.plan, request))
        options.refuse_without_wait(
            fail_on=gate_options.fail_on,
            warn_on=gate_options.warn_on,
            checks=gate_options.checks,
            max_duration=gate_options.max_duration,
            canceled_as=gate_options.canceled_as,
            confirm=confirm,
            fail_fast=fail_fast,
            report=wait_options.report,
        )
        if not dry_run:
            return start_only(runs, gate, partial(runs.plan, request))
        if wait or len(job) != 1:
            raise UsageError("--dry-run takes one JOB and no --wait: nothing is started")
        return runs.rehearse(request)


@app.command("wait")
@with_session
def wait(
    session: CommandContext,
    *,
    run: job_options.OptionalRunIds = None,
    last: options.Last = False,
    gate_options: job_options.JobGateOptions,
    wait_options: options.WaitOptions,
    fail_fast: options.FailFast = False,
) -> int:
    """Wait for runs that were started earlier, and exit by their results.

    tm jobs wait 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11

    tm jobs wait --last
    """
    run_ids = run or []
    options.reject_space_after_comma(gate_options.fail_on, run_ids)
    with wait_options.open(session, fail_fast=fail_fast) as behavior:
        gate = gate_options.read(session, last=last)
        job_wait = gate_options.read_wait()
        _refuse_both_or_neither(run_ids, last=last)
        job_options.check_run_ids(run_ids)
        from tm_cli.commands.jobs.gate import JobGate
        from tm_cli.commands.shared.gate import wait_for

        if last:
            from tm_cli.commands.shared.last_gate import wait_for_last_start

            return wait_for_last_start(session, gate, behavior, job_wait)
        runs = JobGate(session, job_wait)
        return wait_for(runs, gate, behavior, partial(runs.attach, run_ids))


def _refuse_both_or_neither(run_ids: Sequence[str], *, last: bool) -> None:
    if last and run_ids:
        raise UsageError("--last stands alone, without RUN")
    if not last and not run_ids:
        raise UsageError("name a RUN, or give --last")


app.add_typer(list_commands.app)
app.add_typer(inspect.app)
app.add_typer(controls.app)
app.add_typer(stream.app)
app.add_typer(bulk.app, name="bulk")
app.add_typer(controls.debug_app, name="debug")
app.add_typer(definitions.app, name="definitions")
