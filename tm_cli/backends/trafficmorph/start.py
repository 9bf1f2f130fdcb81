"""Starting a run exactly once, and knowing afterwards which run it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tm_cli.api.errors import ApiError, ConnectionFailed, HttpError, InvalidResponse
from tm_cli.api.retry import Attempts
from tm_cli.api.trafficmorph import HistoryRow, LiveStatus, RunControl, TrafficMorphClient
from tm_cli.errors import Refused, StartUnknown, TmError
from tm_cli.runtime.clock import Clock
from tm_cli.values.text import sanitize

OUR_TRIGGER = "api"
"""Snapshot and scan use the same filter, so that scheduled and web runs are never candidates."""

START_ATTEMPTS = 3
REFUSALS = frozenset({400, 404, 405, 409, 413, 415, 422, 425, 429})


@dataclass(frozen=True, slots=True)
class StartResult:
    """What a start has brought; `asked_at` is the wall clock just before it was sent."""

    run_id: str | None
    status: str
    asked_at: datetime


class RunStarter:
    """Starts one run of a profile.

    `own_tag` is a tag that no other start has; it is what a run is recognised by when the answer to
    the start is lost. `terms` is how the server is to judge the run; see `Client.start_run`.
    """

    def __init__(
        self,
        client: TrafficMorphClient,
        clock: Clock,
        profile_id: int,
        *,
        region: str | None,
        tags: Sequence[str],
        own_tag: str | None = None,
        terms: Mapping[str, Any] | None = None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._profile_id = profile_id
        self._region = region
        self._terms = terms
        self._own_tag = own_tag
        self._tags = (*tags, own_tag) if own_tag else tuple(tags)
        self._snapshot: HistoryRow | None = None

    @property
    def newest_before(self) -> int | None:
        """The id of the newest history row before the start, None without one."""
        return self._snapshot.id if self._snapshot else None

    @property
    def rows_are_named(self) -> bool:
        """Whether the server had written a runId into the newest row before the start."""
        return self._snapshot is not None and self._snapshot.run_id is not None

    def is_from_before(self, run_id: str | None) -> bool:
        """Whether this run had ended before the start: a stale replica may still show it."""
        return (
            run_id is not None and self._snapshot is not None and (run_id == self._snapshot.run_id)
        )

    def prepare(self) -> None:
        """Take the snapshot.

        Raises InvalidResponse when there is a row and its id cannot be read.
        """
        rows = list_own(self._client, self._profile_id, page=0, size=1)
        self._snapshot = rows[0] if rows else None
        if self._snapshot is not None and self._snapshot.id is None:
            raise InvalidResponse("the newest history row has no usable id; nothing was started")

    def start(self) -> StartResult:
        """Send the start; repeat it only while nothing can have reached the server.

        Raises Refused, ConnectionFailed or HttpError when nothing was started, and StartUnknown
        when that is unknown.
        """
        attempts = Attempts(START_ATTEMPTS)
        while True:
            asked_at = self._clock.now()
            try:
                answer = self._client.start_run(
                    self._profile_id, region=self._region, tags=self._tags, terms=self._terms
                )
                self._check(answer)
            except ConnectionFailed as error:
                if error.maybe_sent:
                    return self._recognise(asked_at, error.message)
                self._clock.sleep(attempts.next_pause(error))
            except ApiError as error:
                if (refusal := _refusal(error)) is not None:
                    raise refusal from None
                return self._recognise(asked_at, error.message)
            else:
                return StartResult(answer.run_id, answer.status or "", asked_at)

    def _check(self, answer: RunControl) -> None:
        """An answer that breaks the contract proves nothing about the start."""
        if answer.profile_id is not None and answer.profile_id != self._profile_id:
            raise InvalidResponse("the answer is about another profile")
        if self.is_from_before(answer.run_id):
            raise InvalidResponse("the answer names a run that had ended before")

    def _recognise(self, asked_at: datetime, reason: str) -> StartResult:
        """Find the run by its own tag after a lost answer; nothing else is adopted."""
        now = self._look()
        if now is not None and now.run_id and self._own_tag and self._own_tag in now.tags:
            return StartResult(now.run_id, now.status or "", asked_at)
        name = self._profile_id
        active = sanitize(now.run_id) if now and now.run_id else "ID"
        state = f"; the profile is {sanitize(now.status or 'unknown')} now" if now else ""
        raise StartUnknown(
            f"the run may or may not have started: {reason}; tm does not repeat a start{state}",
            hint=f"look with `tm runs status {name}`; if that run is yours, "
            f"`tm runs wait {name} --run-id {active}`",
        )

    def _look(self) -> LiveStatus | None:
        with suppress(ApiError):
            return self._client.get_run_status(self._profile_id)
        return None


def _refusal(error: ApiError) -> TmError | None:
    """Return what to raise when the answer proves that nothing was started.

    Only the API's own error body proves it: a gateway may answer for a server that has acted.
    """
    if not isinstance(error, HttpError):
        return None
    if error.status in {401, 403}:
        return error
    if error.status in REFUSALS and error.from_api:
        return Refused(f"not started: {error.message}", hint=error.hint, code=error.code)
    return None


def list_own(
    client: TrafficMorphClient, profile_id: int, *, page: int, size: int
) -> list[HistoryRow]:
    """Return one page of the profile's runs that were started through the API."""
    return client.list_history(
        page=page, size=size, profileId=profile_id, triggeredBy=OUR_TRIGGER
    ).content
