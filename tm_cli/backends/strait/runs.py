"""Job runs for the gate."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from tm_cli.api.errors import ApiError, HttpError, InvalidResponse
from tm_cli.api.retry import RequestBudget, retry_pause
from tm_cli.api.strait import LARGEST_PAGE, JobRun, RunPage, StraitClient, as_run
from tm_cli.backends.strait.results import (
    COMPLETED,
    DEAD_LETTER,
    Lineage,
    as_progress,
    as_result,
    later_runs,
    verdict_of,
)
from tm_cli.backends.strait.trigger import (
    OnSend,
    Snapshot,
    Trigger,
    TriggerRequest,
    TriggerResult,
    take_snapshot,
)
from tm_cli.errors import Refused, TmError, Undecided
from tm_cli.gate.backend import Backend
from tm_cli.gate.model import Missing, Progress, Result, Run
from tm_cli.runtime.clock import Clock
from tm_cli.values.text import sanitize
from tm_cli.values.verdict import Verdict

SEARCH_HINT = "`tm jobs wait --last` searches for the run"

Listen = Callable[[str, Callable[[], None]], None]
"""Opens the stream of a run, and calls the function when its status may have changed."""


@dataclass(slots=True)
class StraitRuns(Backend):
    """One run of a job that was started elsewhere.

    `stop_client` is a client for a stop that must not take long, and `listen` opens the stream of a
    run, where that is wanted. `notify` shows the user a line. `made_by` is the trigger that must
    have made the run; None where it may be of any.
    """

    client: StraitClient
    clock: Clock
    subject: str
    canceled_as: Verdict = Verdict.WARN
    stop_client: StraitClient | None = None
    listen: Listen | None = None
    notify: Callable[[str], None] = field(default=lambda _text: None)
    resume_flags: Sequence[str] = ()
    made_by: TriggerRequest | None = None
    _seen: Lineage | None = field(default=None, init=False)
    _on_change: Callable[[], None] | None = field(default=None, init=False)
    _heard: set[str] = field(default_factory=set, init=False)

    def start(self) -> Run:
        raise AssertionError("a run that was started elsewhere is not started")

    def attach(self, run_id: str, status: str = "") -> Run:
        return self._as_run(run_id, status, None)

    def _as_run(self, run_id: str, status: str, asked_at: datetime | None) -> Run:
        words = ["tm", "jobs", "wait", sanitize(run_id), *self.resume_flags]
        return Run(run_id, self.subject, sanitize(status), asked_at, shlex.join(words))

    def notify_on_change(self, notify: Callable[[], None]) -> bool:
        """Remember what to call; the stream is opened with the first observation."""
        self._on_change = notify
        return self.listen is not None

    def observe(self, run: Run) -> Progress:
        """Read the run and what continues it; only this decides."""
        if run.run_id is not None:
            self._subscribe(run.run_id)
        self._seen = self._read_lineage(run)
        if self._seen.later:
            self._subscribe(self._seen.current.id)
        return as_progress(self._seen)

    def _subscribe(self, run_id: str) -> None:
        """Open the stream before the run is read, so that no event is missed in between."""
        if self.listen is None or self._on_change is None or run_id in self._heard:
            return
        self._heard.add(run_id)
        self.listen(run_id, self._on_change)

    def _read_lineage(self, run: Run) -> Lineage:
        try:
            found = self._checked(read_run(self.client.without_retries(), str(run.run_id)))
        except HttpError as error:
            if error.status == 404 and error.from_api:
                raise Undecided(
                    f"the server no longer knows run {sanitize(run.run_id)}",
                    hint="it may have been deleted, or the key may be for another environment",
                ) from None
            raise
        return Lineage(found, self._later(found))

    def _later(self, found: JobRun) -> tuple[JobRun, ...]:
        """Return the runs that continue one that has ended; after a failure none can help it."""
        if verdict_of(found.status, self.canceled_as) in (None, Verdict.FAIL):
            return ()
        try:
            page = self.client.without_retries().list_part(found.id, "lineage")
        except HttpError as error:
            if error.status == 404 and not error.from_api and _is_before_lineage(found):
                return ()
            if error.status == 401 or self.retry_pause(error) is not None:
                raise
            raise Undecided(
                f"run {sanitize(found.id)} is {sanitize(found.status)}, and whether another run "
                f"continues it could not be read: {error.message}",
                hint=f"look with `tm jobs lineage {sanitize(found.id)}`",
            ) from None
        lineage = [as_run(item) for item in page.data]
        statuses = [item.status for item in lineage if item.id == found.id]
        is_known = statuses or (lineage == [] and _is_before_lineage(found))
        if not is_known or not _is_whole(page):
            raise InvalidResponse(f"the lineage of run {sanitize(found.id)} is not all there")
        if any(status != found.status for status in statuses):  # one of the two is from a cache
            raise InvalidResponse(
                f"run {sanitize(found.id)} is {sanitize(found.status)}, and "
                f"{sanitize(statuses[0])} in its lineage"
            )
        return later_runs(found, lineage)

    def _checked(self, found: JobRun) -> JobRun:
        """Return the run if the trigger has made it that must have."""
        if self.made_by is not None and not self.made_by.made(found):
            name = sanitize(found.id)
            raise Undecided(
                f"run {name} does not carry the idempotency key of this start: another trigger "
                "has made it, or its key was reset",
                hint=f"look with `tm jobs show {name}`",
            )
        return found

    def find_result(self, run: Run) -> Result | Missing:
        """Return what the read that saw the end has shown: the run is its own record."""
        seen = self._seen
        if seen is None or seen.run.id != run.run_id or seen.unfinished:
            seen = self._seen = self._read_lineage(run)
        if seen.unfinished:
            current = seen.current
            return Missing(f"run {sanitize(current.id)} is {sanitize(current.status)} again")
        return as_result(seen, self.canceled_as)

    def confirm(self, run: Run, result: Result) -> Result:
        """Return the result, with a note on runs that it leaves out."""
        if result.verdict is not Verdict.PASS:
            return result
        client = (self.stop_client or self.client).without_retries()
        notes = []
        for each in self._seen.runs if self._seen is not None else ():
            with suppress(ApiError):
                if client.list_part(each.id, "children").data:
                    notes.append(
                        "child runs that it has started are not part of the verdict: "
                        f"`tm jobs children {sanitize(each.id)}` lists them"
                    )
        return replace(result, notes=(*result.notes, *notes))

    def stop(self, run: Run) -> None:
        """Cancel what is unfinished; a run that is already canceled counts as canceled."""
        unfinished = self._seen.unfinished if self._seen is not None else ()
        for run_id in [item.id for item in unfinished] or [str(run.run_id)]:
            self._cancel(run_id)

    def _cancel(self, run_id: str) -> None:
        client = self.stop_client or self.client
        try:
            client.cancel_run(run_id)
        except HttpError as error:
            if error.status not in {400, 409}:
                raise
            if client.without_retries().get_run(run_id).status != "canceled":
                raise

    def retry_pause(self, error: TmError) -> float | None:
        """Repeat what says nothing about the run; a refused key is final."""
        return retry_pause(error)


@dataclass(frozen=True, slots=True)
class StartPlan:
    """How the runs of one job are started; `reuses` accepts a run that existed before.

    `request` returns what to send. Without `waits`, nothing is read that only a wait needs.
    """

    request: Callable[[], TriggerRequest]
    reuses: bool = False
    budget: RequestBudget | None = None
    waits: bool = True


@dataclass(slots=True)
class TriggeredRuns(StraitRuns):
    """The runs of one job that are started here."""

    plan: StartPlan = field(kw_only=True)
    on_send: OnSend = field(default=lambda _request, _snapshot: None)
    search_hint: str | None = SEARCH_HINT
    _trigger: Trigger | None = field(default=None, init=False)

    def prepare(self) -> None:
        """Decide what to send, and find what is there already."""
        request = self.plan.request()
        needs_snapshot = request.may_be_old if self.plan.waits else not request.is_unique
        snapshot = Snapshot(self.clock.now())
        if needs_snapshot:
            snapshot = take_snapshot(self.client, self.clock)
        self._trigger = Trigger(
            self.client,
            self.clock,
            request,
            snapshot,
            self.plan.budget,
            self.notify,
            self.on_send,
        )

    def start(self) -> Run:
        """Trigger the job once; a run that was there before is not taken for a new one."""
        asked_at = self.clock.now()
        result = self.trigger()
        if result.run_id is None:
            raise Undecided(
                f"{result.kept}; the server names no run, so there is none to wait for",
                hint="`tm jobs list` shows what becomes of it",
            )
        if not result.is_old:
            return self._as_run(result.run_id, result.status, asked_at)
        note = describe_old(result)
        if not self.plan.reuses:
            name = sanitize(result.run_id)
            raise Undecided(
                f"{note}; nothing new was started",
                hint=f"wait for that run with `tm jobs wait {name}`, {self._another_way}",
            )
        self.notify(f"{note}; it counts, because of --reuse")
        return self._as_run(result.run_id, result.status, None)

    @property
    def _another_way(self) -> str:
        """What else to do about a run that was there before."""
        if self._trigger is not None and self._trigger.request.is_unique:
            return "or start again after the job's dedup window, or with another payload"
        return "take it with --reuse, or choose another --idempotency-key"

    def trigger(self) -> TriggerResult:
        """Trigger the job once, and return whatever the server made of it."""
        if self._trigger is None:
            raise AssertionError("prepare comes before start")
        self._seen = None
        try:
            result = self._trigger.send()
        except (ApiError, Refused):
            self.on_send(None, self._trigger.snapshot)
            raise
        self.made_by = None if result.is_old else self._trigger.request
        return result


def read_run(client: StraitClient, run_id: str) -> JobRun:
    """Return a run; a dead letter, which can be revived, as a list shows it.

    Reads by id may be from a cache, lists are not. Where none shows the run, the dead letter
    stands. Raises ApiError when a list has failed in a way that says nothing.
    """
    found = client.get_run(run_id)
    if found.status != DEAD_LETTER:
        return found
    for limit in (1, LARGEST_PAGE):  # a batch shares one time
        try:
            page = client.list_runs(limit=limit, cursor=_just_after(found.created_at))
            for item in page.data:
                if item.get("id") == found.id:
                    return as_run(item)
        except InvalidResponse:
            continue
        except ApiError as error:
            if retry_pause(error) is not None:
                raise
    return found


def describe_continuations(client: StraitClient, run: JobRun) -> list[str]:
    """Name the runs that continue one that has completed, where the server shows them."""
    later: Sequence[JobRun] = ()
    if run.status == COMPLETED:
        with suppress(ApiError):
            page = client.without_retries().list_part(run.id, "lineage")
            later = later_runs(run, [as_run(item) for item in page.data])
    return [f"run {sanitize(item.id)} continues it: {sanitize(item.status)}" for item in later]


def _just_after(created_at: datetime | None) -> str | None:
    """The cursor of a page that begins with the runs of this time; those of now without one."""
    if created_at is None:
        return None
    try:
        moment = created_at.astimezone(UTC) + timedelta(microseconds=1)
    except OverflowError:
        return None
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _is_whole(page: RunPage) -> bool:
    """Whether nothing is missing; a full page must say so itself."""
    if page.has_more or page.next_cursor:
        return False
    return page.has_more is False or len(page.data) < LARGEST_PAGE


def _is_before_lineage(found: JobRun) -> bool:
    """Whether the run is of a server that is too old for runs that continue others."""
    return "lineage_depth" not in found.model_fields_set


def describe_old(result: TriggerResult) -> str:
    """Say that the server has answered with a run that it had already."""
    made = f", made at {result.made_at:%Y-%m-%d %H:%M:%SZ}" if result.made_at else ""
    return (
        f"the server handed back run {sanitize(result.run_id or '')}{made}, which was there before"
    )
