"""Job runs for the gate."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from tm_cli.api.errors import ApiError, HttpError, NotUnderstood
from tm_cli.api.retry import RequestBudget, observed_nothing
from tm_cli.api.strait.client import LARGEST_PAGE, Client, as_run
from tm_cli.api.strait.models import JobRun, Page
from tm_cli.backends.strait.results import (
    DEAD_LETTER,
    Lineage,
    as_progress,
    as_result,
    later_runs,
    verdict_of,
)
from tm_cli.backends.strait.trigger import Order, Started, Trigger, take_snapshot
from tm_cli.errors import TmError, Undecided
from tm_cli.gate.model import Missing, Progress, Result, Run
from tm_cli.gate.verdict import Verdict
from tm_cli.runtime.clock import Clock
from tm_cli.values.text import clean

Listen = Callable[[str, Callable[[], None]], None]
"""Opens the stream of a run, and calls the function whenever a look may be worth while."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How the runs of one job are started; a run that was there before counts with `reuses`.

    `order` returns what to send for the start of that number, from 0.
    """

    order: Callable[[int], Order]
    reuses: bool = False
    budget: RequestBudget | None = None


@dataclass(slots=True)
class StraitRuns:
    """The runs of one job, or one run that another invocation has started.

    `hasty` is a client for a stop that must not take long, and `listen` hears of the run between
    two looks, where that is wanted. `say` tells people what they should know.
    """

    client: Client
    clock: Clock
    subject: str
    plan: Plan | None = None
    canceled_as: Verdict = Verdict.WARN
    hasty: Client | None = None
    listen: Listen | None = None
    say: Callable[[str], None] = field(default=lambda _text: None)
    resume_flags: Sequence[str] = ()
    _starts: int = field(default=0, init=False)
    _trigger: Trigger | None = field(default=None, init=False)
    _made_by: Trigger | None = field(default=None, init=False)
    _seen: Lineage | None = field(default=None, init=False)
    _ring: Callable[[], None] | None = field(default=None, init=False)
    _heard: set[str] = field(default_factory=set, init=False)

    def prepare(self) -> None:
        """Decide what to send, and find what is there already."""
        if self.plan is None:
            raise AssertionError("a run that goes on is not started")
        order = self.plan.order(self._starts)
        self._starts += 1
        snapshot = take_snapshot(self.client, self.clock, order)
        self._trigger = Trigger(
            self.client, self.clock, order, snapshot, self.plan.budget, self.say
        )

    def start(self) -> Run:
        """Trigger the job once; a run that was there before is not taken for a new one."""
        if self.plan is None:
            raise AssertionError("a run that goes on is not started")
        asked_at = self.clock.now()
        started = self.trigger()
        if started.run_id is None:
            raise Undecided(
                f"{started.kept}; the server names no run, so there is none to wait for",
                hint="`tm jobs list` shows what becomes of it",
            )
        self._made_by = None if started.is_old else self._trigger
        if not started.is_old:
            return self._as_run(started.run_id, started.status, asked_at)
        said = describe_old(started)
        if not self.plan.reuses:
            name = clean(started.run_id)
            raise Undecided(
                f"{said}; nothing new was started",
                hint=f"wait for that run with `tm jobs wait {name}`, take it with --reuse, "
                "or choose another --idempotency-key",
            )
        self.say(f"{said}; it counts, because of --reuse")
        return self._as_run(started.run_id, started.status, None)

    def trigger(self) -> Started:
        """Trigger the job once, and return whatever the server made of it."""
        if self._trigger is None:
            raise AssertionError("prepare comes before start")
        self._seen = None
        return self._trigger.send()

    def attach(self, run_id: str, status: str = "") -> Run:
        """Return the run that somebody else has started."""
        return self._as_run(run_id, status, None)

    def _as_run(self, run_id: str, status: str, asked_at: datetime | None) -> Run:
        words = ["tm", "jobs", "wait", clean(run_id), *self.resume_flags]
        return Run(run_id, self.subject, clean(status), asked_at, shlex.join(words))

    def announce_to(self, ring: Callable[[], None]) -> bool:
        """Remember whom to tell; the stream is opened with the first look."""
        self._ring = ring
        return self.listen is not None

    def observe(self, run: Run) -> Progress:
        """Ask what the run is, and what continues it; only this decides."""
        if run.run_id is not None:
            self._hear(run.run_id)
        self._seen = self._look(run)
        if self._seen.later:
            self._hear(self._seen.current.id)
        return as_progress(self._seen)

    def _hear(self, run_id: str) -> None:
        """Listen before asking, so that nothing happens unheard in between."""
        if self.listen is None or self._ring is None or run_id in self._heard:
            return
        self._heard.add(run_id)
        self.listen(run_id, self._ring)

    def _look(self, run: Run) -> Lineage:
        try:
            found = self._fresh(self._read(run))
        except HttpError as error:
            if error.status == 404 and error.from_api:
                raise Undecided(
                    f"the server no longer knows run {clean(run.run_id)}",
                    hint="it may have been deleted, or the key may be for another environment",
                ) from None
            raise
        return Lineage(found, self._later(found))

    def _later(self, found: JobRun) -> tuple[JobRun, ...]:
        """Return the runs that continue one that has ended; after a failure none can help it."""
        if verdict_of(found.status, self.canceled_as) in (None, Verdict.FAIL):
            return ()
        try:
            page = self.client.reading_once().list_part(found.id, "lineage")
        except HttpError as error:
            if error.status == 404 and not error.from_api and _is_before_lineage(found):
                return ()
            if error.status == 401 or self.observed_nothing(error) is not None:
                raise
            raise Undecided(
                f"run {clean(found.id)} is {clean(found.status)}, and whether another run "
                f"continues it could not be read: {error.message}",
                hint=f"look with `tm jobs lineage {clean(found.id)}`",
            ) from None
        lineage = [as_run(item) for item in page.data]
        ours = [item.status for item in lineage if item.id == found.id]
        is_known = ours or (lineage == [] and _is_before_lineage(found))
        if not is_known or not _is_whole(page):
            raise NotUnderstood(f"the lineage of run {clean(found.id)} is not all there")
        if any(status != found.status for status in ours):  # one of the two is from a cache
            raise NotUnderstood(
                f"run {clean(found.id)} is {clean(found.status)}, and {clean(ours[0])} in its "
                "lineage"
            )
        return later_runs(found, lineage)

    def _read(self, run: Run) -> JobRun:
        return self._ours(self.client.reading_once().get_run(str(run.run_id)))

    def _ours(self, found: JobRun) -> JobRun:
        """Return the run if this start has made it; one that was waited for may be anybody's."""
        if self._made_by is not None and not self._made_by.made(found):
            name = clean(found.id)
            raise Undecided(
                f"run {name} does not carry the idempotency key of this start: another trigger "
                "has made it, or somebody has reset its key",
                hint=f"look with `tm jobs show {name}`",
            )
        return found

    def _fresh(self, found: JobRun) -> JobRun:
        """Doubt a dead letter, which alone can come back: reads by id may be from a cache.

        Lists are not; where they do not show the run, the dead letter stands.
        """
        if found.status != DEAD_LETTER:
            return found
        with suppress(ApiError):
            page = self.client.reading_once().list_runs(
                triggered_by=found.triggered_by, limit=LARGEST_PAGE
            )
            for item in page.data:
                if item.get("id") == found.id:
                    return self._ours(as_run(item))
        return found

    def find_result(self, run: Run) -> Result | Missing:
        """Return what the look that saw the end has shown; the run is its own record."""
        seen = self._seen
        if seen is None or seen.run.id != run.run_id or seen.unfinished:
            seen = self._look(run)
        if seen.unfinished:
            going_on = seen.current
            return Missing(f"run {clean(going_on.id)} is {clean(going_on.status)} again")
        return as_result(seen, self.canceled_as)

    def confirm(self, run: Run, result: Result) -> Result:
        """Return the result, with a note on runs that it leaves out."""
        if result.verdict is not Verdict.PASS:
            return result
        with suppress(ApiError):
            client = self.hasty or self.client
            page = client.reading_once().list_part(str(run.run_id), "children")
            if page.data:
                note = (
                    "child runs that it has started are not part of the verdict: "
                    f"`tm jobs children {clean(run.run_id)}` lists them"
                )
                return replace(result, notes=(*result.notes, note))
        return result

    def find_baseline(self, result: Result) -> Result | None:
        """Return None: job runs are compared with nothing."""
        return None

    def stop(self, run: Run) -> None:
        """Cancel what goes on of the run; what was cancelled meanwhile is as good."""
        going_on = self._seen.unfinished if self._seen is not None else ()
        for run_id in [item.id for item in going_on] or [str(run.run_id)]:
            self._cancel(run_id)

    def _cancel(self, run_id: str) -> None:
        client = self.hasty or self.client
        try:
            client.cancel_run(run_id)
        except HttpError as error:
            if error.status not in {400, 409}:
                raise
            if client.reading_once().get_run(run_id).status != "canceled":
                raise

    def observed_nothing(self, error: TmError) -> float | None:
        """Ride out whatever says nothing about the run; a refused key is final."""
        if not isinstance(error, ApiError):
            return None
        if isinstance(error, HttpError) and error.status == 404 and not error.from_api:
            return error.retry_after or 0.0  # of a gateway, while the server is away
        if not observed_nothing(error):
            return None
        return (error.retry_after or 0.0) if isinstance(error, HttpError) else 0.0


def _is_whole(page: Page) -> bool:
    """Whether nothing is missing; a full page must say so itself."""
    if page.has_more or page.next_cursor:
        return False
    return page.has_more is False or len(page.data) < LARGEST_PAGE


def _is_before_lineage(found: JobRun) -> bool:
    """Whether the run is of a server that is too old for runs that continue others."""
    return "lineage_depth" not in found.model_fields_set


def describe_old(started: Started) -> str:
    """Say that the server has answered with a run that it had already."""
    made = f", made at {started.made_at:%Y-%m-%d %H:%M:%SZ}" if started.made_at else ""
    return f"the server handed back run {clean(started.run_id or '')}{made}, which was there before"
