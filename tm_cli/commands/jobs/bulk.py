"""`tm jobs bulk`: many runs at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tm_cli.cli.app import App
from tm_cli.cli.global_options import group
from tm_cli.cli.options import Yes
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.commands.jobs import options
from tm_cli.commands.shared.lists import value_text
from tm_cli.errors import TmError, UsageError
from tm_cli.values.text import count_of

if TYPE_CHECKING:
    from tm_cli.api.strait import StraitClient

app = App()

MOST_RUNS = 100
MOST_REVIVED = 500
MOST_ITEMS = 500
ATTEMPTS = 3
DONE = "canceled"


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
    idempotency_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY", help="Start of the idempotency keys: KEY-0, KEY-1, ... [generated]"
        ),
    ] = None,
) -> int:
    """Trigger a job many times; triggers without an idempotency key get one.

    tm jobs bulk start nightly-export --items '[{"payload": {"day": 1}}, {"payload": {"day": 2}}]'
    """
    options.check_keys(idempotency_key)
    prefix = idempotency_key or f"tm-{session.context.make_token()}"
    triggers = _triggers(session, items, prefix)
    from tm_cli.commands.jobs.client import find_job, open_client

    client = open_client(session)
    subject = find_job(client, job)
    answer = _trigger(session, client, subject.job_id, triggers, prefix)
    is_new = [
        idempotency_key is None and item["idempotency_key"] == f"{prefix}-{number}"
        for number, item in enumerate(triggers)
    ]
    missing = len(triggers) - sum(1 for item in _items(answer, "results") if _is_started(item))
    left_out = (
        f"the answer names no run for {count_of(missing, 'trigger')}" if missing > 0 else None
    )
    return _emit(session, answer, _started(answer, is_new), left_out)


def _triggers(session: CommandContext, text: str, prefix: str) -> list[dict[str, Any]]:
    items = options.read_payload(text, session.context.cwd)
    if not isinstance(items, list) or not items or not all(isinstance(one, dict) for one in items):
        raise UsageError("--items: expected a JSON list of objects", hint='e.g. "[{}, {}]"')
    if len(items) > MOST_ITEMS:
        raise UsageError(f"--items: too many triggers: {len(items)} (maximum {MOST_ITEMS})")
    triggers = [
        {**item, "idempotency_key": _key(item, f"{prefix}-{number}")}
        for number, item in enumerate(items)
    ]
    options.check_keys(*(trigger["idempotency_key"] for trigger in triggers))
    return triggers


def _key(item: dict[str, Any], generated: str) -> str:
    """Return the key of a trigger: without one, a repetition would start it again."""
    own = item.get("idempotency_key")
    if own is not None and not isinstance(own, str):
        raise UsageError("--items: an idempotency_key is a text")
    return generated if own is None else own


def _trigger(
    session: CommandContext,
    client: StraitClient,
    job_id: str,
    triggers: Sequence[dict[str, Any]],
    prefix: str,
) -> dict[str, Any]:
    """Send the triggers; again, under the same keys, while it is not known what they did."""
    from tm_cli.api.errors import ApiError
    from tm_cli.api.retry import Attempts
    from tm_cli.backends.strait.trigger import may_have_started
    from tm_cli.errors import StartUnknown

    last = len(triggers) - 1
    keys = f"{prefix}-0 to {prefix}-{last}" if last else f"{prefix}-0"
    session.note(f"tm: triggers without an idempotency key go out under {keys}")
    attempts, maybe_sent = Attempts(ATTEMPTS), False
    while True:
        try:
            return client.trigger_many(job_id, triggers)
        except ApiError as error:
            maybe_sent = maybe_sent or may_have_started(error)
            if not maybe_sent:
                raise
            if attempts.is_last:
                raise StartUnknown(
                    f"there may or may not be new runs: {error.message}",
                    hint="it is safe to start them again with the same --items and "
                    f"--idempotency-key {prefix}",
                ) from None
            pause = attempts.next_pause(error)
            session.note(f"tm: {error.message}; sending it again under the same keys")
        session.context.clock.sleep(pause)


def _started(answer: dict[str, Any], is_new: Sequence[bool]) -> str:
    """Describe the runs; `is_new` says which keys no earlier call can have used."""
    items = _items(answer, "results")
    known = is_new if len(is_new) == len(items) else [False] * len(items)
    lines, old = [], 0
    for item, has_new_key in zip(items, known, strict=True):
        is_old = item.get("idempotency_hit") is True and not has_new_key and _is_started(item)
        old += is_old
        lines.append(
            _line(item, ("id", "status", "error")) + ("  existed already" if is_old else "")
        )
    started = sum(1 for item in items if _is_started(item))
    head = f"started {count_of(started - old, 'run')}"
    head += f", {old} existed already" if old else ""
    head += f", batch {value_text(batch)}" if (batch := answer.get("batch_id")) else ""
    return "\n".join([head, *lines])


def _is_started(item: dict[str, Any]) -> bool:
    """Whether a result names a run."""
    run_id = item.get("id")
    return isinstance(run_id, str) and bool(run_id) and not item.get("error")


@app.command("cancel")
@with_session
def cancel(session: CommandContext, run: options.RunIds) -> int:
    """Cancel up to 100 runs; fails if one of them cannot be canceled.

    tm jobs bulk cancel 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11 0192f0a4-9a02-7b3c-8f51-6d0c1b7e4a22
    """
    ids = options.check_run_ids(run, most=MOST_RUNS)
    answer = _client(session).send_bulk("bulk-cancel", {"run_ids": ids})
    return _emit_canceled(session, answer, expected=len(ids))


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
    project: options.Project = None,
    yes: Yes = False,
) -> int:
    """Cancel all runs that match the filters; at least one filter is required.

    tm jobs bulk cancel-all --job nightly-export --status queued --yes
    """
    given = {"batch_id": batch, "triggered_by": triggered_by}
    body: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if any(not str(value).strip() for value in body.values()):
        raise UsageError("a filter is empty")
    if status is not None:
        body["status"] = options.read_status(status)
    if job is None and not body:
        raise UsageError("name what to cancel: --job, --batch, --triggered-by or --status")
    _confirm(session, "cancel all runs that these filters choose", yes=yes)
    from tm_cli.commands.jobs.client import find_job, open_client

    client = open_client(session, project)
    if job is not None:
        body["job_id"] = find_job(client, job).job_id
    return _emit_canceled(session, client.cancel_all(body))


def _emit_canceled(session: CommandContext, answer: dict[str, Any], expected: int = 0) -> int:
    """Print what was canceled, in either form of the answer; a run that was not is a failure."""
    items = _items(answer, "results", "run_ids")
    not_canceled = [item for item in items if item.get("error") and item.get("status") != DONE]
    failed = max(_number(answer, "failed"), len(not_canceled))
    canceled = _number(answer, "canceled", len(items) - failed)
    failed = max(failed, expected - canceled)
    lines = [f"canceled {count_of(canceled, 'run')}"]
    lines += [_line(item, ("id", "status", "error")) for item in items]
    left_out = f"{count_of(failed, 'run')} could not be canceled" if failed else None
    return _emit(session, answer, "\n".join(lines), left_out)


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
        answer = client.replay_many(ids)
    fields = ("original_run_id", "status", "new_run_id", "error")
    items = _items(answer, "results")
    replayed = _number(answer, "replayed", sum(1 for item in items if item.get("new_run_id")))
    lines = [f"replayed {count_of(replayed, 'run')}", *(_line(item, fields) for item in items)]
    missing = len(ids) - replayed
    left_out = f"{count_of(missing, 'run')} could not be replayed" if missing > 0 else None
    return _emit(session, answer, "\n".join(lines), left_out)


@app.command("dlq-replay")
@with_session
def dlq_replay(
    session: CommandContext,
    run: options.OptionalRunIds = None,
    project: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Take the oldest runs from the dead-letter queue of this project. "
            "[with --limit: TM_STRAIT_PROJECT]",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST_REVIVED,
            metavar="N",
            help="Maximum number of runs of the project. [100]",
        ),
    ] = None,
) -> int:
    """Move runs from the dead-letter queue back to the queue; their ids stay the same.

    tm jobs bulk dlq-replay --project proj-1 --limit 20
    """
    ids = options.check_run_ids(run or [], most=MOST_REVIVED)
    if bool(ids) == (project is not None or limit is not None):
        raise UsageError("name either RUN... or --project, whose runs --limit limits")
    body: dict[str, Any] = {"run_ids": ids}
    if not ids:
        body = {"project_id": session.setting("strait_project", project)}
        if body["project_id"] is None:
            raise UsageError("--limit needs --project or TM_STRAIT_PROJECT")
        body |= {} if limit is None else {"limit": limit}
    answer = _client(session).send_bulk("bulk-dlq-replay", body)
    replayed = _items(answer, "replayed")
    count = max(_number(answer, "count"), len(replayed))
    lines = [f"queued {count_of(count, 'dead letter')} again"]
    lines += [_line(item, ("id",)) for item in replayed]
    skipped = len(ids) - count
    left_out = f"{count_of(skipped, 'run')} could not be queued again" if skipped > 0 else None
    return _emit(session, answer, "\n".join(lines), left_out)


def _client(session: CommandContext) -> StraitClient:
    from tm_cli.commands.jobs.client import open_client

    return open_client(session)


def _number(answer: dict[str, Any], name: str, otherwise: int = 0) -> int:
    value = answer.get(name)
    return value if type(value) is int else otherwise


def _emit(session: CommandContext, answer: dict[str, Any], lines: str, left_out: str | None) -> int:
    """Print the answer; one that leaves something out is a failure."""
    error = None if left_out is None else TmError(left_out, code="incomplete")
    return session.emit(answer, lambda: lines, error=error)


def _items(answer: dict[str, Any], *names: str) -> list[dict[str, Any]]:
    """The runs under the first of these names that has a list; a bare id is an object, too."""
    lists = (answer.get(name) for name in names)
    found: list[Any] = next((each for each in lists if isinstance(each, list)), [])
    return [item if isinstance(item, dict) else {"id": item} for item in found]


def _line(item: dict[str, Any], fields: tuple[str, ...]) -> str:
    cells = [value_text(item.get(name)) for name in fields]
    return "  " + "  ".join(cell for cell in cells if cell)
