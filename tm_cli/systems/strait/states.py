"""What the status of a job run means (section 7 of the API contract)."""

from __future__ import annotations

from tm_cli.gate.evidence import Phase
from tm_cli.gate.verdict import Verdict

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
