"""The payloads of Strait's job-run API that tm reads.

Unknown fields are kept for JSON output and otherwise ignored. What names a run or decides a gate is
read strictly; everything else is read leniently.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    StrictBool,
    StrictInt,
    StrictStr,
    model_validator,
)

from tm_cli.api.client import Instant, Lenient, Payload


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


class Job(Payload):
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


class Page(Payload):
    """One page of a list; without a `next_cursor` it is the last."""

    data: Annotated[list[dict[str, Any]], BeforeValidator(_empty_for_null)]
    next_cursor: Lenient[StrictStr] = None
    has_more: Lenient[StrictBool] = None

    @model_validator(mode="before")
    @classmethod
    def _bare_list(cls, document: Any) -> Any:
        """The published reference shows lists without the envelope."""
        return {"data": document} if isinstance(document, list) else document
