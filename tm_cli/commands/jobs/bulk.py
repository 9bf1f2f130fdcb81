"""`tm jobs bulk`: many runs at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tm_cli.cli.app import App
from tm_cli.cli.global_options import group
from tm_cli.cli.options import Yes
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.commands.jobs import options
from tm_cli.errors import TmError, UsageError

if TYPE_CHECKING:
    from tm_cli.api.strait import StraitClient

app = App()

MOST_RUNS = 100
MOST_REVIVED = 500
MOST_ITEMS = 500


@app.callback()
@group
def bulk() -> None:
    """Trigger, cancel or replay many runs at once."""


@app.command("start")
@with_session
def start(
    session: CommandContext,
    job: options.JobName,
    items: Annotated[
        str,
        typer.Option(
            metavar="FILE|JSON",
            help="JSON list of triggers, each with payload, tags, priority, ...",
        ),
    ],
) -> int:
    """Trigger a job many times; triggers without an idempotency key get one.

    tm jobs bulk start nightly-export --items '[{"payload": {"day": 1}}, {"payload": {"day": 2}}]'
    """
    triggers = _triggers(session, items)
    from tm_cli.commands.jobs.client import find_job, open_client, start_unknown_if_lost

    client = open_client(session)
    subject = find_job(client, job)
    with start_unknown_if_lost():
        answer = client.trigger_many(subject.job_id, triggers)
    return session.emit(answer, lambda: _lines(answer, ("id", "status")))


def _triggers(session: CommandContext, text: str) -> list[dict[str, Any]]:
    items = options.read_payload(text, session.context.cwd)
    if not isinstance(items, list) or not items or not all(isinstance(one, dict) for one in items):
        raise UsageError("--items: expected a JSON list of objects", hint='e.g. "[{}, {}]"')
    if len(items) > MOST_ITEMS:
        raise UsageError(f"--items: too many triggers: {len(items)} (maximum {MOST_ITEMS})")
    token = session.context.make_token()
    return [
        {"idempotency_key": f"tm-{token}-{number}", **item} for number, item in enumerate(items)
    ]


@app.command("cancel")
@with_session
def cancel(session: CommandContext, run: options.RunIds) -> int:
    """Cancel up to 100 runs; fails if one of them cannot be canceled.

    tm jobs bulk cancel 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11 0192f0a4-9a02-7b3c-8f51-6d0c1b7e4a22
    """
    ids = options.check_run_ids(run, most=MOST_RUNS)
    answer = _client(session).send_bulk("bulk-cancel", {"run_ids": ids})
    left_out = f"{_number(answer, 'failed')} of the runs could not be canceled"
    lines = _lines(answer, ("id", "status", "error"))
    return _emit(session, answer, lines, left_out if _number(answer, "failed") else None)


@app.command("cancel-all")
@with_session
def cancel_all(
    session: CommandContext,
    job: Annotated[
        str | None, typer.Option(metavar="JOB", help="Filter by job id or slug.")
    ] = None,
    batch: options.Batch = None,
    triggered_by: options.TriggeredBy = None,
    status: Annotated[str | None, typer.Option(metavar="STATUS", help="Filter by status.")] = None,
    yes: Yes = False,
) -> int:
    """Cancel all runs that match the filters; at least one filter is required.

    tm jobs bulk cancel-all --job nightly-export --status queued --yes
    """
    given = {"batch_id": batch, "triggered_by": triggered_by, "status": status}
    body: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if job is None and not body:
        raise UsageError("name what to cancel: --job, --batch, --triggered-by or --status")
    if any(not str(value).strip() for value in body.values()):
        raise UsageError("a filter is empty")
    _confirm(session, "cancel all runs that these filters choose", yes=yes)
    from tm_cli.commands.jobs.client import find_job

    client = _client(session)
    if job is not None:
        body["job_id"] = find_job(client, job).job_id
    answer = client.send_bulk("bulk-cancel-all", body)
    return session.emit(answer, lambda: _counted(answer, "canceled", "run_ids"))


def _confirm(session: CommandContext, what: str, *, yes: bool) -> None:
    if yes:
        return
    if not session.terminal.live:
        raise UsageError(f"--yes is required to {what}")
    if not typer.confirm(f"Really {what}?", err=True):
        raise UsageError("nothing was done")


@app.command("replay")
@with_session
def replay(session: CommandContext, run: options.RunIds) -> int:
    """Repeat up to 100 failed runs as new runs.

    tm jobs bulk replay 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11 0192f0a4-9a02-7b3c-8f51-6d0c1b7e4a22
    """
    ids = options.check_run_ids(run, most=MOST_RUNS)
    from tm_cli.commands.jobs.client import start_unknown_if_lost

    client = _client(session)
    with start_unknown_if_lost():
        answer = client.send_bulk("bulk-replay", {"run_ids": ids})
    fields = ("original_run_id", "status", "new_run_id", "error")
    missing = len(ids) - _number(answer, "replayed")
    left_out = f"{missing} of the runs were not replayed" if missing > 0 else None
    return _emit(session, answer, _lines(answer, fields), left_out)


@app.command("dlq-replay")
@with_session
def dlq_replay(
    session: CommandContext,
    run: options.OptionalRunIds = None,
    project: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Take the oldest runs from the dead-letter queue of this project, "
            "which must be the key's.",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST_REVIVED,
            metavar="N",
            help="With --project: maximum number of runs. [100]",
        ),
    ] = None,
) -> int:
    """Move runs from the dead-letter queue back to the queue; their ids stay the same.

    tm jobs bulk dlq-replay --project proj-1 --limit 20
    """
    ids = options.check_run_ids(run or [], most=MOST_REVIVED)
    if bool(ids) == (project is not None):
        raise UsageError("name either RUN... or --project")
    if limit is not None and project is None:
        raise UsageError("--limit needs --project")
    body: dict[str, Any] = {"run_ids": ids} if ids else {"project_id": project}
    body |= {} if limit is None else {"limit": limit}
    answer = _client(session).send_bulk("bulk-dlq-replay", body)
    skipped = len(ids) - _number(answer, "count")
    left_out = f"{skipped} of the runs were no dead letters" if skipped > 0 else None
    return _emit(session, answer, _counted(answer, "count", "replayed"), left_out)


def _client(session: CommandContext) -> StraitClient:
    from tm_cli.commands.jobs.client import open_client

    return open_client(session)


def _number(answer: dict[str, Any], name: str) -> int:
    value = answer.get(name)
    return value if type(value) is int else 0


def _emit(session: CommandContext, answer: dict[str, Any], lines: str, left_out: str | None) -> int:
    """Print the answer; one that leaves something out is a failure."""
    error = None if left_out is None else TmError(left_out, code="incomplete")
    return session.emit(answer, lambda: lines, error=error)


def _lines(answer: dict[str, Any], fields: tuple[str, ...]) -> str:
    from tm_cli.commands.jobs.list import value_text

    found = answer.get("results")
    items = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    rows = [[value_text(item.get(name)) for name in fields] for item in items]
    return "\n".join("  ".join(cell for cell in row if cell) for row in rows) or "no runs"


def _counted(answer: dict[str, Any], count: str, names: str) -> str:
    from tm_cli.commands.jobs.list import value_text

    found = answer.get(names)
    ids = [one.get("id") if isinstance(one, dict) else one for one in found or []]
    return "\n".join([f"{_number(answer, count)} runs", *(f"  {value_text(one)}" for one in ids)])
