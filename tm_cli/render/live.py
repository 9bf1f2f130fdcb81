"""Live progress on a terminal, redrawn several times a second: one run, or a table of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tm_cli.gate.events import (
    Awaited,
    Broken,
    Decided,
    Ended,
    Event,
    Observed,
    Repeated,
    RunStarted,
    Unobserved,
)
from tm_cli.gate.model import LiveStep, Phase, Progress, Run
from tm_cli.render.progress import View, describe_repetition, items, state
from tm_cli.render.steps import live_cells
from tm_cli.render.tables import codes, milliseconds, percent, rate, sparkline
from tm_cli.runtime.clock import Clock
from tm_cli.runtime.terminal import Terminal
from tm_cli.values.durations import format_duration
from tm_cli.values.text import sanitize

FRAMES_PER_SECOND = 4
BAR_WIDTH = 30
MOST_ROWS = 20
MOST_STEPS = 5

UNDER_WAY = frozenset({"pending", "queued", "running", "scoring"})
"""States of a part that is not done."""


class _RedrawnView(View):
    def __init__(self, terminal: Terminal) -> None:
        self._live = Live(
            console=terminal.console(),
            get_renderable=self._draw,
            refresh_per_second=FRAMES_PER_SECOND,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._live.stop()

    def _draw(self) -> RenderableType:
        raise NotImplementedError


class LiveView(_RedrawnView):
    """The last answer about one run; between two answers its clock goes on."""

    def __init__(self, terminal: Terminal, clock: Clock) -> None:
        self._clock = clock
        self._run: Run | None = None
        self._progress: Progress | None = None
        self._seen_at = 0.0
        self._note = Text("starting", style="dim")
        super().__init__(terminal)  # draws at once

    def show(self, event: Event, position: int = 0) -> None:
        match event:
            case RunStarted(run):
                self._run, self._note = run, Text("")
            case Observed(progress) | Ended(progress):
                self._progress, self._seen_at = progress, self._clock.monotonic()
                ended = isinstance(event, Ended)
                self._note = Text("looking for the verdict" if ended else "", style="dim")
            case Unobserved(problem, _):
                self._note = Text(f"request failed, retrying: {sanitize(problem)}", style="yellow")
            case Broken(reason):
                self._note = Text(f"aborting: {sanitize(reason)}", style="red")
            case Awaited(reason):
                self._note = Text(sanitize(reason), style="dim")
            case Repeated(attempt, left):
                self._progress = None
                self._live.console.print(Text(f"tm: {describe_repetition(attempt, left)}"))
        self._live.refresh()

    def _draw(self) -> RenderableType:
        parts: list[RenderableType] = [self._headline()]
        if self._progress is not None:
            if self._progress.items:
                parts += [self._timeline(self._progress), self._items(self._progress)]
            elif self._progress.elapsed is not None or self._progress.codes:
                parts += [self._timeline(self._progress), self._numbers(self._progress)]
                if self._progress.steps:
                    parts.append(self._steps(self._progress.steps))
            parts += [
                Text(f"! {sanitize(text)}", style="yellow") for text in self._progress.warnings
            ]
        if self._note.plain:
            parts.append(self._note)
        return Group(*parts)

    def _headline(self) -> Text:
        if self._run is None:
            return Text("tm")
        phase = self._progress.phase if self._progress else Phase.ACTIVE
        style = "yellow" if phase in (Phase.PAUSED, Phase.REPLACED) else "cyan"
        return Text.assemble(
            (sanitize(self._run.subject), "bold"),
            f"  run {sanitize(self._run.run_id or 'without id')}  ",
            (state(self._progress) if self._progress else phase.value, style),
        )

    def _timeline(self, progress: Progress) -> RenderableType:
        elapsed = self._elapsed(progress)
        if elapsed is None or not progress.duration:
            return Text("")
        line = Table.grid(padding=(0, 1))
        line.add_row(
            _bar(progress.duration, elapsed),
            f"{format_duration(int(elapsed))} of {format_duration(progress.duration)}",
            f"{format_duration(int(progress.duration - elapsed))} left",
        )
        return line

    def _elapsed(self, progress: Progress) -> float | None:
        """Return the run's own clock now; it stands still while paused."""
        if progress.elapsed is None or progress.phase is not Phase.ACTIVE:
            return progress.elapsed
        now = progress.elapsed + self._clock.monotonic() - self._seen_at
        return min(now, progress.duration or now)

    def _items(self, progress: Progress) -> RenderableType:
        """Return a line on the parts of a run, and how many of them are done."""
        line = Table.grid(padding=(0, 1))
        done = sum(n for name, n in progress.items.items() if name not in UNDER_WAY)
        cells: list[RenderableType] = [Text(sanitize(items(progress)))]
        if progress.expected:
            cells.insert(0, _bar(progress.expected, done))
        line.add_row(*cells)
        return line

    def _numbers(self, progress: Progress) -> RenderableType:
        planned = f" of {rate(progress.planned_rps)} planned" if progress.planned_rps else ""
        errors = percent(progress.bad_ratio * 100) if progress.bad_ratio is not None else "-"
        rates = sparkline([bucket.rps or 0.0 for bucket in progress.recent])
        times = sparkline([bucket.p95 or 0.0 for bucket in progress.recent])
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim")
        table.add_row("requests/s", rate(progress.rps) + planned, rates)
        table.add_row("p95", milliseconds(progress.p95_ms), times)
        table.add_row("responses", Text(sanitize(codes(progress.codes)) or "-"), f"errors {errors}")
        return table

    def _steps(self, steps: Sequence[LiveStep]) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for step in steps[:MOST_STEPS]:
            table.add_row(*map(Text, live_cells(step)))
        if (more := len(steps) - MOST_STEPS) > 0:
            table.add_row(Text(f"and {more} more steps", style="dim"))
        return table


