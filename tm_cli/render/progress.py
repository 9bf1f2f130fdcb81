"""Progress of a gate on standard error: redrawn on a terminal, line by line elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from tm_cli.gate.events import (
    Awaited,
    Broken,
    Decided,
    Ended,
    Event,
    Observed,
    Repeated,
    RunAttempt,
    RunStarted,
    Unobserved,
)
from tm_cli.gate.model import Phase, Progress
from tm_cli.render.tables import codes, milliseconds, percent, rate
from tm_cli.runtime.clock import Clock
from tm_cli.runtime.terminal import Terminal
from tm_cli.values.durations import format_duration
from tm_cli.values.text import sanitize

HEARTBEAT = 60.0
"""Seconds between two lines while nothing changes."""


class View:
    """Shows the events of a gate while they happen; this one shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def show(self, event: Event, position: int = 0) -> None:
        """Show an event of the run at `position`."""


class PlainView(View):
    """A line per change, and at most one a minute for each run without any."""

    def __init__(self, terminal: Terminal, clock: Clock, subjects: Sequence[str] = ("",)) -> None:
        self._terminal = terminal
        self._clock = clock
        self._prefixes = [f"{name}: " if len(subjects) > 1 else "" for name in subjects]
        self._shown: dict[int, tuple[object, float]] = {}

    def show(self, event: Event, position: int = 0) -> None:
        match event:
            case RunStarted(run):
                name = f"run {sanitize(run.run_id)}" if run.run_id else "a run without id"
                subject = "" if self._prefixes[position] else f" of {run.subject}"
                self._write(position, event, f"waiting for {name}{subject}")
            case Observed(progress):
                # The first buckets and each warning are changes; numbers alone are not.
                change = (state(progress), progress.warnings, progress.rps is not None)
                self._write(position, change, describe(progress))
            case Unobserved(problem, _):
                text = f"request failed, retrying: {sanitize(problem)}"
                self._write(position, (Unobserved, problem), text)
            case Ended(progress):
                self._write(position, Ended, f"{_ending(progress)}; looking for its verdict")
            case Broken(reason):
                self._write(position, event, f"aborting: {sanitize(reason)}")
            case Awaited(reason):
                self._write(position, (Awaited, reason), sanitize(reason))
            case Repeated(attempt, left):
                self._write(position, event, describe_repetition(attempt, left))
            case Decided() if len(self._prefixes) > 1:
                self._write(position, event, sanitize(event.decision.message))

    def _write(self, position: int, change: object, text: str) -> None:
        now = self._clock.monotonic()
        shown, shown_at = self._shown.get(position, (None, 0.0))
        if change != shown or now - shown_at >= HEARTBEAT:
            self._shown[position] = (change, now)
            self._terminal.write_line(f"tm: {self._prefixes[position]}{text}")


def describe_repetition(attempt: RunAttempt, left: int) -> str:
    """Return that a run would fail the gate and is repeated first."""
    name = (
        f"run {sanitize(attempt.run.run_id)}" if attempt.run and attempt.run.run_id else "the run"
    )
    times = "once more" if left == 1 else f"up to {left} times more"
    return f"{name}: {sanitize(attempt.decision.message)}; starting it {times} to confirm"


def describe(progress: Progress) -> str:
    parts = [state(progress)]
    if progress.items:
        parts.append(items(progress))
    if progress.elapsed is not None:
        parts.append(f"elapsed {format_duration(progress.elapsed)}")
    if progress.remaining is not None:
        parts.append(f"{format_duration(progress.remaining)} left")
    if progress.rps is not None:
        planned = f" of {rate(progress.planned_rps)}" if progress.planned_rps is not None else ""
        parts.append(f"{rate(progress.rps)}{planned} requests/s")
    if progress.p95_ms is not None:
        parts.append(f"p95 {milliseconds(progress.p95_ms)}")
    if progress.codes:
        parts.append(codes(progress.codes))
    if progress.bad_ratio:
        parts.append(f"{percent(progress.bad_ratio * 100)} errors")
    return sanitize(", ".join([*parts, *(f"warning: {text}" for text in progress.warnings)]))


def state(progress: Progress) -> str:
    """Return the server's word for the state of an active run, else ours."""
    if progress.phase is Phase.ACTIVE and progress.status:
        return sanitize(progress.status).lower()
    return progress.phase.value


def items(progress: Progress) -> str:
    """Return the parts of a run by state: `12 of 50 started: 9 completed, 3 running`."""
    started = sum(progress.items.values())
    of = f" of {progress.expected:,}" if progress.expected is not None else ""
    ordered = sorted(progress.items.items(), key=lambda item: (-item[1], item[0]))
    return f"{started:,}{of} started: " + ", ".join(f"{n:,} {name}" for name, n in ordered)


def _ending(progress: Progress) -> str:
    if progress.phase is Phase.REPLACED:
        return f"run {progress.other_run} is under way instead of this one"
    if progress.other_run is not None:
        return f"the server names no run that is under way ({progress.status})"
    return f"the run has ended ({progress.status})"
