"""Triggering a job exactly once, and knowing whether the run that comes back is new.

Every trigger goes out under an idempotency key, so that it can be repeated when an answer is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from tm_cli.api.client import follow_cursors
from tm_cli.api.errors import ApiError, ConnectionFailed, HttpError
from tm_cli.api.retry import Attempts, RequestBudget
from tm_cli.api.strait import (
    LARGEST_PAGE,
    JobRun,
    StraitClient,
    Triggered,
    as_run,
    with_cursor,
)
from tm_cli.errors import Refused, StartUnknown, TmError
from tm_cli.runtime.clock import Clock
from tm_cli.values.durations import format_duration
from tm_cli.values.text import sanitize

ATTEMPTS = 5
MOST_WAITING = 300.0
"""Seconds that the pauses between attempts may take together."""

BUSY_FACTOR = 5.0
"""How much longer to pause while a key is in use: the attempts outlast the 30 s of any request."""

SHOWN_PAUSE = 5.0
"""Seconds; longer pauses are shown to the user."""

CLOCK_SLACK = timedelta(seconds=30)
"""How far the clocks of server and machine may differ where nothing else shows how old a run is."""

PAGES_SEARCHED = 10
"""Pages of runs, newest first, that are searched for the run of a key."""

REFUSALS = frozenset({400, 402, 404, 405, 406, 409, 410, 413, 415, 422, 429})
NO_ACCESS = frozenset({401, 403})
BUSY = "being processed"
"""In the answer to a key whose first request the server is still working on."""

MAYBE_MADE = "admission control"
"""In the answer of a database too busy to commit; it may have committed all the same."""


@dataclass(frozen=True, slots=True)
class TriggerRequest:
    """What to start: the job, the body of the trigger and the key it goes under.

    `new_key` makes another key; it is None where the user has chosen the key. `may_merge` says that
    the job may answer with a run that another trigger has made.
    """

    job_id: str
    body: Mapping[str, Any]
    key: str
    new_key: Callable[[], str] | None = None
    may_merge: bool = False

    @property
    def is_unique(self) -> bool:
        """Whether tm made the key, so that no other trigger has it."""
        return self.new_key is not None

    @property
    def may_be_old(self) -> bool:
        """Whether a run may come back that was there before."""
        return self.may_merge or not self.is_unique

    def made(self, run: JobRun) -> bool:
        """Whether the run carries our key: what a trigger was answered with need not be of it.

        A job with a dedup window answers with an earlier run and does not say so.
        """
        return run.idempotency_key == self.key and run.job_id in (None, self.job_id)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known from before the start; `newest` is when the newest run was made."""

    asked_at: datetime
    newest: datetime | None = None

    def is_older(self, run: JobRun, now: datetime) -> bool:
        """Whether the run was there already; one of unknown age counts as old."""
        if run.created_at is None:
            return True
        if self.newest is not None:  # by one and the same clock
            return run.created_at <= self.newest
        # By a clock that is wrong, an old run could look like a new one.
        return not self.asked_at - CLOCK_SLACK <= run.created_at <= now + CLOCK_SLACK


OnSend = Callable[[TriggerRequest | None, Snapshot], None]
"""Takes each request before it is sent, and None once it is clear that nothing was started."""


@dataclass(frozen=True, slots=True)
class TriggerResult:
    """What a trigger has brought.

    Without a `run_id` the server keeps the trigger, and `kept` says why. An old run was there
    before, which is None where the key may not read it; `made_at` is known where it had to be
    looked up.
    """

    run_id: str | None
    status: str
    is_old: bool | None = False
    made_at: datetime | None = None
    kept: str | None = None


def take_snapshot(client: StraitClient, clock: Clock) -> Snapshot:
    """Find the newest run; raises ApiError."""
    rows = client.list_runs(limit=1).data
    return Snapshot(clock.now(), as_run(rows[0]).created_at if rows else None)


def newest_runs(client: StraitClient) -> Iterator[JobRun]:
    """Yield the newest runs; raises ApiError."""
    pages = follow_cursors(
        lambda at: with_cursor(client.list_runs(limit=LARGEST_PAGE, cursor=at), LARGEST_PAGE),
        lambda page: page.next_cursor or None,
    )
    for page, _ in islice(pages, PAGES_SEARCHED):
        yield from map(as_run, page.data)


