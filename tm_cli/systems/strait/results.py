"""A job run in the words of the gate."""

from __future__ import annotations

from datetime import datetime

from tm_cli.api.strait.models import JobRun
from tm_cli.durations import format_duration
from tm_cli.gate.evidence import Progress, Result
from tm_cli.gate.verdict import Verdict
from tm_cli.systems.strait.conditions import SECONDS
from tm_cli.systems.strait.states import (
    COMPLETED,
    STATUSES,
    STOPPED_FROM_OUTSIDE,
    TERMINAL,
    phase_of,
    verdict_of,
)
from tm_cli.text import clean


def as_progress(run: JobRun) -> Progress:
    """Return what a look at the run shows; the caller knows that it is ours."""
    status = clean(run.status)
    warnings = []
    if run.status not in STATUSES:
        warnings.append(f"this version of tm does not know the status {status}, and waits on")
    if run.status not in TERMINAL and run.error:
        warnings.append(f"attempt {_failed_attempt(run)} failed: {clean(run.error)}")
    return Progress(phase_of(run.status), status, is_ours=True, warnings=tuple(warnings))


def _failed_attempt(run: JobRun) -> int:
    """The attempt that an error is of: a run that waits for its next one counts that already."""
    attempt = run.attempt or 1
    return max(attempt - 1, 1)


def as_result(run: JobRun, canceled_as: Verdict) -> Result:
    """Return the verdict on a run that has ended, and why; without one while it goes on."""
    verdict = verdict_of(run.status, canceled_as)
    return Result(
        run_id=run.id,
        verdict=verdict,
        verdict_text=None if verdict is None else verdict.value,
        reasons=tuple(_reasons(run)),
        metrics={SECONDS: seconds_of(run), "attempts": run.attempt},
        facts=run.document(),
    )


def _reasons(run: JobRun) -> list[str]:
    took = seconds_of(run)
    attempts = f" at attempt {run.attempt}" if run.attempt and run.attempt > 1 else ""
    lasted = f", after {format_duration(took)}" if took is not None and took >= 0 else ""
    reasons = [f"the job run is {clean(run.status)}{attempts}{lasted}"]
    if run.error and run.status != COMPLETED:
        kind = f" ({clean(run.error_class)})" if run.error_class else ""
        reasons.append(f"{clean(run.error)}{kind}")
    if run.status in STOPPED_FROM_OUTSIDE:
        reasons.append("it was ended from outside, so it tells nothing of the job itself")
    return reasons


def seconds_of(run: JobRun) -> float | None:
    """Return the time from the trigger, or from the time it was scheduled for, to the end.

    `started_at` will not do: it is that of the last attempt only. None when it cannot be known.
    """
    due = _later(run.created_at, run.scheduled_at)
    if due is None or run.finished_at is None:
        return None
    return (run.finished_at - due).total_seconds()


def _later(first: datetime | None, second: datetime | None) -> datetime | None:
    known = [moment for moment in (first, second) if moment is not None]
    return max(known) if first is not None else None
