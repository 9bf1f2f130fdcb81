"""`tm jobs`: trigger jobs of a Strait server, gate on their runs, look at them, control them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from tm_cli.cli import options
from tm_cli.cli.global_options import group
from tm_cli.cli.lazy import QuickGroup
from tm_cli.cli.session import Session, command
from tm_cli.commands.jobs import bulk, controls, definitions, inspect, show, stream
from tm_cli.commands.jobs import list as list_commands
from tm_cli.commands.jobs import options as job_options
from tm_cli.commands.jobs import options as job_payloads
from tm_cli.errors import UsageError

app = typer.Typer(cls=QuickGroup, add_completion=False, no_args_is_help=True)

LONGEST_KEY = 256


@app.callback()
@group
def jobs() -> None:
    """Gate on job runs of a Strait server, look at them, control them."""


@app.command("start")
@command
def start(
    session: Session,
    *,
    job: Annotated[list[str], typer.Argument(metavar="JOB...", help="Ids or slugs of jobs.")],
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end of the run.")] = False,
    payload: job_options.Payload = None,
    tag: job_options.Tags = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="One run for all triggers under this key; tm makes one."),
    ] = None,
    reuse: Annotated[
        bool,
        typer.Option("--reuse", help="Let a run count that was there before, under the same key."),
    ] = False,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Run it at this time instead of now.")
    ] = None,
    priority: Annotated[
        int | None, typer.Option(min=0, max=10, metavar="N", help="Priority, 10 is the highest.")
    ] = None,
    ttl: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Let it expire if it waits longer.")
    ] = None,
    concurrency_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="Run one after the other under this key.")
    ] = None,
    debounce_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="Debounce by this key.")
    ] = None,
    batch_key: Annotated[str | None, typer.Option(metavar="KEY", help="Batch by this key.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Have the server check it, and start nothing.")
    ] = False,
    gate_options: job_options.JobGateOptions,
    confirm: options.Confirm = 0,
    wait_options: options.WaitOptions,
    fail_fast: options.FailFast = False,
) -> int:
    """Trigger a job, or several; with --wait, exit by how their runs end.

    tm jobs start nightly-export --wait

    tm jobs start nightly-export --payload '{"rows": 100}' --wait --assert 'exported>=100'
    """
    options.refuse_torn_verdicts(gate_options.fail_on, job)
    _refuse_keys(idempotency_key, concurrency_key, debounce_key, batch_key)
    if confirm and idempotency_key is not None:
        raise UsageError(
            "--confirm and --idempotency-key contradict each other",
            hint="under one key the server makes one run; leave the keys to tm",
        )
    if reuse and idempotency_key is None:
        raise UsageError("--reuse needs --idempotency-key")
    manners = wait_options.read(session, fail_fast=fail_fast)
    gate = gate_options.read(session, confirm=confirm)
    body = job_payloads.read_trigger(
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
    watch = gate_options.read_watch()
    from tm_cli.commands.jobs import gate as job_gating
    from tm_cli.commands.jobs import gate as job_starting

    request = job_starting.JobRequest(tuple(job), body, idempotency_key, reuse)
    if wait and not dry_run:
        return job_gating.start_and_wait(session, request, gate, manners, watch)
    options.refuse_without_wait(
        fail_on=gate_options.fail_on,
        checks=gate_options.checks,
        max_duration=gate_options.max_duration,
        canceled_as=gate_options.canceled_as,
        confirm=confirm,
        fail_fast=fail_fast,
        report=wait_options.report,
    )
    if not dry_run:
        return job_starting.start_only(session, request)
    if wait or len(job) != 1:
        raise UsageError("--dry-run takes one JOB and no --wait: nothing is started")
    return job_starting.rehearse(session, request)


def _refuse_keys(*keys: str | None) -> None:
    for key in keys:
        is_bad = key is not None and (not key.strip() or not key.isprintable() or not key.isascii())
        if is_bad or len(key or "") > LONGEST_KEY:
            raise UsageError(f"a key has 1 to {LONGEST_KEY} printable ASCII characters")


@app.command("wait")
@command
def wait(
    session: Session,
    *,
    run: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN...]", help="Ids of job runs.")
    ] = None,
    last: options.Last = False,
    gate_options: job_options.JobGateOptions,
    wait_options: options.WaitOptions,
    fail_fast: options.FailFast = False,
) -> int:
    """Wait for runs that were started before, and exit by how they end.

    tm jobs wait 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11

    tm jobs wait --last
    """
    run_ids = run or []
    options.refuse_torn_verdicts(gate_options.fail_on, run_ids)
    manners = wait_options.read(session, fail_fast=fail_fast)
    gate = gate_options.read(session, last=last)
    watch = gate_options.read_watch()
    _refuse_both_or_neither(run_ids, last=last)
    job_options.check_run_ids(run_ids)
    from tm_cli.commands.jobs import gate as job_gating
    from tm_cli.commands.jobs import gate as job_last

    if last:
        return job_last.wait_for_last_start(session, gate, manners, watch)
    return job_gating.wait_for(session, run_ids, gate, manners, watch)


def _refuse_both_or_neither(run_ids: Sequence[str], *, last: bool) -> None:
    if last and run_ids:
        raise UsageError("--last stands alone, without RUN")
    if not last and not run_ids:
        raise UsageError("name a RUN, or give --last")


for module in (list_commands, show, inspect, controls, stream):
    module.add_to(app)
app.add_typer(bulk.app, name="bulk")
app.add_typer(controls.debug_app, name="debug")
app.add_typer(definitions.app, name="definitions")