def find_by_key(client: StraitClient, job_id: str, key: str) -> JobRun | None:
    """Search the newest runs for that of a key; raises ApiError."""
    runs = newest_runs(client)
    return next((run for run in runs if (run.idempotency_key, run.job_id) == (key, job_id)), None)


def _ignore(*_values: object) -> None:
    pass


@dataclass(slots=True)
class Trigger:
    """Sends one request, as often as it takes to learn its outcome."""

    client: StraitClient
    clock: Clock
    request: TriggerRequest
    snapshot: Snapshot
    budget: RequestBudget | None = None
    notify: Callable[[str], None] = _ignore
    on_send: OnSend = _ignore
    _waited: float = field(default=0.0, init=False)
    _maybe_sent: bool = field(default=False, init=False)
    _was_busy: bool = field(default=False, init=False)

    def send(self) -> TriggerResult:
        """Return the run; repeats the trigger, under its key, while its outcome is unknown.

        After a limit it goes out under another key: a server may keep that of a refused trigger as
        if it was in progress.

        Raises Refused, ConnectionFailed or HttpError when nothing was started, and StartUnknown
        when that remains unknown.
        """
        attempts = Attempts(ATTEMPTS)
        while True:
            self._wait_for_budget()
            self.on_send(self.request, self.snapshot)
            try:
                answer, replayed = self.client.trigger(
                    self.request.job_id, self.request.body, self.request.key
                )
            except ApiError as error:
                if not self._pause_after(error, attempts):
                    return self._recognise(error)
            else:
                return self._read(answer, replayed=replayed)

    def _wait_for_budget(self) -> None:
        if self.budget is None:
            return
        if (pause := self.budget.delay) >= SHOWN_PAUSE:
            shown = format_duration(pause)
            self.notify(f"starts in {shown}: the server takes few triggers a minute")
        self.budget.take()

    def _pause_after(self, error: ApiError, attempts: Attempts) -> bool:
        """Pause before another attempt; False for none. Raises what is a clear no."""
        self._was_busy = self._was_busy or is_busy(error)
        self._raise_refusal(error, is_last=attempts.is_last)
        self._maybe_sent = self._maybe_sent or self._may_have_started(error)
        if attempts.is_last or is_refusal(error):
            return False
        pause = attempts.next_pause(error) * (BUSY_FACTOR if is_busy(error) else 1.0)
        if self._waited + pause > MOST_WAITING:
            return False
        if pause >= SHOWN_PAUSE:
            self.notify(f"not started yet: {error.message}; again in {format_duration(pause)}")
        self._waited += pause
        self.clock.sleep(pause)
        if is_limited(error) and not self._maybe_sent and self.request.new_key is not None:
            self.request = replace(self.request, key=self.request.new_key())
        return True

    def _may_have_started(self, error: ApiError) -> bool:
        """A key of ours is in use only by our own request, which something has repeated."""
        return self.request.is_unique if is_busy(error) else may_have_started(error)

    def _raise_refusal(self, error: ApiError, *, is_last: bool) -> None:
        """A clear no counts only while no earlier request can have made a run.

        Where the key was in use, something may have sent ours twice: that takes a search.
        """
        if self._maybe_sent or self._was_busy:
            return
        if is_refusal(error) or (is_last and not may_have_started(error)):
            raise refusal(error, hint=self._hint) from None

    @property
    def _hint(self) -> str | None:
        """What to do after a refusal under the user's key."""
        if self.request.is_unique:
            return None
        return (
            "the server may keep the key of a refused trigger in use for 24 hours: try again with "
            "another --idempotency-key"
        )

    def _read(self, answer: Triggered, *, replayed: bool) -> TriggerResult:
        if not answer.id:
            return TriggerResult(None, "", kept=why_kept(answer))
        # Nothing that we have sent before can be what the server repeats.
        repeats_another = (replayed or bool(answer.idempotency_hit)) and not self._maybe_sent
        if not self.request.may_be_old and not repeats_another:
            return TriggerResult(answer.id, answer.status or "")
        try:
            run = self.client.get_run(answer.id)
        except ApiError as error:
            if is_refused_key(error) and self.request.is_unique:
                return TriggerResult(answer.id, answer.status or "", is_old=None)
            raise StartUnknown(
                f"run {sanitize(answer.id)} came back, and it could not be read whether it is new: "
                f"{error.message}",
                hint=f"look with `tm jobs show {sanitize(answer.id)}`",
            ) from None
        return self._judged(run, repeats_another=repeats_another)

    def _judged(self, run: JobRun, *, repeats_another: bool = False) -> TriggerResult:
        """Decide whether a run is old or of this start; only a generated key proves the latter."""
        if not self.request.made(run) and not self.request.may_merge:
            raise StartUnknown(
                f"run {sanitize(run.id)} came back, which does not carry the key of this start",
                hint=f"look with `tm jobs show {sanitize(run.id)}`",
            )
        is_older = self.snapshot.is_older(run, self.clock.now())
        if self.request.is_unique and self.request.made(run):
            is_old = repeats_another and is_older
        else:
            is_old = repeats_another or is_older or self.request.is_unique
        return TriggerResult(run.id, run.status, is_old, run.created_at)

    def _recognise(self, error: ApiError) -> TriggerResult:
        """Look for the run of our key after the last answer; nothing else is adopted."""
        run, is_absent = None, False
        if not is_refused_key(error):
            with suppress(ApiError):
                run, is_absent = self._search()
        if run is not None:
            return self._judged(run, repeats_another=not self._maybe_sent)
        if not self._maybe_sent and (is_absent or not self._was_busy):
            raise refusal(error, hint=self._hint)
        key = sanitize(self.request.key)
        raise StartUnknown(
            f"the job may or may not have been triggered: {error.message}",
            hint="`tm jobs wait --last` searches for the run; it is safe to start it again with "
            f"--idempotency-key {key} --reuse",
        )

    def _search(self) -> tuple[JobRun | None, bool]:
        """Return the run of our key, and without one whether the runs show that there is none.

        A new run without a key may be ours, if the key was reset; and a job with a dedup window may
        have answered with a run of another key. Raises ApiError.
        """
        is_absent, now = not self.request.may_merge, self.clock.now()
        for run in newest_runs(self.client):
            if (run.idempotency_key, run.job_id) == (self.request.key, self.request.job_id):
                return run, False
            is_new = not run.idempotency_key and not self.snapshot.is_older(run, now)
            is_absent = is_absent and not (is_new and run.job_id == self.request.job_id)
        return None, is_absent


