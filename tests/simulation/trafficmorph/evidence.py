"""What tm can have known: the received bytes, read by rules of our own, without tm's code."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from tests.simulation.clock import EPOCH
from tests.simulation.documents import document
from tests.simulation.recorder import Op, Recording
from tests.simulation.trafficmorph.world import PROFILE

EARLIEST, LATEST = timedelta(seconds=-5), timedelta(seconds=30)


def _start_answer(op: Op) -> dict[str, Any] | None:
    """The document of a start answer that speaks of our profile."""
    found = document(op.reply)
    fits = isinstance(found, dict) and found.get("profileId") in {None, PROFILE}
    return found if fits else None


def started_run_id(recording: Recording) -> str | None:
    """The run id of a start answer that tm received in full, or of the run recognised instead."""
    for op in recording.starts():
        found = _start_answer(op)
        if found is not None and isinstance(found.get("runId"), str):
            return found["runId"] if found["runId"].strip() else None
    return recording.run_id if recognised_ours(recording) else None


def recognised_ours(recording: Recording) -> bool:
    """Whether tm follows a run that it truly started, although the answer was of no use."""
    tagged = recording.world.truth.tags
    return bool(tagged) and recording.run_id in {
        run.run_id for run in recording.world.started_by_us
    }


def start_was_answered(recording: Recording) -> bool:
    """Whether a well-formed answer to a start arrived."""
    return any(_start_answer(op) is not None for op in recording.starts())


def rows_after_start(recording: Recording) -> Iterator[dict[str, Any]]:
    """Every row, of a list or in detail, that tm received after its start."""
    for op in recording.ops:
        if op.endpoint in {"history", "detail"}:
            found = document(op.reply)
            if isinstance(found, dict):
                content = found.get("content") if op.endpoint == "history" else [found]
                yield from (row for row in content or [] if isinstance(row, dict))


def newest_before(recording: Recording) -> int | None:
    """The id of the newest row before the start, as tm was told."""
    newest = None
    for op in recording.ops:
        if op.endpoint == "snapshot":
            found = document(op.reply)
            rows = found.get("content") if isinstance(found, dict) else None
            if rows and isinstance(rows[0], dict) and type(rows[0].get("id")) is int:
                newest = rows[0]["id"]
    return newest


def is_ours(row: dict[str, Any], recording: Recording) -> bool:
    """Whether a row is of the run that tm started, as far as tm can know (section 20.2, E)."""
    if row.get("profileId", PROFILE) != PROFILE:
        return False
    if row.get("runId"):
        started = started_run_id(recording)
        return isinstance(row["runId"], str) and started is not None and row["runId"] == started
    return _is_legacy_candidate(row, recording)


def _is_legacy_candidate(row: dict[str, Any], recording: Recording) -> bool:
    newest = newest_before(recording)
    if type(row.get("id")) is not int or (newest is not None and row["id"] <= newest):
        return False
    try:
        started = datetime.fromisoformat(row["startedAt"])
    except (KeyError, TypeError, ValueError):
        return False
    return any(
        EARLIEST <= started - EPOCH - timedelta(seconds=op.began + offset) <= LATEST
        for op in recording.starts()
        for offset in _wall_offsets(recording)
    )


def _wall_offsets(recording: Recording) -> list[float]:
    return [0.0, *recording.wall_offsets]


def shows_breach(op: Op, recording: Recording) -> bool:
    """Whether an answer shows that the p95 of our run was above 2 s for 10 s."""
    found = document(op.reply) if op.endpoint == "status" else None
    if not isinstance(found, dict) or found.get("runId") != recording.run_id:
        return False
    played, buckets = found.get("elapsedSeconds"), found.get("recentBuckets")
    if not isinstance(played, int | float) or not isinstance(buckets, list):
        return False
    slow = [each for each in buckets if isinstance(each, dict) and each.get("p95Ms") == 3000.0]
    return sum(each["t"] + 2.5 <= played for each in slow) >= 2


def last_scan(recording: Recording) -> Op | None:
    """The last look at the history list that brought something."""
    return next(
        (op for op in reversed(recording.ops) if op.endpoint == "history" and op.reply), None
    )
