"""TrafficMorph runs for the gate (section 20 of the API contract)."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tm_cli.api.errors import ApiError, HttpError, InvalidResponse
from tm_cli.api.retry import retry_pause
from tm_cli.api.trafficmorph import Bucket, HistoryRow, LiveStatus, Profile, TrafficMorphClient
from tm_cli.backends.trafficmorph import correlation
from tm_cli.backends.trafficmorph.results import as_result, read_live_steps, second_target
from tm_cli.backends.trafficmorph.start import RunStarter, list_own
from tm_cli.errors import TmError, Undecided
from tm_cli.gate.backend import Backend
from tm_cli.gate.model import Missing, Phase, Progress, Result, Run, Sample
from tm_cli.runtime.clock import Clock
from tm_cli.values.load.curve import Curve
from tm_cli.values.text import sanitize
from tm_cli.values.verdict import Verdict

PAGE_SIZE = 20
LAST_PAGE = 9
NEWEST_NAMED = 3
_PHASES = {"RUNNING": Phase.ACTIVE, "PAUSED": Phase.PAUSED}


@dataclass(frozen=True, slots=True)
class Renewal:
    """Values that are read again every `interval` seconds; `note` tells what went wrong."""

    interval: float
    read: Callable[[], Mapping[str, str]]
    note: Callable[[str], None]


class TrafficMorphRuns(Backend):
    def __init__(
        self,
        client: TrafficMorphClient,
        clock: Clock,
        profile_id: int,
        *,
        subject: str,
        region: str | None = None,
        tags: Sequence[str] = (),
        own_tag: str | None = None,
        terms: Mapping[str, Any] | None = None,
        profile: Profile | None = None,
        stop_client: TrafficMorphClient | None = None,
        resume_flags: Sequence[str] = (),
        server_flags: Sequence[str] = (),
        needs_baseline: bool = False,
        renewal: Renewal | None = None,
        warning: str | None = None,
    ) -> None:
        self._client = client
        self._reader = client.without_retries()  # the gate repeats reads itself
        self._stop_client = stop_client or client  # for a stop that must not take long
        self._clock = clock
        self._profile_id = profile_id
        self._subject = subject
        self._resume_flags = (*resume_flags, *server_flags)
        self._server_flags = tuple(server_flags)
        self._terms = terms or {}
        self._needs_baseline = needs_baseline
        self._starter = RunStarter(
            client, clock, profile_id, region=region, tags=tags, own_tag=own_tag, terms=terms
        )
        self._curve = planned_curve(profile) if profile else None
        # a run that may end early is polled from the start on
        may_end_early = _may_end_early(self._terms, profile)
        is_polled = may_end_early or renewal is not None
        self.warning = warning
        self._renewal = renewal
        self._renew_at = clock.monotonic() + renewal.interval if renewal else 0.0
        self._duration = None if is_polled or profile is None else profile.duration
        self._has_status = True

    def prepare(self) -> None:
        """Take the snapshot; only rows after it can be those of the run."""
        self._starter.prepare()

    def start(self) -> Run:
        """Start one run; only what cannot have reached the server is repeated."""
        started = self._starter.start()
        return self._as_run(started.run_id, started.status, started.asked_at)

    def attach(self, run_id: str, *, is_named: bool = False) -> Run:
        """Return the run that an earlier invocation started; only its exact id will match."""
        return replace(self._as_run(run_id, "", None), is_named=is_named)

    def _as_run(self, run_id: str | None, status: str, asked_at: Any) -> Run:
        if run_id is not None and not run_id.strip():
            run_id = None
        name, resume = str(self._profile_id), None
        if run_id is not None:
            words = ["tm", "runs", "wait", name, "--run-id", sanitize(run_id)]
            resume = shlex.join([*words, *self._resume_flags])
        stop = shlex.join(["tm", "runs", "stop", name, *self._server_flags])
        return Run(run_id, self._subject, status, asked_at, resume, self._duration, stop=stop)

    def observe(self, run: Run) -> Progress:
        """Read the live status, on older servers the profile."""
        progress = self._observed(run)
        if progress.phase is Phase.ACTIVE:
            self._renew_if_due(run)
        return progress

    def _observed(self, run: Run) -> Progress:
        if self._has_status:
            try:
                status = self._reader.get_run_status(self._profile_id)
                if (status.profile_id, status.run_id, status.status) == (None, None, None):
                    raise InvalidResponse("the answer is not the status of a run")
                if self._starter.is_from_before(status.run_id) and run.asked_at is not None:
                    raise InvalidResponse("the status still shows the previous run")
                return from_status(run, status, self._curve)
            except HttpError as error:
                if error.status == 400 and error.from_api:  # the profile is gone, not its history
                    return Progress(Phase.ENDED, sanitize(error.message))
                if error.status != 404:
                    raise
                self._has_status = not error.from_api  # a page may be of a proxy
        state = self._reader.get_profile(self._profile_id).status or ""
        return Progress(phase_of(state), sanitize(state))

    def _renew_if_due(self, run: Run) -> None:
        """Send new values; without them the run goes on with the old ones, as the note says."""
        renewal = self._renewal
        if renewal is None or run.run_id is None or self._clock.monotonic() < self._renew_at:
            return
        self._renew_at = self._clock.monotonic() + renewal.interval
        try:
            self._reader.renew_values(self._profile_id, run.run_id, renewal.read())
        except TmError as error:
            renewal.note(f"tm: the token was not renewed: {sanitize(error.message)}")

    def find_result(self, run: Run) -> Result | Missing:
        """Scan the history, newest first, for the row of exactly this run."""
        before = self._starter
        identity = correlation.RunIdentity(
            run.run_id, run.asked_at, before.newest_before, before.rows_are_named
        )
        seen: list[HistoryRow] = []
        scan = correlation.Scan()
        for page in range(LAST_PAGE + 1):
            rows = list_own(self._reader, self._profile_id, page=page, size=PAGE_SIZE)
            seen += rows
            scan = correlation.correlate([self._correlated(row) for row in seen], identity)
            if scan.exact or correlation.is_last_page(
                [self._correlated(row) for row in rows], identity, size=PAGE_SIZE
            ):
                break
        if found := scan.exact or scan.legacy:
            return _agreed([seen[position] for position in found])
        hint = _name_newest(seen, run.run_id) if run.is_named else None
        return Missing(sanitize(correlation.explain_missing(scan, identity)), hint)

    def _correlated(self, row: HistoryRow) -> correlation.Row:
        """What counts for matching; a row of another profile never matches."""
        if row.profile_id is not None and row.profile_id != self._profile_id:
            return correlation.Row(None, f"of profile {row.profile_id}", None)
        return correlation.Row(row.id, row.run_id, row.started_at)

    def confirm(self, run: Run, result: Result) -> Result:
        """Fetch the detail, which has the quantiles; without it the verdict of the list stands.

        Either must be based on what the start asked for.
        """
        history_id = result.facts.get("id")
        detail = self._detail(history_id) or result
        if detail.verdict_text != result.verdict_text or detail.run_id != result.run_id:
            raise Undecided(
                f"the history list says {result.verdict_text or 'no verdict'} of run "
                f"{result.run_id}, its detail says {detail.verdict_text or 'no verdict'}",
                hint=f"look with `tm history show {history_id}`",
            )
        if broken := broken_terms(self._terms, detail):
            raise Undecided(broken, hint=f"look with `tm history show {history_id}`")
        return self._warned(detail)

    def _warned(self, result: Result) -> Result:
        """The result with what the start has found, which counts as WARN and improves nothing."""
        if self.warning is None:
            return result
        reasons = (*result.reasons, self.warning)
        return replace(result, also=result.also | {Verdict.WARN}, reasons=reasons)

    def with_measurements(self, run: Run, result: Result) -> Result:
        """Add the metrics of the detail to a row whose verdict has not arrived."""
        detail = self._detail(result.facts.get("id"))
        if detail is None or detail.run_id != result.run_id:
            return result
        return replace(result, metrics=detail.metrics, series=detail.series)

    def _detail(self, history_id: Any) -> Result | None:
        if type(history_id) is not int:
            return None
        reader = self._client if self._terms else self._reader
        try:
            return as_result(reader.get_history_item(history_id))
        except ApiError:
            return None

    def find_baseline(self, result: Result) -> Result | None:
        """Return the second target of an A/B run, else fetch the baseline run."""
        if result.basis.is_ab_run:
            return second_target(result.facts)
        baseline = result.facts.get("autoCompareBaselineRunId")
        if type(baseline) is not int:
            return None
        reader = self._client if self._needs_baseline else self._reader
        try:
            return as_result(reader.get_history_item(baseline))
        except ApiError:
            return None

    def stop(self, run: Run) -> None:
        """Stop whatever runs on this profile; the caller knows that it is the right run."""
        self._stop_client.stop_run(self._profile_id)

    def retry_pause(self, error: TmError) -> float | None:
        """Repeat what says nothing about the run; a refused key is final."""
        return retry_pause(error)


def _may_end_early(terms: Mapping[str, Any], profile: Profile | None) -> bool:
    wishes = (terms.get("stopEarly"), profile and profile.stop_early, "againstUrl" in terms)
    return bool(next(wish for wish in wishes if wish is not None))


def broken_terms(terms: Mapping[str, Any], result: Result) -> str | None:
    """Say what the verdict is based on instead of what the start asked for; None when it is that.

    A server that ignores an option must not pass the gate with the answer to another question.
    """
    if result.final:
        return None  # it has no verdict, and its own reason says why
    if "againstUrl" in terms and not result.basis.is_ab_run:
        return "the run was judged without the other target that --against named"
    asked, used = terms.get("baselineRunId"), result.basis.baseline
    if asked is None or used == asked:
        return None
    if used is None and result.verdict in (None, Verdict.FAIL):
        return None  # without any baseline a FAIL is a FAIL
    return f"the run was compared with {used or 'no run'} instead of run {asked} (--baseline)"


def _agreed(rows: Sequence[HistoryRow]) -> Result:
    """Return the newest of the matching rows; raises Undecided when their verdicts differ."""
    if len({row.auto_verdict for row in rows}) > 1:
        raise Undecided("the history holds several rows that may be our run, and they disagree")
    return as_result(rows[0])


def phase_of(status: str | None) -> Phase:
    """Whether a run of this status goes on; any other, unknown or missing status has ended it.

    The history has the last word, so that a wrong ending costs time and never a verdict.
    """
    return _PHASES.get(status or "", Phase.ENDED)


def from_status(run: Run, status: LiveStatus, curve: Curve | None) -> Progress:
    """Return the progress; another run id in the status means that the run was replaced."""
    phase = phase_of(status.status)
    if status.run_id and run.run_id and status.run_id != run.run_id:
        phase = Phase.REPLACED
    is_ours = run.run_id is not None and status.run_id == run.run_id
    buckets = status.recent_buckets or []
    newest = buckets[-1] if buckets else None
    return Progress(
        phase,
        sanitize(status.status or "no status"),
        is_ours=is_ours,
        other_run=None if is_ours else _name_other(status),
        elapsed=status.elapsed_seconds,
        duration=status.duration_seconds,
        requests=status.requests_sent,
        rps=status.current_rps,
        planned_rps=_planned_rps(status, newest, curve),
        p95_ms=newest.p95_ms if newest else None,
        warmup=status.warmup_seconds or 0.0,
        recent=tuple(_sample(bucket, curve) for bucket in buckets if bucket.t is not None),
        codes=dict(status.response_code_counts),
        bad_ratio=newest.bad_ratio if newest else None,
        warnings=_warnings(status),
        may_end_early=status.stops_early is True,
        steps=read_live_steps(status.steps),
    )


def _sample(bucket: Bucket, curve: Curve | None) -> Sample:
    planned = bucket.planned_rps
    return Sample(
        t=bucket.t or 0.0,
        rps=bucket.rps,
        planned=curve.rate(bucket.t or 0.0) if planned is None and curve else planned,
        bad=bucket.bad_ratio,
        p50=bucket.p50_ms,
        p95=bucket.p95_ms,
        p99=bucket.p99_ms,
    )


def _name_other(status: LiveStatus) -> str:
    tags = f" (tags: {', '.join(status.tags)})" if status.tags else ""
    return sanitize(f"{status.run_id}{tags}") if status.run_id else ""


def _name_newest(rows: Sequence[HistoryRow], wanted: str | None) -> str | None:
    """Return which runs the profile has had, for a user whose id is of none of them."""
    for row in rows:
        if row.run_id and str(row.id) == wanted:
            return f"{wanted} is the history id of run {sanitize(row.run_id)}"
    found = [f"{row.run_id} ({row.auto_verdict or 'no verdict'})" for row in rows if row.run_id]
    return f"the newest are {sanitize(', '.join(found[:NEWEST_NAMED]))}" if found else None


def _planned_rps(status: LiveStatus, newest: Bucket | None, curve: Curve | None) -> float | None:
    """What the curve asks for where `current_rps` was measured; some servers say it."""
    if status.planned_rps is not None or curve is None:
        return status.planned_rps
    if newest is None or newest.t is None:
        return None
    return curve.rate(newest.t)


def planned_curve(profile: Profile) -> Curve | None:
    """Return the profile's curve; None when the server describes it incompletely."""
    if not profile.points or not profile.duration or profile.duration < 0:
        return None
    linear = (profile.interpolation_mode or "").upper() == "LINEAR"
    points = [(point.x, point.y) for point in profile.points]
    try:
        return Curve(points, profile.duration, "LINEAR" if linear else "SPLINE")
    except (ValueError, ArithmeticError):
        return None


def _warnings(status: LiveStatus) -> tuple[str, ...]:
    flags = {
        "the load generator is saturated: it cannot keep the planned rate": (
            status.generator_saturated
        ),
        "the target is saturated: its response times approach the timeout": (
            status.downstream_saturated
        ),
        "dispatch is flaky: a share of the batches fails": status.flaky_dispatch,
    }
    waiting = (f"no load is sent yet: {status.waiting_for}",) if status.waiting_for else ()
    return (*waiting, *(text for text, raised in flags.items() if raised))
