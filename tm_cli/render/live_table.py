"""Live progress of several gates: a row for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tm_cli.durations import format_duration
from tm_cli.gate.events import Awaited, Decided, Ended, Event, Observed, Repeated, Unobserved
from tm_cli.gate.evidence import Phase, Progress
from tm_cli.render.numbers import milliseconds, percent, rate
from tm_cli.render.progress import state
from tm_cli.terminal import Terminal
from tm_cli.text import clean

FRAMES_PER_SECOND = 4
MOST_ROWS = 20


@dataclass(slots=True)
class _Row:
    """What the table says of one run."""

    subject: str
    state: str = "starting"
    style: str = "dim"
    progress: Progress | None = None
    done: bool = False


class LiveTable:
    """The runs that still go on, and those that have ended as far as there is room."""

    def __init__(self, terminal: Terminal, subjects: Sequence[str]) -> None:
        self._rows = [_Row(clean(subject)) for subject in subjects]
        self._live = Live(
            console=terminal.console(),
            get_renderable=self._draw,
            refresh_per_second=FRAMES_PER_SECOND,
            transient=True,
        )

    def __enter__(self) -> LiveTable:
        self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._live.stop()

    def show(self, event: Event, position: int = 0) -> None:
        """Take the event into its row."""
        row = self._rows[position]
        match event:
            case Observed(progress):
                row.progress, row.state = progress, state(progress)
                row.style = "yellow" if progress.phase is Phase.PAUSED else "cyan"
            case Ended(progress):
                row.progress, row.state, row.style = progress, "ended", "dim"
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
        for title in ("run of", "state", "played", "requests/s", "p95", "errors"):
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
    played = "-" if progress.elapsed is None else format_duration(int(progress.elapsed))
    if progress.duration:
        played += f" of {format_duration(progress.duration)}"
    errors = None if progress.bad_ratio is None else progress.bad_ratio * 100
    return [played, rate(progress.rps), milliseconds(progress.p95_ms), percent(errors)]
