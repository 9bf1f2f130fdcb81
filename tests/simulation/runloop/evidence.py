"""What tm can have known of its benchmark run, and what was so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.simulation.documents import document
from tests.simulation.recorder import Op, Recording
from tests.simulation.runloop.wish import Document, Shown, Wish, below, number, verdict_of
from tests.simulation.runloop.world import BENCHMARK, World
from tests.simulation.schedules import Schedule


def wish_of(schedule: Schedule) -> Wish:
    return schedule.wish if isinstance(schedule.wish, Wish) else Wish()


def start_was_answered(recording: Recording) -> bool:
    """Whether a start was, or a list afterwards shows a run of its token."""
    marks = {f"tm-{run['metadata'].get('tm_start')}" for run in _our_documents(recording)}
    listed = (row for op in recording.ops if op.endpoint == "list" for row in _rows(op))
    return any(_text(document(op.reply), "id") for op in recording.starts()) or any(
        isinstance(row.get("metadata"), dict) and f"tm-{row['metadata'].get('tm_start')}" in marks
        for row in listed
    )


def _our_documents(recording: Recording) -> Iterator[Document]:
    world: World = recording.world
    return (world.server.runs[run_id] for run_id in world.ours)


def _text(found: Any, name: str) -> str | None:
    value = found.get(name) if isinstance(found, dict) else None
    return value if isinstance(value, str) and value else None


def recognised_ours(recording: Recording) -> bool:
    return recording.run_id in recording.world.ours


def said(schedule: Schedule, recording: Recording) -> list[Any]:
    """What the last whole reading of run and scenario runs says, and the looks at the run after it.

    A driver that has failed says it all.
    """
    if wish_of(schedule).driver:
        return ["FAIL"]
    run: Document | None = None
    runs: list[Document] = []
    pages: dict[str, Document] = {}
    shown: list[Shown] = []
    for op in recording.ops:
        if op.endpoint == "run" and (found := _run(op, schedule, recording)):
            run = found
            runs.append(found)
            shown += [(found, shown[-1][1])] if shown else []
        elif op.endpoint == "items":
            pages = pages if op.page else {}
            page = _scenario_runs(op, recording)
            pages.update(page or {})
            if page is not None and _is_last(op) and run is not None:
                shown = [(run, list(pages.values()))]
    if not shown:  # one that was canceled or has failed has nothing else to show
        shown = [(found, []) for found in runs[-2:]]
    return [_judged(item, schedule, recording) for item in shown]


def _run(op: Op, schedule: Schedule, recording: Recording) -> Document | None:
    """The run in an answer, when it is the one that tm follows."""
    found = document(op.reply)
    if _text(found, "id") is None or found["id"] != recording.run_id:
        return None
    if (_text(found, "benchmark_id") or BENCHMARK) != BENCHMARK:
        return None
    metadata = found.get("metadata")
    marks = {run["metadata"].get("tm_start") for run in _our_documents(recording)}
    is_marked = isinstance(metadata, dict) and metadata.get("tm_start") in marks
    return found if is_marked or recording.attached else None


def _scenario_runs(op: Op, recording: Recording) -> dict[str, Document] | None:
    """The scenario runs of a page by id; None for a page that cannot be read."""
    rows, found = _rows(op), {}
    if not isinstance((document(op.reply) or {}), dict) or not _is_page(op):
        return None
    for row in rows:
        if _text(row, "id") is None or _text(row, "scenario_id") is None:
            return None
        if row.get("benchmark_run_id") not in (None, recording.run_id):
            return None
        found[row["id"]] = row
    return found


def _rows(op: Op) -> list[Document]:
    found = document(op.reply)
    rows = found.get("runs") if isinstance(found, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _is_page(op: Op) -> bool:
    found = document(op.reply)
    return (
        isinstance(found, dict)
        and isinstance(found.get("has_more"), bool)
        and isinstance(found.get("runs"), list)
    )


def _is_last(op: Op) -> bool:
    return document(op.reply)["has_more"] is False


def _judged(shown: Shown, schedule: Schedule, recording: Recording) -> str | None:
    """The verdict that counts: where a gate accepts NO_BASELINE, the WARN behind it."""
    wish = wish_of(schedule)
    verdict = verdict_of(shown, wish, _defined(recording), _pinned(recording))
    score = number(shown[0].get("score"))
    accepts = "NO_BASELINE" not in schedule.fail_on and "WARN" in schedule.fail_on
    if verdict == "NO_BASELINE" and accepts and score is not None and below(score, wish.warn_score):
        return "WARN"
    return verdict


def _defined(recording: Recording) -> list[str]:
    """The scenarios of the benchmark when tm read it."""
    reads = [document(op.reply) for op in recording.ops if op.endpoint == "benchmark"]
    whole = [
        found["scenarioIds"]
        for found in reads
        if isinstance(found, dict) and "scenarioIds" in found
    ]
    return whole[-1] if whole else []


def _pinned(recording: Recording) -> Shown | None:
    """The baseline: the run whose scenario runs tm read before the start, as they were answered."""
    world: World = recording.world
    reads = [op for op in recording.ops if op.endpoint == "early-items"]
    if not reads:
        return None
    run_id = reads[-1].path.split("/")[3]
    versions = world.between(run_id, reads[-1].ended, reads[-1].ended)
    answered = {row["id"]: row for op in reads for row in _rows(op) if _text(row, "id")}
    return (versions[0][0], list(answered.values())) if versions else None


def true(schedule: Schedule, recording: Recording) -> set[str | None]:
    """The verdicts of our run since the last whole reading began, as old as replicas may be.

    The run and its scenario runs may come from replicas of different age.
    """
    if wish_of(schedule).driver:
        return {"FAIL"}
    looks = [op for op in recording.ops if op.endpoint == "run"]
    reads = [op.number for op in recording.ops if op.endpoint == "items" and not op.page]
    before = [op for op in looks if reads and op.number < reads[-1]]
    if not looks:
        return set()
    world: World = recording.world
    first = (before or looks)[-1].began - max(world.truth.run_lag, world.truth.items_lag)
    return {
        _judged((run, items), schedule, recording)
        for versions in _versions(recording, first)
        for run, _ in versions
        for _, items in versions
    }


def ever(schedule: Schedule, recording: Recording) -> set[str | None]:
    if wish_of(schedule).driver:
        return {"FAIL"}
    shown = [item for versions in _versions(recording, float("-inf")) for item in versions]
    return {_judged(item, schedule, recording) for item in shown} - {None}


def _versions(recording: Recording, first: float) -> list[list[Shown]]:
    """For each run of ours what it was since a time."""
    world: World = recording.world
    world.settle()
    return [world.between(run_id, first, recording.ended) for run_id in world.ours]
