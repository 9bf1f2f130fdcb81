"""`tm jobs`: trigger jobs of a Strait server, gate on their runs, look at them, control them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from tm_cli.commands import (
    job_bulk,
    job_controls,
    job_definitions,
    job_lists,
    job_options,
    job_payloads,
    job_remains,
    job_stream,
    job_views,
    options,
)
from tm_cli.commands.session import Session, command
from tm_cli.errors import UsageError
from tm_cli.global_options import group
from tm_cli.lazy import QuickGroup

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
    fail_on: job_options.FailOn = None,
    checks: job_options.Assert = None,
    max_duration: job_options.MaxDuration = None,
    canceled_as: job_options.CanceledAs = None,
    confirm: Annotated[
        int,
        typer.Option(
            min=0, max=10, metavar="N", help="Repeat a run that would fail, up to N times."
        ),
    ] = 0,
    wait_timeout: options.WaitTimeout = None,
    poll_interval: options.PollInterval = None,
    no_stream: job_options.NoStream = False,
    on_interrupt: options.OnInterrupt = None,
    fail_fast: options.FailFast = False,
    report: options.Report = None,
    github: options.GitHub = None,
    gitlab: options.GitLab = None,
) -> int:
    """Trigger a job, or several; with --wait, exit by how their runs end.

    tm jobs start nightly-export --wait

    tm jobs start nightly-export --payload '{"rows": 100}' --wait --assert 'exported>=100'
    """
    options.refuse_torn_verdicts(fail_on, job)
    _refuse_keys(idempotency_key, concurrency_key, debounce_key, batch_key)
    if confirm and idempotency_key is not None:
        raise UsageError(
            "--confirm and --idempotency-key contradict each other",
            hint="under one key the server makes one run; leave the keys to tm",
        )
    if reuse and idempotency_key is None:
        raise UsageError("--reuse needs --idempotency-key")
    only_with_wait: dict[str, object] = {
        "--fail-on": fail_on,
        "--assert": checks,
        "--max-duration": max_duration,
        "--canceled-as": canceled_as,
        "--confirm": confirm,
        "--fail-fast": fail_fast,
        "--report": report,
    }
    gate = job_options.read_job_gate(
        session,
        fail_on=fail_on,
        checks=checks,
        max_duration=max_duration,
        wait_timeout=wait_timeout,
        poll_interval=poll_interval,
        confirm=confirm,
    )
    manners = options.read_manners(
        session,
        on_interrupt=on_interrupt,
        fail_fast=fail_fast,
        reports=report,
        github=github,
        gitlab=gitlab,
    )
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
    verdict = job_options.read_canceled_as(canceled_as)
    from tm_cli.commands import job_gating, job_starting

    request = job_starting.JobRequest(tuple(job), body, idempotency_key, reuse)
    if wait and not dry_run:
        watch = job_gating.Watch(verdict, streams=not no_stream)
        return job_gating.start_and_wait(session, request, gate, manners, watch)
    _refuse_without_wait(only_with_wait)
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


def _refuse_without_wait(flags: dict[str, Any]) -> None:
    for flag, value in flags.items():
        if value not in (None, 0, False, []):
            raise UsageError(
                f"{flag} needs --wait", hint="a run that nobody waits for has no verdict"
            )


@app.command("wait")
@command
def wait(
    session: Session,
    run: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN...]", help="Ids of job runs.")
    ] = None,
    last: Annotated[
        bool, typer.Option("--last", help="Wait for what was started last in this project.")
    ] = False,
    fail_on: job_options.FailOn = None,
    checks: job_options.Assert = None,
    max_duration: job_options.MaxDuration = None,
    canceled_as: job_options.CanceledAs = None,
    wait_timeout: options.WaitTimeout = None,
    poll_interval: options.PollInterval = None,
    no_stream: job_options.NoStream = False,
    on_interrupt: options.OnInterrupt = None,
    fail_fast: options.FailFast = False,
    report: options.Report = None,
    github: options.GitHub = None,
    gitlab: options.GitLab = None,
) -> int:
    """Wait for runs that were started before, and exit by how they end.

    tm jobs wait 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11

    tm jobs wait --last
    """
    run_ids = run or []
    options.refuse_torn_verdicts(fail_on, run_ids)
    gate = job_options.read_job_gate(
        session,
        fail_on=fail_on,
        checks=checks,
        max_duration=max_duration,
        wait_timeout=wait_timeout,
        poll_interval=poll_interval,
        last=last,
    )
    manners = options.read_manners(
        session,
        on_interrupt=on_interrupt,
        fail_fast=fail_fast,
        reports=report,
        github=github,
        gitlab=gitlab,
    )
    verdict = job_options.read_canceled_as(canceled_as)
    _refuse_both_or_neither(run_ids, last=last)
    job_options.check_run_ids(run_ids)
    from tm_cli.commands import job_gating, job_last

    watch = job_gating.Watch(verdict, streams=not no_stream)
    if last:
        return job_last.wait_for_last_start(session, gate, manners, watch)
    return job_gating.wait_for(session, run_ids, gate, manners, watch)


def _refuse_both_or_neither(run_ids: Sequence[str], *, last: bool) -> None:
    if last and run_ids:
        raise UsageError("--last stands alone, without RUN")
    if not last and not run_ids:
        raise UsageError("name a RUN, or give --last")


for module in (job_lists, job_views, job_remains, job_controls, job_stream):
    module.add_to(app)
app.add_typer(job_bulk.app, name="bulk")
app.add_typer(job_controls.debug_app, name="debug")
app.add_typer(job_definitions.app, name="definitions")
