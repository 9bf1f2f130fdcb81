"""What tm can have known of its job run, and what was so."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from tests.simulation.documents import document
from tests.simulation.recorder import Op, Recording
from tests.simulation.schedules import Schedule
from tests.simulation.strait.wish import Wish, of_status, verdict_of, verdict_of_all
from tests.simulation.strait.world import PAYLOAD, USER_KEY, World


def wish_of(schedule: Schedule) -> Wish:
    return schedule.wish if isinstance(schedule.wish, Wish) else Wish()


def our_runs(schedule: Schedule, recording: Recording) -> set[str]:
    """The runs that count for this invocation; with --reuse also one that was there before."""
    world: World = recording.world
    found = set(world.ours)
    if wish_of(schedule).reuses:
        for run in world.runs.values():
            is_merged = "merge" in {blow.action for blow in schedule.blows} or world.truth.merges
            if run.document.get("idempotency_key") == USER_KEY or (
                is_merged and run.document.get("payload") == PAYLOAD
            ):
                found.add(run.id)
    return found


def start_was_answered(recording: Recording) -> bool:
    """Whether a start was, or a list afterwards shows a run under its key."""
    keys = {op.key for op in recording.starts()}
    return any(_started(op) for op in recording.starts()) or any(
        row.get("idempotency_key") in keys for op in recording.ops for row in _rows(op)
    )


def _started(op: Op) -> str | None:
    found = document(op.reply)
    run_id = found.get("id") if isinstance(found, dict) else None
    return run_id if isinstance(run_id, str) and run_id else None


def recognised_ours(recording: Recording) -> bool:
    return recording.run_id in recording.world.ours


def said(schedule: Schedule, recording: Recording) -> list[Any]:
    """What the last answers about the run that tm follows say, and those about its continuations.

    A dead letter may have come back: where the list shows the run, that counts. A run that has
    ended well says nothing as long as the runs that continue it have not been asked for.
    """
    last: dict[str, Any] | None = None
    for op, run in _told(recording):
        if op.endpoint == "run" or (last is not None and last.get("status") == "dead_letter"):
            last = run
    if last is None or not _may_be_ours(last, schedule, recording):
        return []
    later = _told_later(recording)
    if of_status(last["status"], wish_of(schedule)) == "FAIL" or later == []:
        return [verdict_of(last, wish_of(schedule), schedule.fail_on)]
    return [] if later is None else _all_told([last, *later], schedule)


def _told_later(recording: Recording) -> list[dict[str, Any]] | None:
    """The runs that continue ours, as the last answer to that shows them; None without any."""
    names = {recording.run_id, *recording.world.continued(str(recording.run_id))}
    told = [op for op in recording.ops if op.endpoint == "lineage" and _has_rows(op)]
    if not told:
        return None
    return [row for row in _rows(told[-1]) if row.get("id") in names - {recording.run_id}]


def _has_rows(op: Op) -> bool:
    found = document(op.reply)
    return isinstance(found, dict) and isinstance(found.get("data"), list)


def _all_told(runs: list[dict[str, Any]], schedule: Schedule) -> list[Any]:
    verdict = verdict_of_all(runs, wish_of(schedule), schedule.fail_on)
    return [] if verdict is None else [verdict]


def _told(recording: Recording) -> Iterator[tuple[Op, dict[str, Any]]]:
    """Every document of the run that tm follows, as it was received."""
    for op in recording.ops:
        if op.endpoint != "lineage":
            yield from ((op, row) for row in _rows(op) if row.get("id") == recording.run_id)


def _rows(op: Op) -> list[dict[str, Any]]:
    """The runs in an answer, of a list or by id."""
    found = document(op.reply) if op.endpoint in {"run", "list", "lineage"} else None
    if not isinstance(found, dict):
        return []
    rows = [found] if op.endpoint == "run" else found.get("data")
    return [row for row in rows if _is_run(row)] if isinstance(rows, list) else []


def _is_run(row: Any) -> bool:
    return isinstance(row, dict) and isinstance(row.get("status"), str)


def _may_be_ours(run: dict[str, Any], schedule: Schedule, recording: Recording) -> bool:
    """Whether nothing in the document says that it is another start's."""
    if recording.attached or wish_of(schedule).reuses:
        return True
    keys = {op.key for op in recording.starts()}
    job_id = run.get("job_id", recording.world.job_id)
    return run.get("idempotency_key") in {*keys, None} and job_id == recording.world.job_id


def true(schedule: Schedule, recording: Recording) -> set[str | None]:
    """The verdicts of our run since the last read of it, as old as its replica may have been."""
    reads = [op for op in recording.ops if op.endpoint == "run" and op.outcome == "ok"]
    if not reads:
        return set()
    world: World = recording.world
    first = reads[-1].began - max(world.truth.run_lag, world.truth.cache)
    return _verdicts(schedule, recording, first)


def ever(schedule: Schedule, recording: Recording) -> set[str | None]:
    return _verdicts(schedule, recording, float("-inf")) - {None}


def _verdicts(schedule: Schedule, recording: Recording, first: float) -> set[str | None]:
    world: World = recording.world
    world.settle()
    return {
        verdict_of_all([run, *later], wish_of(schedule), schedule.fail_on)
        for run_id in our_runs(schedule, recording)
        for run in world.between(run_id, first, recording.ended)
        for later in _continuations(world, run_id, first, recording.ended)
    }


def _continuations(world: World, run_id: str, first: float, last: float) -> Iterator[Any]:
    """Everything that the runs which continue one were in this time, in all combinations."""
    histories = [world.between(name, first, last) for name in world.continued(run_id)]
    return itertools.product(*(history for history in histories if history))
