"""Rows for people: aligned on a terminal, complete in a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from tm_cli.terminal import Terminal
from tm_cli.text import clean


def columns(terminal: Terminal, head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table without lines; long cells wrap on a terminal and are never cut."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in head:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    return rendered(terminal, table)


def rendered(terminal: Terminal, item: object) -> str:
    """Return what rich makes of `item` on the standard output of `terminal`."""
    console = terminal.console(results=True)
    with console.capture() as capture:
        console.print(item)
    lines = capture.get().splitlines()
    return "\n".join(line.rstrip() for line in lines)


def _cell(value: object) -> str:
    from rich.markup import escape

    return "-" if value is None or value == "" else escape(clean(value))


def instant(moment: datetime | None) -> str | None:
    """Return a time in UTC to the second."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
