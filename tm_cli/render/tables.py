"""Rows for people: aligned on a terminal, complete in a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tm_cli.terminal import Terminal
from tm_cli.text import clean

if TYPE_CHECKING:
    from rich.text import Text


def columns(
    terminal: Terminal,
    head: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    indent: int = 0,
) -> str:
    """Return a table without lines; long cells wrap on a terminal and are never cut.

    A cell that is a `rich.text.Text` is shown as it is: whoever makes it cleans it.
    """
    from rich.padding import Padding
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in head:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    return terminal.sketch(Padding(table, (0, 0, 0, indent)) if indent else table)


def _cell(value: object) -> Text:
    from rich.text import Text

    if isinstance(value, Text):
        return value
    return Text("-" if value is None or value == "" else clean(value))


def instant(moment: datetime | None) -> str | None:
    """Return a time in UTC to the second."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
