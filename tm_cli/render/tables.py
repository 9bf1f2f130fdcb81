"""Rows for people: aligned on a terminal, complete in a pipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tm_cli.runtime.terminal import Terminal
from tm_cli.values.durations import format_duration
from tm_cli.values.text import sanitize

if TYPE_CHECKING:
    from rich.text import Text


def columns(
    terminal: Terminal,
    head: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    indent: int = 0,
    least: Sequence[str] = (),
) -> str:
    """Return a table without lines; long cells wrap on a terminal and are never cut.

    Before anything wraps, a terminal does without the columns named in `least`, the first one
    first; they are named below the table. A cell that is a `rich.text.Text` must be clean.
    """
    from rich.padding import Padding
    from rich.table import Table

    cells = [[_cell(value) for value in row] for row in rows]
    used = _shown(terminal, head, cells, indent, least)
    left_out = ", ".join(title for n, title in enumerate(head) if n not in used)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for n in used:
        table.add_column(head[n], overflow="fold")
    for row in cells:
        table.add_row(*(row[n] for n in used))
    drawn = terminal.render(Padding(table, (0, 0, 0, indent)) if indent else table)
    return f"{drawn}\n{' ' * indent}{hidden_columns(left_out)}" if left_out else drawn


def hidden_columns(names: str) -> str:
    """Return the note below a table that is narrower than its data."""
    return f"hidden columns: {names} (widen the terminal)"


def listed(terminal: Terminal, head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table if it fits; on a narrower terminal each row is a block of lines.

    A block begins with the first two cells; each cell after them has a line of its own.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    if len(_shown(terminal, head, cells, 0, head)) == len(head):
        return columns(terminal, head, rows)
    blocks = [
        [f"{name.plain}  {value.plain}", *(f"    {cell.plain}" for cell in more)]
        for name, value, *more in cells
    ]
    return "\n".join(line for block in blocks for line in block)


def fitting(
    used: Sequence[int], widths: Sequence[int], room: int | None, least: Sequence[int]
) -> list[int]:
    """Return which of the `used` columns fit into `room`, two blanks between them.

    The columns in `least` go first, in that order; None is room for all.
    """
    chosen = list(used)
    for column in least:
        if room is None or sum(widths[n] + 2 for n in chosen) <= room:
            break
        chosen = [n for n in chosen if n != column]
    return chosen


def _shown(
    terminal: Terminal,
    head: Sequence[str],
    cells: Sequence[Sequence[Text]],
    indent: int,
    least: Sequence[str],
) -> list[int]:
    columns_of = range(len(head))
    widths = [max(len(head[n]), *(row[n].cell_len for row in cells), 0) for n in columns_of]
    room = terminal.width - indent if terminal.out_is_terminal else None
    return fitting(columns_of, widths, room, [head.index(title) for title in least])


def _cell(value: object) -> Text:
    from rich.text import Text

    if isinstance(value, Text):
        return value
    return Text("-" if value is None or value == "" else sanitize(value))


def instant(moment: datetime | None) -> str | None:
    """Return a time in UTC to the second."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


_BARS = "▁▂▃▄▅▆▇█"


def rate(value: float | None) -> str:
    """Requests per second: `198.4`, `12,000`."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 else f"{value:,.1f}".removesuffix(".0")


def milliseconds(value: float | None) -> str:
    """Latency: `0.42 ms`, `23 ms`, `1.20 s`."""
    if value is None:
        return "-"
    if value >= 1000:
        return f"{value / 1000:.2f} s"
    return (
        f"{value:.2f} ms" if value < 1 else f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"
    )


def percent(value: float | None) -> str:
    """A percentage with the digits that matter near 0 and 100."""
    return "-" if value is None else f"{value:.2f} %"


def age(seconds: float) -> str:
    """How long ago: `42s`, `5h`, `3 days`."""
    days = seconds / 86400
    return f"{days:,.0f} days" if days >= 2 else format_duration(max(seconds, 0.0))


def sparkline(values: Sequence[float]) -> str:
    """Draw `values`, oldest first, from zero to their maximum."""
    top = max(values, default=0.0)
    if top <= 0:
        return _BARS[0] * len(values)
    return "".join(_BARS[min(int(max(value, 0.0) / top * len(_BARS)), 7)] for value in values)


def codes(counts: Mapping[str, int]) -> str:
    """Response codes, the most frequent first: `200 × 2,380  503 × 4`."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = "  ".join(f"{code} × {count:,}" for code, count in ordered[:6])
    return shown + (f"  and {len(ordered) - 6} more" if len(ordered) > 6 else "")