def why_kept(answer: Triggered) -> str:
    """Say why a trigger that was accepted names no run."""
    if answer.debounced:
        until = f", until {answer.fire_at:%Y-%m-%d %H:%M:%SZ}" if answer.fire_at else ""
        return f"the job waits for more triggers before it runs (its debounce window{until})"
    return "the job collects triggers before it runs (its batch window)"


def is_refused_key(error: ApiError) -> bool:
    """Whether the key may not do this; asking again with it counts against the address."""
    return isinstance(error, HttpError) and error.status in NO_ACCESS


def is_refusal(error: ApiError) -> bool:
    """Whether the answer is the API's own no, which no repetition changes."""
    if not isinstance(error, HttpError):
        return False
    if error.status in NO_ACCESS:
        return True
    if error.status not in REFUSALS or not error.from_api or MAYBE_MADE in error.message:
        return False
    if error.status == 429:  # a daily budget that is used up does not say when to come back
        return error.retry_after is None
    return not is_busy(error)


def is_busy(error: ApiError) -> bool:
    """Whether the key is in use by another request."""
    return isinstance(error, HttpError) and error.status == 409 and BUSY in error.message


def is_limited(error: ApiError) -> bool:
    """Whether a limit of the server itself has refused the trigger; no gateway hides its reason."""
    if not isinstance(error, HttpError) or error.status != 429:
        return False
    return error.from_api or error.media_type == "text/plain"


def may_have_started(error: ApiError) -> bool:
    """Whether the server may have made a run before this answer, or without any."""
    match error:
        case ConnectionFailed():
            return error.maybe_sent
        case HttpError() if error.status == 429:
            return MAYBE_MADE in error.message
        case HttpError() if error.status in NO_ACCESS:
            return False
    return not is_refusal(error)


def refusal(error: ApiError, hint: str | None = None) -> TmError:
    """Return what to raise when nothing was started."""
    if isinstance(error, ConnectionFailed) or is_refused_key(error):
        return error
    return Refused(f"not started: {error.message}", hint=hint or error.hint, code=error.code)
