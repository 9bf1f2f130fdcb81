"""Progress and result of a job run, for the gate."""

from __future__ import annotations

from datetime import datetime

from tm_cli.api.strait.models import JobRun
from tm_cli.durations import format_duration
from tm_cli.gate.evidence import Progress, Result
from tm_cli.gate.verdict import Verdict
from tm_cli.systems.strait.conditions import SECONDS
from tm_cli.systems.strait.lineage import Lineage
from tm_cli.systems.strait.states import (
    COMPLETED,
    STATUSES,
    STOPPED_FROM_OUTSIDE,
    TERMINAL,
    phase_of,
    verdict_of,
)
from tm_cli.text import clean


def as_progress(lineage: Lineage) -> Progress:
    """Return the progress of a run that is known to be the right one."""
    run = lineage.current
    status = clean(run.status)
    if run is not lineage.run:
        status = f"{status} in continuation {clean(run.id)}"
    warnings = []
    if run.status not in STATUSES:
        unknown = clean(run.status)
        warnings.append(f"this version of tm does not know the status {unknown}, and waits on")
    if run.status not in TERMINAL and run.error:
        warnings.append(f"attempt {_failed_attempt(run)} failed: {clean(run.error)}")
    return Progress(phase_of(run.status), status, is_ours=True, warnings=tuple(warnings))


def _failed_attempt(run: JobRun) -> int:
    """The attempt that an error is of: a run that waits for its next one counts that already."""
    attempt = run.attempt or 1
    return max(attempt - 1, 1)


def as_result(lineage: Lineage, canceled_as: Verdict) -> Result:
    """Return the verdict on a run that has ended, and why; without one while it goes on.

    The verdict, the reasons and what was returned are those of the run that decides; the time is
    that of all.
    """
    run = lineage.deciding(canceled_as)
    verdict = None if lineage.unfinished else verdict_of(run.status, canceled_as)
    return Result(
        run_id=lineage.run.id,
        verdict=verdict,
        verdict_text=None if verdict is None else verdict.value,
        reasons=tuple(_reasons(lineage, run)),
        metrics={SECONDS: _seconds_of_all(lineage), "attempts": run.attempt},
        facts=run.document(),
    )


def _reasons(lineage: Lineage, run: JobRun) -> list[str]:
    took = seconds_of(run)
    attempts = f" at attempt {run.attempt}" if run.attempt and run.attempt > 1 else ""
    lasted = f", after {format_duration(took)}" if took is not None and took >= 0 else ""
    name = "the job run"
    if run is not lineage.run:
        name = f"run {clean(run.id)}, which continues the job run,"
    reasons = [f"{name} is {clean(run.status)}{attempts}{lasted}"]
    if run.error and run.status != COMPLETED:
        kind = f" ({clean(run.error_class)})" if run.error_class else ""
        reasons.append(f"{clean(run.error)}{kind}")
    if run.status in STOPPED_FROM_OUTSIDE:
        reasons.append("it was ended from outside, which says nothing about the job itself")
    return reasons


def _seconds_of_all(lineage: Lineage) -> float | None:
    """The time from the trigger to the end of the last run."""
    ends = [run.finished_at for run in lineage.runs]
    if None in ends:
        return None
    last = max(end for end in ends if end is not None)
    return seconds_of(lineage.run.model_copy(update={"finished_at": last}))


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
