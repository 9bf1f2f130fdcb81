"""The job-run API of Strait servers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Self
from urllib.parse import quote

from pydantic import (
    BeforeValidator,
    ModelWrapValidatorHandler,
    PrivateAttr,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
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
from tm_cli.api.errors import HttpError, InvalidResponse
from tm_cli.api.responses import ErrorBody
from tm_cli.values.text import sanitize


def _empty_for_null(value: Any) -> Any:
    return [] if value is None else value


class JobRun(Payload):
    """One run of a job; its status alone says whether it is over.

    Its document is what the server sent: nothing that was not understood is lost.
    """

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
    _sent: dict[str, Any] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _remember(cls, document: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        run = handler(document)
        if isinstance(document, dict):
            run._sent = document  # noqa: SLF001  # our own
        return run

    def document(self) -> dict[str, Any]:
        return dict(self._sent)


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
    """One page of a list; without a `next_cursor` it is the last.

    A cursor is a time, so that the server skips what was made at exactly the time of a page's last
    item; `incomplete_at` is such a time.
    """

    data: Annotated[list[dict[str, Any]], BeforeValidator(_empty_for_null)]
    next_cursor: Lenient[StrictStr] = None
    has_more: Lenient[StrictBool] = None
    incomplete_at: Lenient[StrictStr] = None

    @model_validator(mode="before")
    @classmethod
    def _bare_list(cls, document: Any) -> Any:
        """The published reference shows lists without the envelope."""
        if isinstance(document, list):
            return {"data": document, "next_cursor": None, "has_more": None}
        return document


BILLING_CODES = frozenset({"quota_exceeded", "service_degraded"})
"""Errors of billing stand at the top of their document, without an envelope."""

MOST_DETAILS = 5
LARGEST_PAGE = 100
KEY_HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"


class StraitClient(JsonClient):
    """The project is sent where a server may need it: with all lists and `bulk-cancel-all`."""

    root = "v1"
    _project_id: str | None = None

    def in_project(self, project_id: str | None) -> Self:
        """Return a client on the same transport for a project; None for the key's own."""
        twin = copy.copy(self)
        twin._project_id = project_id  # noqa: SLF001  # our own
        return twin

    # Jobs.

    def list_jobs(self, **query: str | int | None) -> RunPage:
        """Return one page of jobs, newest first: `slug`, `tag_key`, `tag_value`, `cursor`."""
        return self._list("jobs", query)

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
        return self._send(_with_results, "POST", path, {"items": list(items)})

    # Runs.

    def list_runs(self, **query: str | int | Sequence[str] | None) -> RunPage:
        """Return one page of runs, newest first, by the filters of the API."""
        return self._list("runs", query)

    def list_dead_letters(self, **query: str | int | None) -> RunPage:
        return self._list("runs/dlq", query)

    def _list(self, path: str, query: Mapping[str, Any]) -> RunPage:
        with _hint_at_project():
            return self._get(
                RunPage.model_validate, path, given({"project_id": self._project_id, **query})
            )

    def get_run(self, run_id: str) -> JobRun:
        """Return one run; raises InvalidResponse for an answer about another one."""
        return self._get(lambda found: _same(JobRun.model_validate(found), run_id), _run(run_id))

    def cancel_run(self, run_id: str) -> JobRun | None:
        return self._act("DELETE", run_id)

    def replay_run(self, run_id: str, *, from_checkpoint: int | None = None) -> JobRun:
        """Make a new run like one that failed; nothing links the two."""
        query = None if from_checkpoint is None else {"from_checkpoint": from_checkpoint}
        return self._send(JobRun.model_validate, "POST", _run(run_id, "replay"), params=query)

    def revive_run(self, run_id: str) -> JobRun | None:
        """Put a dead letter back into the queue, under its own id."""
        return self._act("POST", run_id, "dlq-replay")

    def move_run(
        self, run_id: str, verb: str, body: Mapping[str, Any] | None = None
    ) -> JobRun | None:
        """Send `pause`, `resume`, `restart` (`machine_preset`) or `reschedule` to a run.

        `reschedule` takes `scheduled_at` and `payload`.
        """
        return self._act("POST", run_id, verb, body)

    def _act(
        self,
        method: str,
        run_id: str,
        part: str | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> JobRun | None:
        """Return the run as it is afterwards; None for an answer that does not show it."""
        found = self._send(_run_or_none, method, _run(run_id, part), body)
        return found if found is not None and found.id == run_id else None

    def set_debug(self, run_id: str, *, on: bool) -> None:
        self._send_once("POST", _run(run_id, "debug"), {"debug_mode": on})

    def reset_idempotency_key(self, run_id: str) -> dict[str, Any]:
        """Free the key of a run for another trigger."""
        answer = self._send(_anything, "DELETE", _run(run_id, "idempotency-key"))
        return answer if isinstance(answer, dict) else {"status": "reset", "run_id": run_id}

    # What a run has left behind.

    def list_part(self, run_id: str, part: str, **query: str | None) -> RunPage:
        """Return one page of `children`, `events`, `checkpoints`, `outputs` or `lineage`.

        The server does not honour the cursors of these lists: following them repeats or loops.
        """
        return self._get(
            RunPage.model_validate, _run(run_id, part), {**given(query), "limit": LARGEST_PAGE}
        )

    def list_entries(self, run_id: str, part: str, **query: str | int | None) -> list[Any]:
        """Return `state` or `resources`, which come without an envelope, or not at all."""
        return self._get(_array, _run(run_id, part), given(query))

    def get_part(self, run_id: str, part: str) -> Any:
        """Return `debug-bundle`, `dependency-status`, `usage` or `tool-calls`."""
        return self._get(_something, _run(run_id, part))

    # Many runs at once.

    def send_bulk(self, verb: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send `bulk-cancel` or `bulk-dlq-replay` once."""
        return self._send(_with_counts, "POST", f"runs/{verb}", body)

    def cancel_all(self, filters: Mapping[str, str]) -> dict[str, Any]:
        """Cancel what `job_id`, `batch_id`, `triggered_by` and `status` choose."""
        query = given({"project_id": self._project_id})
        with _hint_at_project():
            return self._send(_with_counts, "POST", "runs/bulk-cancel-all", filters, params=query)

    def replay_many(self, run_ids: Sequence[str]) -> dict[str, Any]:
        """Make a new run like each of up to 100 that failed.

        Where the answer is the array of the new runs, they are `runs`, and `results` names them.
        """
        answer = self._send(_anything, "POST", "runs/bulk-replay", {"run_ids": list(run_ids)})
        if not isinstance(answer, list):
            return _with_results(answer)
        made = [as_run(item) for item in answer]
        results = [{"new_run_id": run.id, "status": "replayed"} for run in made]
        total, replayed = len(run_ids), len(made)
        return {"results": results, "total": total, "replayed": replayed, "runs": answer}


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


@contextmanager
def _hint_at_project() -> Iterator[None]:
    """Say how to name a project that the server asks for."""
    try:
        yield
    except HttpError as error:
        if error.status in {400, 422} and "project_id" in error.message:
            error.hint = "name the project with --project or TM_STRAIT_PROJECT"
        raise


def _anything(document: Any) -> Any:
    return document


def _something(document: Any) -> Any:
    if document is None:
        raise InvalidResponse("the server's answer is empty")
    return document


def _run_or_none(document: Any) -> JobRun | None:
    try:
        return JobRun.model_validate(document)
    except ValidationError:
        return None


def _with_results(document: Any) -> dict[str, Any]:
    """Return an answer about many runs; without the list of them nothing is known."""
    answer = as_object(document)
    if not isinstance(answer.get("results"), list):
        raise InvalidResponse("the server's answer has no list of results")
    return answer


COUNTS = ("canceled", "results", "run_ids", "replayed", "count")


def _with_counts(document: Any) -> dict[str, Any]:
    """Return an answer about many runs that says, in one of its forms, which or how many."""
    answer = as_object(document)
    if not any(isinstance(answer.get(name), int | list) for name in COUNTS):
        raise InvalidResponse("the server's answer does not say what was done")
    return answer


Fetch = Callable[[str | None, int], RunPage]
"""Returns the page after a cursor, of at most so many items."""


def collect(fetch: Fetch, *, most: int, cursor: str | None = None) -> RunPage:
    """Return the first `most` items as one page, whose cursor leads to the next ones.

    A cursor that comes back, and a page without any new item, end the list. A list without an
    envelope that is as long as was asked for may go on.
    """
    items: dict[object, dict[str, Any]] = {}
    rest: str | None = None
    gap: str | None = None

    def fetch_page(at: str | None) -> RunPage:
        size = min(most - len(items), LARGEST_PAGE)
        return with_cursor(fetch(at, size), size)

    for page, following in follow_cursors(
        fetch_page, lambda page: page.next_cursor or None, cursor=cursor
    ):
        before = len(items)
        for number, item in enumerate(page.data, start=before):
            name = item.get("id")
            items.setdefault(name if name and isinstance(name, str) else number, item)
        rest = following if len(items) > before else None
        gap = gap or (_time_of_both(page.data[-2:]) if rest is not None else None)
        if rest is None or len(items) >= most:
            break
    known = {} if gap is None else {"incomplete_at": gap}
    has_more = rest is not None or len(items) > most
    return RunPage(data=list(items.values())[:most], next_cursor=rest, has_more=has_more, **known)


def with_cursor(page: RunPage, size: int) -> RunPage:
    """Return the page; a bare list of the asked size with the cursor that servers would send."""
    if page.has_more is not None or page.next_cursor or len(page.data) != size:
        return page
    return page.model_copy(update={"next_cursor": page.data[-1].get("created_at")})


def _time_of_both(last_two: Sequence[Mapping[str, Any]]) -> str | None:
    """The time at which both items were made, when it is one and the same."""
    times = [item.get("created_at") for item in last_two]
    same = len(times) == 2 and times[0] == times[1] and isinstance(times[0], str)
    return times[0] if same else None


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
