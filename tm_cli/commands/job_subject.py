"""JOB: the id or the slug of a job."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tm_cli.api.errors import HttpError
from tm_cli.api.strait.client import Client, as_job
from tm_cli.api.strait.models import Job
from tm_cli.errors import Refused, UsageError
from tm_cli.text import clean

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class JobRef:
    """The job that an argument names.

    `may_merge` says that a trigger may be answered with a run that is there already, and `window`
    names why the server may not say which run a trigger belongs to.
    """

    job_id: str
    name: str
    may_merge: bool = True
    window: str | None = None


def find_job(client: Client, text: str) -> JobRef:
    """Return the job that `text` means; raises Refused when the server has none.

    A trigger takes ids only, so that a slug is looked up first. A key that may trigger but not read
    jobs can still use an id.
    """
    if not text.strip():
        raise UsageError("JOB is empty")
    if _UUID.fullmatch(text):
        return _by_id(client, text) or _by_slug(client, text) or _refuse(text)
    return _by_slug(client, text) or _by_id(client, text) or _refuse(text)


def _by_slug(client: Client, text: str) -> JobRef | None:
    for item in client.list_jobs(slug=text).data:
        job = as_job(item)
        if job.slug == text:  # a server that overlooks the filter sends them all
            return _as_ref(job)
    return None


def _by_id(client: Client, text: str) -> JobRef | None:
    try:
        job = client.get_job(text)
    except HttpError as error:
        if error.status == 403 and _UUID.fullmatch(text):
            return JobRef(text, f"job {text}")
        if error.status == 404 and error.from_api:
            return None
        raise
    return _as_ref(job) if job.id == text else None


def _as_ref(job: Job) -> JobRef:
    window = "debounce" if job.debounce_window_secs else "batch" if job.batch_window_secs else None
    return JobRef(
        job.id,
        clean(job.slug or job.name or job.id),
        may_merge=bool(job.dedup_window_secs),
        window=window,
    )


def _refuse(text: str) -> JobRef:
    raise Refused(
        f"the server has no job {clean(text)!r}",
        hint="`tm jobs definitions list` shows the jobs of the key's project and environment",
        code="unknown_job",
    )
