"""The job-run API of Strait servers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import (
    BeforeValidator,
    StrictBool,
    StrictInt,
    StrictStr,
    model_validator,
)

from tm_cli.api.client import (
    Instant,
    JsonClient,
    Lenient,
    Payload,
    as_object,
    follow_cursors,
    given,
    parse_payload,
)
from tm_cli.api.errors import InvalidResponse
from tm_cli.api.responses import ErrorBody
from tm_cli.values.text import sanitize


def _empty_for_null(value: Any) -> Any:
    return [] if value is None else value


class JobRun(Payload):
    """One run of a job; its status alone says whether it is over."""

    id: StrictStr
    status: StrictStr
    job_id: Lenient[StrictStr] = None
    attempt: Lenient[StrictInt] = None
    triggered_by: Lenient[StrictStr] = None
    error: Lenient[StrictStr] = None
    error_class: Lenient[StrictStr] = None
    idempotency_key: Lenient[StrictStr] = None
    continuation_of: Lenient[StrictStr] = None
    lineage_depth: Lenient[StrictInt] = None
    created_at: Instant = None
    scheduled_at: Instant = None
    started_at: Instant = None
    finished_at: Instant = None


class JobDefinition(Payload):
    """The description that runs are made from."""

    id: StrictStr
    name: Lenient[StrictStr] = None
    slug: Lenient[StrictStr] = None
    dedup_window_secs: Lenient[StrictInt] = None
    debounce_window_secs: Lenient[StrictInt] = None
    batch_window_secs: Lenient[StrictInt] = None


class Triggered(Payload):
    """The answer to a trigger; a job that collects triggers names no run."""

    id: Lenient[StrictStr] = None
    status: Lenient[StrictStr] = None
    idempotency_hit: Lenient[StrictBool] = None
    debounced: Lenient[StrictBool] = None
    buffered: Lenient[StrictBool] = None
    batch: Lenient[StrictBool] = None
    fire_at: Instant = None

    @property
    def is_kept(self) -> bool:
        """Whether the job collects triggers before it runs."""
        return bool(self.debounced or self.buffered or self.batch)


class RunPage(Payload):
    """One page of a list; without a `next_cursor` it is the last."""

    data: Annotated[list[dict[str, Any]], BeforeValidator(_empty_for_null)]
    next_cursor: Lenient[StrictStr] = None
    has_more: Lenient[StrictBool] = None

    @model_validator(mode="before")
    @classmethod
    def _bare_list(cls, document: Any) -> Any:
        """The published reference shows lists without the envelope."""
        return {"data": document} if isinstance(document, list) else document


BILLING_CODES = frozenset({"quota_exceeded", "service_degraded"})
"""Errors of billing stand at the top of their document, without an envelope."""

MOST_DETAILS = 5
LARGEST_PAGE = 100
KEY_HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"


class StraitClient(JsonClient):
    root = "v1"

    # Jobs.

    def list_jobs(self, **query: str | int | None) -> RunPage:
        """Return one page of jobs, newest first: `slug`, `tag_key`, `tag_value`, `cursor`."""
        return self._get(RunPage.model_validate, "jobs", given(query))

    def get_job(self, job_id: str) -> JobDefinition:
        """Return one job by its id; a slug is not found here."""
        return self._get(JobDefinition.model_validate, f"jobs/{_part(job_id)}")

    def create_job(self, description: Mapping[str, Any]) -> JobDefinition:
        return self._send(JobDefinition.model_validate, "POST", "jobs", description)

    def trigger(self, job_id: str, body: Mapping[str, Any], key: str) -> tuple[Triggered, bool]:
        """Trigger a run once, and return whether the answer is that to an earlier request.

        Under one `key` the server makes one run, so that the call may be repeated.
        """
        path = f"jobs/{_part(job_id)}/trigger"
        reply = self._send_once("POST", path, body, headers={KEY_HEADER: key})
        replayed = reply.headers.get(REPLAYED_HEADER, "").lower() == "true"
        answer = parse_payload(Triggered.model_validate, path, reply.document)
        if not answer.id and not answer.is_kept:
            raise InvalidResponse("the answer to the trigger names no run")
        return answer, replayed

    def rehearse(self, job_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Have the server check a trigger (dry run)."""
        path = f"jobs/{_part(job_id)}/trigger"
        return self._send(as_object, "POST", path, {**body, "dry_run": True})

    def trigger_many(self, job_id: str, items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Ask once for up to 500 runs of a job."""
        path = f"jobs/{_part(job_id)}/trigger/bulk"
        return self._send(as_object, "POST", path, {"items": list(items)})

    # Runs.

    def list_runs(self, **query: str | int | Sequence[str] | None) -> RunPage:
        """Return one page of runs, newest first, by the filters of the API."""
        return self._get(RunPage.model_validate, "runs", given(query))

    def list_dead_letters(self, **query: str | int | None) -> RunPage:
        return self._get(RunPage.model_validate, "runs/dlq", given(query))

    def get_run(self, run_id: str) -> JobRun:
        """Return one run; raises InvalidResponse for an answer about another one."""
        return self._get(lambda found: _same(JobRun.model_validate(found), run_id), _run(run_id))

    def cancel_run(self, run_id: str) -> JobRun:
        return self._send(JobRun.model_validate, "DELETE", _run(run_id))

    def replay_run(self, run_id: str, *, from_checkpoint: int | None = None) -> JobRun:
        """Make a new run like one that failed; nothing links the two."""
        query = None if from_checkpoint is None else {"from_checkpoint": from_checkpoint}
        return self._send(JobRun.model_validate, "POST", _run(run_id, "replay"), params=query)

    def revive_run(self, run_id: str) -> JobRun:
        """Put a dead letter back into the queue, under its own id."""
        return self._send(JobRun.model_validate, "POST", _run(run_id, "dlq-replay"))

    def move_run(self, run_id: str, verb: str) -> JobRun:
        """Send `pause`, `resume` or `restart` to a run."""
        return self._send(JobRun.model_validate, "POST", _run(run_id, verb))

    def reschedule_run(self, run_id: str, body: Mapping[str, Any]) -> JobRun:
        """Give a run that has not begun another time: `scheduled_at`, `payload`."""
        return self._send(JobRun.model_validate, "POST", _run(run_id, "reschedule"), body)

    def set_debug(self, run_id: str, *, on: bool) -> dict[str, Any]:
        return self._send(as_object, "POST", _run(run_id, "debug"), {"debug_mode": on})

    def reset_idempotency_key(self, run_id: str) -> dict[str, Any]:
        """Free the key of a run for another trigger."""
        return self._send(as_object, "DELETE", _run(run_id, "idempotency-key"))

    # What a run has left behind.

    def list_part(self, run_id: str, part: str, **query: str | None) -> RunPage:
        """Return one page of `children`, `events`, `checkpoints`, `outputs` or `lineage`.

        The server does not honour the cursors of these lists: following them repeats or loops.
        """
        return self._get(
            RunPage.model_validate, _run(run_id, part), {**given(query), "limit": LARGEST_PAGE}
        )

    def list_entries(self, run_id: str, part: str, **query: str | int | None) -> list[Any]:
        """Return `state` or `resources`, which come without an envelope."""
        return self._get(_array, _run(run_id, part), given(query))

    def get_part(self, run_id: str, part: str) -> Any:
        """Return `debug-bundle`, `dependency-status`, `usage` or `tool-calls`."""
        return self._get(_anything, _run(run_id, part))

    # Many runs at once.

    def send_bulk(self, verb: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send `bulk-cancel`, `bulk-cancel-all`, `bulk-replay` or `bulk-dlq-replay` once."""
        return self._send(as_object, "POST", f"runs/{verb}", body)


def as_run(item: Mapping[str, Any]) -> JobRun:
    """Return the run in an item of a list; raises InvalidResponse when it is none."""
    return parse_payload(JobRun.model_validate, "runs", item)


def as_job(item: Mapping[str, Any]) -> JobDefinition:
    return parse_payload(JobDefinition.model_validate, "jobs", item)


def stream_path(run_id: str, part: str | None = None) -> str:
    """The address of a run's event stream: of its status, or of its `chunks` or `logs`."""
    return f"v1/{_run(run_id, 'stream')}" + (f"/{part}" if part else "")


def _run(run_id: str, part: str | None = None) -> str:
    return f"runs/{_part(run_id)}" + (f"/{part}" if part else "")


def _part(name: str) -> str:
    """A name as one segment of a path; `.` and `..` would climb out of it."""
    return quote(name, safe="") if name.strip(".") else name.replace(".", "%2E")


def _same(found: JobRun, run_id: str) -> JobRun:
    if found.id != run_id:
        raise InvalidResponse(f"the server answered with run {sanitize(found.id)} instead")
    return found


def _array(document: Any) -> list[Any]:
    if document is None:
        return []
    if not isinstance(document, list):
        raise InvalidResponse("the server's answer is not a JSON array")
    return document


def _anything(document: Any) -> Any:
    return document


Fetch = Callable[[str | None, int], RunPage]
"""Returns the page after a cursor, of at most so many items."""


def collect(fetch: Fetch, *, most: int, cursor: str | None = None) -> RunPage:
    """Return the first `most` items as one page, whose cursor leads to the next ones.

    A cursor that comes back, and a page without any new item, end the list.
    """
    items: dict[object, dict[str, Any]] = {}
    rest: str | None = None
    for page, following in follow_cursors(
        lambda at: fetch(at, min(most - len(items), LARGEST_PAGE)),
        lambda page: page.next_cursor or None,
        cursor=cursor,
    ):
        before = len(items)
        for number, item in enumerate(page.data, start=before):
            name = item.get("id")
            items.setdefault(name if name and isinstance(name, str) else number, item)
        rest = following if len(items) > before else None
        if rest is None or len(items) >= most:
            break
    return RunPage(data=list(items.values())[:most], next_cursor=rest, has_more=rest is not None)


def read_strait_error(document: Any) -> ErrorBody:
    """Read `{"error": {"code", "message", "details"}}` and the other forms that servers use.

    Decide on the HTTP status: many different errors carry the code `internal_error`.
    """
    if not isinstance(document, dict):
        return ErrorBody()
    error = document.get("error")
    if isinstance(error, str) and error:
        return ErrorBody(error, from_api=True)
    if isinstance(error, dict):
        code = _text(error.get("code"))
        return ErrorBody(_with_details(error), code, from_api=code is not None)
    code = _text(document.get("code"))
    return ErrorBody(_text(document.get("message")), code, from_api=code in BILLING_CODES)


def _with_details(error: dict[str, Any]) -> str | None:
    details = error.get("details")
    texts = [item for item in details if isinstance(item, str)] if isinstance(details, list) else []
    message = _text(error.get("message")) or _text(error.get("code"))
    if message is None or not texts:
        return message
    return f"{message}: {'; '.join(texts[:MOST_DETAILS])}"


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
