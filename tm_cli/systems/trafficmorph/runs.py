"""TrafficMorph runs for the gate (section 20 of the API contract)."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from tm_cli.api.errors import ApiError, HttpError, NotReached, NotUnderstood
from tm_cli.api.retry import observed_nothing, pause_before_retry
from tm_cli.api.trafficmorph.client import Client
from tm_cli.api.trafficmorph.models import (
    HistoryRow,
    Profile,
    RunControl,
)
from tm_cli.clock import Clock
from tm_cli.errors import Refused, StartUnknown, TmError, Undecided
from tm_cli.gate import correlate
from tm_cli.gate.evidence import Missing, Phase, Progress, Result, Run
from tm_cli.systems.trafficmorph.looks import from_status, phase_of, planned_curve
from tm_cli.systems.trafficmorph.results import as_result
from tm_cli.text import clean

PAGE_SIZE = 20
LAST_PAGE = 9
OUR_TRIGGER = "api"
"""Snapshot and scan use the same filter, so that scheduled and web runs are never candidates."""

START_ATTEMPTS = 3
REFUSALS = frozenset({400, 404, 405, 409, 413, 415, 422, 425})


class TrafficMorphRuns:
    """The runs of one profile."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        profile_id: int,
        *,
        subject: str,
        region: str | None = None,
        tags: Sequence[str] = (),
        profile: Profile | None = None,
    ) -> None:
        self._client = client
        self._once = client.reading_once()  # the flow repeats what observed nothing
        self._clock = clock
        self._profile_id = profile_id
        self._subject = subject
        self._region = region
        self._tags = tuple(tags)
        self._curve = planned_curve(profile) if profile else None
        self._snapshot: HistoryRow | None = None
        self._has_status = True

    def prepare(self) -> None:
        """Remember the newest row before the start; only rows after it can be ours.

        Raises NotUnderstood when there is a row and its id cannot be read.
        """
        rows = self._list(self._client, page=0, size=1)
        self._snapshot = rows[0] if rows else None
        if self._snapshot is not None and self._snapshot.id is None:
            raise NotUnderstood("the newest history row has no usable id; nothing was started")

    def start(self) -> Run:
        """Start one run; only what cannot have reached the server is repeated."""
        asked_at = self._clock.now()
        for attempt in range(START_ATTEMPTS):
            try:
                answer = self._client.start_run(
                    self._profile_id, region=self._region, tags=self._tags
                )
            except NotReached as error:
                if error.maybe_sent:
                    raise self._start_unknown(error.message) from None
                if attempt + 1 == START_ATTEMPTS:
                    raise
                self._clock.sleep(pause_before_retry(error, attempt))
                asked_at = self._clock.now()
            except ApiError as error:
                raise self._explain_start(error) from None
            else:
                self._check_start(answer)
                return self._as_run(answer.run_id, answer.status or "", asked_at)
        raise AssertionError("unreachable")  # pragma: no cover

    def attach(self, run_id: str) -> Run:
        """Return the run that an earlier invocation started; only its exact id will match."""
        return self._as_run(run_id, "", None)

    def _as_run(self, run_id: str | None, status: str, asked_at: Any) -> Run:
        if run_id is not None and not run_id.strip():
            run_id = None
        resume = None
        if run_id is not None:
            resume = f"tm runs wait {self._profile_id} --run-id {shlex.quote(clean(run_id))}"
        return Run(run_id, self._subject, status, asked_at, resume)

    def _explain_start(self, error: ApiError) -> TmError:
        if isinstance(error, NotUnderstood):
            return self._start_unknown(error.message)
        if not isinstance(error, HttpError) or error.status in {401, 403}:
            return error
        if error.status in REFUSALS or (error.status == 429 and error.from_api):
            return Refused(f"not started: {error.message}", hint=error.hint, code=error.code)
        return self._start_unknown(error.message)

    def _start_unknown(self, reason: str) -> StartUnknown:
        return StartUnknown(
            f"the run may or may not have started: {reason}; tm does not repeat a start",
            hint=f"look with `tm runs status {self._profile_id}`, then wait for the runId it shows "
            f"with `tm runs wait {self._profile_id} --run-id ID`",
        )

    def _check_start(self, answer: RunControl) -> None:
        if answer.profile_id is not None and answer.profile_id != self._profile_id:
            raise self._start_unknown("the answer speaks of another profile")
        before = self._snapshot.run_id if self._snapshot else None
        if answer.run_id and answer.run_id == before:
            raise self._start_unknown("the answer names a run that had ended before")

    def observe(self, run: Run) -> Progress:
        """Look at the live status, on older servers at the profile."""
        if self._has_status:
            try:
                status = self._once.get_run_status(self._profile_id)
                return from_status(run, status, self._curve)
            except HttpError as error:
                if error.status == 400:  # the profile is gone; its history is not
                    return Progress(Phase.ENDED, clean(error.message))
                if error.status != 404:
                    raise
                self._has_status = False
        state = self._once.get_profile(self._profile_id).status or ""
        return Progress(phase_of(state), clean(state))

    def find_result(self, run: Run) -> Result | Missing:
        """Scan the history, newest first, for the row of exactly this run."""
        ours = correlate.Ours(
            run.run_id, run.asked_at, self._snapshot.id if self._snapshot else None
        )
        seen: list[HistoryRow] = []
        scan = correlate.Scan()
        for page in range(LAST_PAGE + 1):
            rows = self._list(self._once, page=page, size=PAGE_SIZE)
            seen += rows
            scan = correlate.correlate([self._correlated(row) for row in seen], ours)
            if scan.exact or correlate.is_last_page(
                [self._correlated(row) for row in rows], ours, size=PAGE_SIZE
            ):
                break
        if scan.exact:
            return self._agreed([seen[position] for position in scan.exact])
        if scan.legacy is not None:
            return as_result(seen[scan.legacy])
        return Missing(clean(correlate.explain_missing(scan, ours)))

    def _list(self, client: Client, *, page: int, size: int) -> list[HistoryRow]:
        return client.list_history(
            page=page, size=size, profileId=self._profile_id, triggeredBy=OUR_TRIGGER
        ).content

    def _correlated(self, row: HistoryRow) -> correlate.Row:
        """What counts for matching; a row of another profile is nobody's."""
        if row.profile_id is not None and row.profile_id != self._profile_id:
            return correlate.Row(None, f"of profile {row.profile_id}", None)
        return correlate.Row(row.id, row.run_id, row.started_at)

    def _agreed(self, rows: Sequence[HistoryRow]) -> Result:
        if len({row.auto_verdict for row in rows}) > 1:
            raise Undecided("the history holds two rows of our run, and they disagree")
        return as_result(rows[0])

    def confirm(self, run: Run, result: Result) -> Result:
        """Fetch the detail, which has the quantiles; without it the verdict stands."""
        history_id = result.facts.get("id")
        if type(history_id) is not int:
            return result
        try:
            detail = as_result(self._once.get_history_item(history_id))
        except ApiError:
            return result
        if detail.verdict_text != result.verdict_text or detail.run_id != result.run_id:
            raise Undecided(
                f"the history list says {result.verdict_text or 'no verdict'} of run "
                f"{result.run_id}, its detail says {detail.verdict_text or 'no verdict'}",
                hint=f"look with `tm history show {history_id}`",
            )
        return detail

    def observed_nothing(self, error: TmError) -> float | None:
        """Ride out whatever says nothing about the run; a refused key is final."""
        if not isinstance(error, ApiError) or not observed_nothing(error):
            return None
        asked = error.retry_after if isinstance(error, HttpError) else None
        return asked or 0.0