@dataclass(slots=True)
class _Row:
    subject: str
    state: str = "waiting"
    style: str = "dim"
    progress: Progress | None = None
    done: bool = False


class LiveTable(_RedrawnView):
    """The active runs, and those that have ended as far as there is room."""

    def __init__(self, terminal: Terminal, subjects: Sequence[str]) -> None:
        self._rows = [_Row(sanitize(subject)) for subject in subjects]
        super().__init__(terminal)  # draws at once

    def show(self, event: Event, position: int = 0) -> None:
        row = self._rows[position]
        match event:
            case RunStarted():
                row.state = "started"
            case Observed(progress):
                row.progress, row.state = progress, state(progress)
                row.style = "yellow" if progress.phase is Phase.PAUSED else "cyan"
            case Ended(progress):
                row.progress, row.state, row.style = progress, "ended", "dim"
            case Broken():
                row.state, row.style = "aborting", "red"
            case Awaited():
                row.state, row.style = "awaiting its verdict", "dim"
            case Unobserved():
                row.state, row.style = "no answer", "yellow"
            case Repeated():
                row.progress, row.state, row.style = None, "repeating to confirm", "yellow"
            case Decided(decision):
                row.state, row.done = decision.exit_code.name, True
                row.style = "red" if decision.exit_code else "green"

    def _draw(self) -> RenderableType:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for title in ("run of", "state", "elapsed", "requests/s", "p95", "errors"):
            table.add_column(title)
        shown = sorted(self._rows, key=lambda row: row.done)[:MOST_ROWS]
        for row in shown:
            table.add_row(Text(row.subject), Text(row.state, style=row.style), *_numbers(row))
        if len(self._rows) > len(shown):
            table.add_row(Text(f"and {len(self._rows) - len(shown)} more", style="dim"))
        return table


def _numbers(row: _Row) -> list[str]:
    progress = row.progress
    if progress is None:
        return []
    elapsed = "-" if progress.elapsed is None else format_duration(int(progress.elapsed))
    if progress.duration:
        elapsed += f" of {format_duration(progress.duration)}"
    errors = None if progress.bad_ratio is None else progress.bad_ratio * 100
    return [elapsed, rate(progress.rps), milliseconds(progress.p95_ms), percent(errors)]


def _bar(total: float, completed: float) -> ProgressBar:
    """Return a bar in a neutral colour; rich's own is red."""
    return ProgressBar(
        total=total,
        completed=completed,
        width=BAR_WIDTH,
        complete_style="cyan",
        finished_style="cyan",
    )
