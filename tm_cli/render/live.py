"""Live progress of one gate, redrawn several times a second."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tm_cli.clock import Clock
from tm_cli.durations import format_duration
from tm_cli.gate.events import (
    Awaited,
    Ended,
    Event,
    Observed,
    Repeated,
    Started,
    Unobserved,
)
from tm_cli.gate.evidence import Phase, Progress, Run
from tm_cli.render.numbers import codes, milliseconds, percent, rate, sparkline
from tm_cli.render.progress import describe_repetition, items, state
from tm_cli.terminal import Terminal
from tm_cli.text import clean

FRAMES_PER_SECOND = 4
BAR_WIDTH = 30

UNDER_WAY = frozenset({"pending", "queued", "running", "scoring"})
"""States of a part that still has work before it."""


class LiveView:
    """The last look at the run; between two looks its clock goes on."""

    def __init__(self, terminal: Terminal, clock: Clock) -> None:
        self._clock = clock
        self._run: Run | None = None
        self._progress: Progress | None = None
        self._seen_at = 0.0
        self._remark = Text("starting", style="dim")
        self._live = Live(
            console=terminal.console(),
            get_renderable=self._draw,
            refresh_per_second=FRAMES_PER_SECOND,
            transient=True,
        )

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._live.stop()

    def show(self, event: Event, position: int = 0) -> None:
        """Take the event into the picture."""
        match event:
            case Started(run):
                self._run, self._remark = run, Text("")
            case Observed(progress) | Ended(progress):
                self._progress, self._seen_at = progress, self._clock.monotonic()
                ended = isinstance(event, Ended)
                self._remark = Text("looking for the verdict" if ended else "", style="dim")
            case Unobserved(problem, _):
                self._remark = Text(f"no answer this time: {clean(problem)}", style="yellow")
            case Awaited(reason):
                self._remark = Text(clean(reason), style="dim")
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
            parts += [Text(f"! {clean(text)}", style="yellow") for text in self._progress.warnings]
        if self._remark.plain:
            parts.append(self._remark)
        return Group(*parts)

    def _headline(self) -> Text:
        if self._run is None:
            return Text("tm")
        phase = self._progress.phase if self._progress else Phase.ACTIVE
        style = "yellow" if phase in (Phase.PAUSED, Phase.REPLACED) else "cyan"
        return Text.assemble(
            (clean(self._run.subject), "bold"),
            f"  run {clean(self._run.run_id or 'without id')}  ",
            (state(self._progress) if self._progress else phase.value, style),
        )

    def _timeline(self, progress: Progress) -> RenderableType:
        elapsed = self._elapsed(progress)
        if elapsed is None or not progress.duration:
            return Text("")
        line = Table.grid(padding=(0, 1))
        line.add_row(
            ProgressBar(total=progress.duration, completed=elapsed, width=BAR_WIDTH),
            f"{format_duration(int(elapsed))} of {format_duration(progress.duration)}",
            f"{format_duration(int(progress.duration - elapsed))} left",
        )
        return line

    def _elapsed(self, progress: Progress) -> float | None:
        """The run's own clock now; it stands still while paused."""
        if progress.elapsed is None or progress.phase is not Phase.ACTIVE:
            return progress.elapsed
        now = progress.elapsed + self._clock.monotonic() - self._seen_at
        return min(now, progress.duration or now)

    def _items(self, progress: Progress) -> RenderableType:
        """The parts of a run, and how many of them are through."""
        line = Table.grid(padding=(0, 1))
        through = sum(n for name, n in progress.items.items() if name not in UNDER_WAY)
        cells: list[RenderableType] = [Text(clean(items(progress)))]
        if progress.expected:
            bar = ProgressBar(total=progress.expected, completed=through, width=BAR_WIDTH)
            cells.insert(0, bar)
        line.add_row(*cells)
        return line

    def _numbers(self, progress: Progress) -> RenderableType:
        planned = f" of {rate(progress.planned_rps)} planned" if progress.planned_rps else ""
        errors = percent(progress.bad_ratio * 100) if progress.bad_ratio is not None else "-"
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim")
        table.add_row("requests/s", rate(progress.rps) + planned, sparkline(progress.rps_series))
        table.add_row("p95", milliseconds(progress.p95_ms), sparkline(progress.p95_series))
        table.add_row("responses", Text(clean(codes(progress.codes)) or "-"), f"errors {errors}")
        return table
