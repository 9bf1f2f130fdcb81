"""What a client is told while a gate waits: a sentence, and how far the run is."""

from __future__ import annotations

from dataclasses import dataclass

from tm_cli.gate.events import (
    Awaited,
    Decided,
    Ended,
    Event,
    Observed,
    Repeated,
    Started,
    Unobserved,
)
from tm_cli.render.progress import describe, describe_repetition
from tm_cli.text import clean

STEP = 0.001
"""Seconds; the protocol wants every notification to show more progress than the one before."""


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence; `elapsed` and `total` are seconds of the run's own clock, None when unknown."""

    message: str
    elapsed: float | None = None
    total: float | None = None


def as_note(event: Event) -> Note:
    """Put an event of the gate in words."""
    match event:
        case Started(run):
            name = f"run {clean(run.run_id)}" if run.run_id else "a run without id"
            return Note(f"started; waiting for {name} of {run.subject}", None, run.duration)
        case Observed(progress):
            return Note(describe(progress), progress.elapsed, progress.duration)
        case Unobserved(problem, _):
            return Note(f"request failed, retrying: {clean(problem)}")
        case Ended(progress):
            return Note(f"the run has ended ({clean(progress.status)}); looking for its verdict")
        case Awaited(reason):
            return Note(clean(reason))
        case Repeated(attempt, left):
            return Note(describe_repetition(attempt, left))
        case Decided(decision):
            return Note(clean(decision.message))


class Meter:
    """Numbers for notes: the run's own clock where it goes forward, else a step more."""

    def __init__(self) -> None:
        self._shown = 0.0
        self._total: float | None = None

    def read(self, note: Note) -> tuple[float, float | None]:
        """Return progress, more than ever before, and total of the next notification."""
        self._total = note.total or self._total
        self._shown = max(note.elapsed or 0.0, self._shown + STEP)
        known = self._total is not None and self._total > self._shown
        return self._shown, self._total if known else None
