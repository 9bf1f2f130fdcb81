"""Which history row belongs to a run, by section 20.2 of the API contract, step E.

An exact `runId` decides. A row without one (old data, old servers) is a candidate only when it is
newer than the snapshot taken before the start and began close to it. Stricter than the contract, a
server whose newest row had a runId before the start is expected to go on writing them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

EARLIEST = timedelta(seconds=-5)
LATEST = timedelta(seconds=30)
"""How far the start of a row without runId may lie from the moment of the request."""


@dataclass(frozen=True, slots=True)
class Row:
    """What is compared of a history row; unusable values are None."""

    row_id: int | None
    run_id: str | None
    started_at: datetime | None


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """What is known of a run before its row is found.

    `newest_before` is the id of the newest row before the start, None when there was no row;
    `asked_at` is None for a run that another invocation started, which needs an exact match;
    `rows_are_named` says that the newest row before the start had a runId.
    """

    run_id: str | None
    asked_at: datetime | None
    newest_before: int | None
    rows_are_named: bool = False


@dataclass(frozen=True, slots=True)
class Scan:
    """What the rows seen so far say: positions of exact matches and of legacy candidates."""

    exact: tuple[int, ...] = ()
    legacy: tuple[int, ...] = ()
    foreign: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def correlate(rows: Sequence[Row], wanted: RunIdentity) -> Scan:
    """Sort `rows`, newest first, into exact matches, legacy candidates and others."""
    exact: list[int] = []
    foreign: list[str] = []
    refused: list[str] = []
    legacy: list[int] = []
    for position, row in enumerate(rows):
        if row.run_id:
            if row.run_id != wanted.run_id:
                foreign += [row.run_id] if _is_new(row, wanted) else []
            elif _is_new(row, wanted):
                exact.append(position)
            else:  # the server gave us the id of a run that was over
                refused.append(f"row {row.row_id} has its id, but was there before the start")
        elif (refusal := _refuse_legacy(row, wanted)) is None:
            legacy.append(position)
        elif refusal:
            refused.append(refusal)
    return Scan(tuple(exact), tuple(legacy), tuple(foreign), tuple(refused))


def _is_new(row: Row, wanted: RunIdentity) -> bool:
    """Whether the row can have come after the start; an attached run may have ended before."""
    if wanted.asked_at is None or wanted.newest_before is None:
        return True
    return row.row_id is not None and row.row_id > wanted.newest_before


def _refuse_legacy(row: Row, wanted: RunIdentity) -> str | None:
    """None: a candidate. Empty: older than the start. Else: why it was refused."""
    if row.row_id is None:
        return "a row without runId has no usable id"
    if wanted.newest_before is not None and row.row_id <= wanted.newest_before:
        return ""
    if wanted.asked_at is None:
        return f"row {row.row_id} has no runId to compare"
    if wanted.rows_are_named:
        return f"row {row.row_id} has no runId, although this server writes them"
    if row.started_at is None:
        return f"row {row.row_id} has no runId and no usable startedAt"
    distance = row.started_at - wanted.asked_at
    if distance < EARLIEST:
        return f"row {row.row_id} has no runId and began {-distance.total_seconds():.0f}s too early"
    if distance > LATEST:
        return f"row {row.row_id} has no runId and began {distance.total_seconds():.0f}s too late"
    return None


def is_last_page(rows: Sequence[Row], wanted: RunIdentity, *, size: int) -> bool:
    """Whether no older page can hold the row: it is short, or reaches back to the snapshot."""
    if len(rows) < size:
        return True
    oldest = rows[-1].row_id
    return (
        oldest is not None and wanted.newest_before is not None and oldest <= wanted.newest_before
    )


def explain_missing(scan: Scan, wanted: RunIdentity) -> str:
    """Say why no row is that of the run, most informative reason first."""
    name = f"run {wanted.run_id}" if wanted.run_id else "the run (the server gave it no id)"
    if wanted.asked_at is None:
        return f"{name} is not in the history of this profile"
    if scan.foreign:
        others = ", ".join(dict.fromkeys(scan.foreign[:3]))
        return f"{name} is not in the history, only others are ({others}); it was probably replaced"
    if scan.refused:
        return f"{name} is not in the history: {scan.refused[0]}"
    return f"{name} is not in the history (yet)"
