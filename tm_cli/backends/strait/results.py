"""Progress and result of a job run, of the runs that continue it, and what its events say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tm_cli.api import strict_json
from tm_cli.api.strait import JobRun
from tm_cli.backends.strait.conditions import SECONDS
from tm_cli.gate.model import Phase, Progress, Result
from tm_cli.values.durations import format_duration
from tm_cli.values.text import sanitize
from tm_cli.values.verdict import Verdict

COMPLETED = "completed"
DEAD_LETTER = "dead_letter"
FAILURES = frozenset({"failed", "timed_out", "crashed", "system_failed", DEAD_LETTER})
STOPPED_FROM_OUTSIDE = frozenset({"canceled", "expired"})
TERMINAL = FAILURES | STOPPED_FROM_OUTSIDE | {COMPLETED}
PAUSED = "paused"
STATUSES = (
    "delayed",
    "queued",
    "dequeued",
    "executing",
    "waiting",
    PAUSED,
    "replay_staged",
    COMPLETED,
    "failed",
    "timed_out",
    "crashed",
    "system_failed",
    "canceled",
    "expired",
    DEAD_LETTER,
)
"""Every status that servers know, in the order of a run's life."""

CANCELED_VERDICTS = (Verdict.WARN, Verdict.FAIL)


def phase_of(status: str) -> Phase:
    """The phase of a run of this status; an unknown status goes on, until the deadline."""
    if status in TERMINAL:
        return Phase.ENDED
    return Phase.PAUSED if status == PAUSED else Phase.ACTIVE


def verdict_of(status: str, canceled_as: Verdict = Verdict.WARN) -> Verdict | None:
    """Return the verdict on a run that ended so; None while it goes on."""
    if status == COMPLETED:
        return Verdict.PASS
    if status in FAILURES:
        return Verdict.FAIL
    return canceled_as if status in STOPPED_FROM_OUTSIDE else None


@dataclass(frozen=True, slots=True)
class Lineage:
    """A run, and the runs that continue it, in the order of the server's answer."""

    run: JobRun
    later: tuple[JobRun, ...] = ()

    @property
    def runs(self) -> tuple[JobRun, ...]:
        return (self.run, *self.later)

    @property
    def unfinished(self) -> tuple[JobRun, ...]:
        return tuple(run for run in self.runs if run.status not in TERMINAL)

    @property
    def last(self) -> tuple[JobRun, ...]:
        """The runs that none continues; several where a run was continued twice."""
        continued = {run.continuation_of for run in self.later}
        return tuple(run for run in self.later if run.id not in continued) or (self.runs[-1],)

    @property
    def current(self) -> JobRun:
        """The first run that goes on, or the last one."""
        return (*self.unfinished, self.last[-1])[0]

    def deciding(self, canceled_as: Verdict) -> JobRun:
        """The run whose end is the end of the work: the first that failed, else the last.

        A run that was stopped comes before one that completed.
        """
        verdicts = [verdict_of(run.status, canceled_as) for run in self.runs]
        for bad in (Verdict.FAIL, Verdict.WARN):
            if bad in verdicts:
                return self.runs[verdicts.index(bad)]
        return self.last[-1]


def later_runs(run: JobRun, lineage: Sequence[JobRun]) -> tuple[JobRun, ...]:
    """Return those of `lineage` that continue `run`, directly or through others.

    `lineage` holds the whole tree, root first. A run behind `run`, or deeper, counts as well when
    it does not say what it continues, or continues one that is not there, as when a run in between
    has been deleted: leaving out a run that goes on would be a false pass.
    """
    names = [item.id for item in lineage]
    place, depth = names.index(run.id) if run.id in names else -1, run.lineage_depth or 0
    known = {run.id} | {
        item.id
        for number, item in enumerate(lineage)
        if item.continuation_of not in names
        and (number > place or (item.lineage_depth or 0) > depth)
    }
    while new := {item.id for item in lineage if item.continuation_of in known} - known:
        known |= new
    return tuple(item for item in lineage if item.id in known and item.id != run.id)


def read_message(data: str) -> dict[str, Any] | None:
    """Return the object in a message; None for anything else."""
    for text in (data, _GO_ESCAPE.sub(_as_json_escape, data)):
        with suppress(ValueError):
            document = strict_json.parse_answer(text)
            return document if isinstance(document, dict) else None
    return None


_GO_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|[av]|.)", re.DOTALL)


def _as_json_escape(escape: re.Match[str]) -> str:
    """Spell a character as JSON does: the server quotes some texts as the language Go does."""
    match escape[1]:
        case "a":
            return "\\u0007"
        case "v":
            return "\\u000b"
        case word if len(word) > 1:
            return f"\\u00{word[1:]}"
    return escape[0]


def may_change_status(data: str) -> bool:
    """Whether a message may be about a new status.

    One that cannot be read may. Those of job code, of which there can be thousands, are not.
    """
    message = read_message(data)
    return message is None or message.get("type") not in {"event", "stream_chunk"}


def as_progress(lineage: Lineage) -> Progress:
    """Return the progress of a run that is known to be the right one."""
    run = lineage.current
    status = sanitize(run.status)
    if run is not lineage.run:
        status = f"{status} in continuation {sanitize(run.id)}"
    warnings = []
    if run.status not in STATUSES:
        unknown = sanitize(run.status)
        warnings.append(f"this version of tm does not know the status {unknown}, and waits on")
    if run.status not in TERMINAL and run.error:
        warnings.append(f"attempt {_failed_attempt(run)} failed: {sanitize(run.error)}")
    return Progress(phase_of(run.status), status, is_ours=True, warnings=tuple(warnings))


def _failed_attempt(run: JobRun) -> int:
    """The attempt that an error is of: a run that waits for its next one counts that already."""
    attempt = run.attempt or 1
    return max(attempt - 1, 1)


def as_result(lineage: Lineage, canceled_as: Verdict) -> Result:
    """Return the verdict on a run that has ended, and why; without one while it goes on.

    The verdict, the reasons and what was returned are those of the run that decides; the time is
    that of all. Several last runs have no common result.
    """
    run = lineage.deciding(canceled_as)
    facts = run.document()
    if len(lineage.last) > 1:
        facts.pop("result", None)
    verdict = None if lineage.unfinished else verdict_of(run.status, canceled_as)
    return Result(
        run_id=lineage.run.id,
        verdict=verdict,
        verdict_text=None if verdict is None else verdict.value,
        reasons=tuple(_reasons(lineage, run)),
        metrics={SECONDS: _seconds_of_all(lineage), "attempts": run.attempt},
        facts=facts,
    )


def _reasons(lineage: Lineage, run: JobRun) -> list[str]:
    took = seconds_of(run)
    attempts = f" at attempt {run.attempt}" if run.attempt and run.attempt > 1 else ""
    lasted = f", after {format_duration(took)}" if took is not None and took >= 0 else ""
    name = "the job run"
    if run is not lineage.run:
        name = f"run {sanitize(run.id)}, which continues the job run,"
    reasons = [f"{name} is {sanitize(run.status)}{attempts}{lasted}"]
    if run.error and run.status != COMPLETED:
        kind = f" ({sanitize(run.error_class)})" if run.error_class else ""
        reasons.append(f"{sanitize(run.error)}{kind}")
    if len(lineage.last) > 1:
        reasons.append(f"{len(lineage.last)} runs are last, so that the work has no single result")
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
