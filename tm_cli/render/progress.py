"""Progress of one gate on standard error: redrawn on a terminal, line by line elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tm_cli.clock import Clock
from tm_cli.durations import format_duration
from tm_cli.gate.events import Awaited, Ended, Event, Observed, Started, Unobserved
from tm_cli.gate.evidence import Phase, Progress
from tm_cli.render.numbers import codes, milliseconds, percent, rate
from tm_cli.terminal import Terminal
from tm_cli.text import clean

if TYPE_CHECKING:
    from types import TracebackType

HEARTBEAT = 60.0
"""Seconds between two lines that say that nothing has changed."""


class View(Protocol):
    """Shows the events of a gate while they happen."""

    def __enter__(self) -> View: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def show(self, event: Event) -> None:
        """Take note of what has happened."""
        ...


def open_view(terminal: Terminal, clock: Clock, *, quiet: bool) -> View:
    """Choose the view that fits the terminal."""
    if quiet:
        return SilentView()
    if terminal.live:
        from tm_cli.render.live import LiveView

        return LiveView(terminal, clock)
    return PlainView(terminal, clock)


class SilentView:
    """Shows nothing."""

    def __enter__(self) -> SilentView:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def show(self, event: Event) -> None:
        """Ignore the event."""


class PlainView(SilentView):
    """A line per change, and at most one a minute without any."""

    def __init__(self, terminal: Terminal, clock: Clock) -> None:
        self._terminal = terminal
        self._clock = clock
        self._shown: object = None
        self._shown_at = 0.0

    def show(self, event: Event) -> None:
        """Print the event when it brings news."""
        match event:
            case Started(run):
                name = f"run {clean(run.run_id)}" if run.run_id else "a run without id"
                self._say((Started, run.run_id), f"waiting for {name} of {run.subject}")
            case Observed(progress):
                # The first buckets and each warning are news; numbers alone are not.
                news = (progress.phase, progress.warnings, progress.rps is not None)
                self._say(news, describe(progress))
            case Unobserved(problem, _):
                self._say(
                    (Unobserved, problem), f"no answer this time, trying on: {clean(problem)}"
                )
            case Ended(progress):
                self._say(Ended, f"{_ending(progress)}; looking for its verdict")
            case Awaited(reason):
                self._say((Awaited, reason), clean(reason))

    def _say(self, news: object, text: str) -> None:
        now = self._clock.monotonic()
        if news != self._shown or now - self._shown_at >= HEARTBEAT:
            self._shown, self._shown_at = news, now
            self._terminal.note(f"tm: {text}")


def describe(progress: Progress) -> str:
    """Tell one look at a run in one line."""
    parts = [progress.phase.value if progress.phase is not Phase.ACTIVE else "running"]
    if progress.elapsed is not None:
        parts.append(f"{format_duration(progress.elapsed)} played")
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
    return clean(", ".join([*parts, *(f"warning: {text}" for text in progress.warnings)]))


def _ending(progress: Progress) -> str:
    if progress.phase is Phase.REPLACED:
        return "another run has taken the place of ours"
    return f"the run has ended ({progress.status})"
