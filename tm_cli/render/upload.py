"""The progress of an upload, on a terminal alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tm_cli.runtime.terminal import Terminal


@contextmanager
def upload_progress(
    terminal: Terminal, size: int, *, is_shown: bool
) -> Iterator[Callable[[int], None]]:
    """Yield a function that takes the number of bytes sent, and show it; it is gone afterwards."""
    if not is_shown:
        yield lambda _: None
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TransferSpeedColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    progress = Progress(*columns, TransferSpeedColumn(), console=terminal.console(), transient=True)
    with progress:
        task = progress.add_task("uploading", total=size)

        def report(sent: int) -> None:
            what = "uploading" if sent < size else "analysing"
            progress.update(task, completed=sent, description=what)

        yield report
