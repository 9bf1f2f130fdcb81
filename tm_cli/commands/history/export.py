"""`tm history export`: any number of runs as JSON Lines or CSV, in the memory of one page."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from itertools import islice
from pathlib import Path

from tm_cli.api.trafficmorph import HistoryRow
from tm_cli.cli.session import CommandContext
from tm_cli.commands.history.list import ListedRun, RunFilter, as_judged, view
from tm_cli.commands.history.rows import HistoryRows
from tm_cli.commands.history.show import with_details
from tm_cli.commands.shared.lists import ListView, read_fields
from tm_cli.errors import OutputError, TmError, UsageError
from tm_cli.render.formats.csv import csv_line
from tm_cli.render.formats.json_document import to_json_line
from tm_cli.runtime.files import replacing
from tm_cli.values.text import count_of

Write = Callable[[bytes], object]


class ExportFormat(StrEnum):
    """How runs are written."""

    JSONL = "jsonl"
    CSV = "csv"


CSV_FIELDS = (
    "id", "runId", "profileId", "profileName", "startedAt", "finishedAt", "createdAt",
    "durationSeconds", "outcome", "autoVerdict", "totalRequests", "totalErrors", "successRate",
    "avgRps", "peakRps", "latencyQuantiles.p50", "latencyQuantiles.p95", "latencyQuantiles.p99",
    "p95_change", "triggeredBy", "region", "commit", "branch", "tags",
)  # fmt: skip


def export(
    session: CommandContext,
    chosen: RunFilter,
    *,
    output: str | None,
    form: ExportFormat | None,
    fields: str | None,
    limit: int | None,
    details: bool,
) -> int:
    """Write the runs that match, newest first; a file is there when it is complete."""
    if output is None and session.wants_json:
        raise UsageError("--json says what was written: it needs --output FILE")
    shown = view()
    names = read_fields(fields, shown)
    form = form or _format_of(output)
    rows = HistoryRows(session, chosen.read(session))
    pages = _limited(_with_details(session, rows, reads=details), limit)
    with _target(session, output) as write:
        count = _write(session, pages, _line(shown, form, names), _head(form, names), write, output)
    where = output or "standard output"
    text = f"exported {count_of(count, 'run')} to {where}"
    if output is None:
        return 0 if session.terminal.is_unread else _said(session, text)
    data = {"file": output, "format": str(form), "runs": count}
    return session.emit(data, lambda: text) if session.wants_json else _said(session, text)


def _said(session: CommandContext, text: str) -> int:
    session.note(f"tm: {text}")
    return 0


def _format_of(output: str | None) -> ExportFormat:
    is_csv = output is not None and Path(output).suffix.lower() == ".csv"
    return ExportFormat.CSV if is_csv else ExportFormat.JSONL


def _with_details(
    session: CommandContext, rows: HistoryRows, *, reads: bool
) -> Iterator[list[HistoryRow]]:
    for page in rows.pages():
        yield [with_details(session, row, always=True) for row in page] if reads else page


def _limited(pages: Iterator[list[HistoryRow]], limit: int | None) -> Iterator[list[HistoryRow]]:
    left = limit
    for page in pages:
        yield page if left is None else list(islice(page, left))
        left = None if left is None else left - len(page)
        if left is not None and left <= 0:
            return


def _head(form: ExportFormat, names: Sequence[str] | None) -> str:
    return csv_line(names or CSV_FIELDS) if form is ExportFormat.CSV else ""


def _line(
    shown: ListView[ListedRun], form: ExportFormat, names: Sequence[str] | None
) -> Callable[[HistoryRow], str]:
    if form is ExportFormat.CSV:
        return lambda row: csv_line(
            [_flat(shown.value(as_judged(row), name)) for name in names or CSV_FIELDS]
        )
    if names is None:
        return lambda row: to_json_line(row.document())
    return lambda row: to_json_line({name: shown.value(as_judged(row), name) for name in names})


def _flat(value: object) -> object:
    """Tags have no blanks, so that a blank separates them."""
    is_texts = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return " ".join(value) if is_texts and isinstance(value, list) else value


@contextmanager
def _target(session: CommandContext, output: str | None) -> Iterator[Write]:
    if output is None:
        yield lambda content: session.terminal.write_part(content.decode())
        return
    path = session.context.cwd / output
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with replacing(path) as write:
            yield write
    except OSError as problem:
        raise OutputError(
            f"cannot write {output}: {problem.strerror or problem}",
            hint="nothing is left there of this export; free the disk, or name another file",
        ) from None


def _write(
    session: CommandContext,
    pages: Iterator[list[HistoryRow]],
    line: Callable[[HistoryRow], str],
    head: str,
    write: Write,
    output: str | None,
) -> int:
    count, last = 0, None
    write(head.encode())
    try:
        for page in pages:
            write("".join(map(line, page)).encode())
            count += len(page)
            last = next((row.created_at for row in reversed(page) if row.created_at), last)
            if output is None and session.terminal.is_unread:
                break
    except TmError as error:
        if output is None and last is not None:
            error.hint = f"{count} runs were printed; `--to {last.isoformat()}` goes on there"
        raise
    return count
