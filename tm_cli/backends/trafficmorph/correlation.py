"""Which history row is ours. Pure; the rules are in section 20.2 of the API contract, step E.

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
"""How far the start of a legacy row may lie from the moment ours was asked for."""


@dataclass(frozen=True, slots=True)
class Row:
    """What of a history row matters here; unusable values are None."""

    row_id: int | None
    run_id: str | None
    started_at: datetime | None


@dataclass(frozen=True, slots=True)
class Ours:
    """What is known of our run before its row is found.

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


def correlate(rows: Sequence[Row], ours: Ours) -> Scan:
    """Sort `rows`, newest first, into ours, possibly ours, and others'."""
    exact: list[int] = []
    foreign: list[str] = []
    refused: list[str] = []
    legacy: list[int] = []
    for position, row in enumerate(rows):
        if row.run_id:
            if row.run_id != ours.run_id:
                foreign += [row.run_id] if _is_news(row, ours) else []
            elif _is_news(row, ours):
                exact.append(position)
            else:  # the server gave us the id of a run that was over
                refused.append(f"row {row.row_id} has its id, but was there before the start")
        elif (refusal := _refuse_legacy(row, ours)) is None:
            legacy.append(position)
        elif refusal:
            refused.append(refusal)
    return Scan(tuple(exact), tuple(legacy), tuple(foreign), tuple(refused))


def _is_news(row: Row, ours: Ours) -> bool:
    """Whether the row can have come after our start; an attached run may have ended before."""
    if ours.asked_at is None or ours.newest_before is None:
        return True
    return row.row_id is not None and row.row_id > ours.newest_before


def _refuse_legacy(row: Row, ours: Ours) -> str | None:
    """None: a candidate. Empty: older than our start. Else: why it was refused."""
    if row.row_id is None:
        return "a row without runId has no usable id"
    if ours.newest_before is not None and row.row_id <= ours.newest_before:
        return ""
    if ours.asked_at is None:
        return f"row {row.row_id} has no runId to compare"
    if ours.rows_are_named:
        return f"row {row.row_id} has no runId, although this server writes them"
    if row.started_at is None:
        return f"row {row.row_id} has no runId and no usable startedAt"
    distance = row.started_at - ours.asked_at
    if distance < EARLIEST:
        return f"row {row.row_id} has no runId and began {-distance.total_seconds():.0f}s too early"
    if distance > LATEST:
        return f"row {row.row_id} has no runId and began {distance.total_seconds():.0f}s after ours"
    return None


def is_last_page(rows: Sequence[Row], ours: Ours, *, size: int) -> bool:
    """Whether no older page can hold our row: it is short, or reaches back to the snapshot."""
    if len(rows) < size:
        return True
    oldest = rows[-1].row_id
    return oldest is not None and ours.newest_before is not None and oldest <= ours.newest_before


def explain_missing(scan: Scan, ours: Ours) -> str:
    """Say, most informative first, why no row is ours."""
    name = f"run {ours.run_id}" if ours.run_id else "the run (the server gave it no id)"
    if ours.asked_at is None:
        return f"{name} is not in the history of this profile"
    if scan.foreign:
        others = ", ".join(dict.fromkeys(scan.foreign[:3]))
        return f"{name} is not in the history, only others are ({others}); it was probably replaced"
    if scan.refused:
        return f"{name} is not in the history: {scan.refused[0]}"
    return f"{name} is not in the history (yet)"
