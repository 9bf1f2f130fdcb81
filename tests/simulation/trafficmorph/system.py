"""TrafficMorph for the engine; see `tests.simulation.system.System`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from tests.simulation.documents import document
from tests.simulation.raw_seam import Simulation
from tests.simulation.recorder import Recording
from tests.simulation.schedules import Schedule
from tests.simulation.system import Dialect, Subject
from tests.simulation.trafficmorph.api import Api
from tests.simulation.trafficmorph.evidence import (
    is_ours,
    last_scan,
    recognised_ours,
    rows_after_start,
    shows_breach,
    start_was_answered,
)
from tests.simulation.trafficmorph.menu import MENU
from tests.simulation.trafficmorph.schedules import generate, must_be_decided
from tests.simulation.trafficmorph.world import PROFILE, Truth, World
from tm_cli.api.responses import read_error
from tm_cli.api.trafficmorph import TrafficMorphClient
from tm_cli.backends.trafficmorph.runs import TrafficMorphRuns

DIALECT = Dialect(
    before_start={"history": "snapshot"},
    scan="history",
    unpaced=frozenset({"start", "detail", "stop"}),
    connection={},
    explain=read_error,
)


ACTIVE = ("RUNNING", "PAUSED")


def make_world(truth: Truth, now: Callable[[], float]) -> World:
    return World(truth, now)


def make_api(world: World, *, style: int) -> Api:
    return Api(world, style=style)


def open_gate(simulation: Simulation, transport: Any) -> Subject:
    schedule = simulation.schedule
    runs = TrafficMorphRuns(
        TrafficMorphClient(transport, simulation.clock),
        simulation.clock,
        PROFILE,
        subject="checkout",
        region="eu-west" if schedule.uses_region else None,
        tags=simulation.world.truth.tags,
    )
    return Subject(runs)


def expected(schedule: Schedule, _recording: Recording) -> str:
    return str(schedule.truth.verdict)


def said(_schedule: Schedule, recording: Recording) -> list[Any]:
    """What the rows of ours say; an exact one beats every row that fits by its time."""
    ours = [row for row in rows_after_start(recording) if is_ours(row, recording)]
    exact = [row for row in ours if row.get("runId")]
    return [row.get("autoVerdict") for row in exact or ours]


def true(schedule: Schedule, recording: Recording) -> set[str | None]:
    world, scan = recording.world, last_scan(recording)
    if {"delete-row", "purge"} & {blow.action for blow in schedule.blows} and not world.our_rows():
        recomputed = {str(blow.arg) for blow in schedule.blows if blow.action == "recompute"}
        return {run.verdict for run in world.started_by_us} | recomputed
    if scan is None:
        return set()
    first, last = scan.began - world.truth.history_lag, scan.ended
    changes = [since for row in world.our_rows() for since, _ in row.verdicts]
    moments = [first, last, *(at for at in changes if first <= at <= last)]
    return {verdict for at in moments for verdict in world.our_verdicts(at)}


def ever(_schedule: Schedule, recording: Recording) -> set[str | None]:
    return {verdict for row in recording.world.our_rows() for _, verdict in row.verdicts}


def i8_pages_are_needed(_schedule: Schedule, recording: Recording) -> Iterator[str]:
    """A further page is asked for only after a full one."""
    for op, following in pairwise(recording.ops):
        if op.endpoint == following.endpoint == "history" and following.page not in {"", "0"}:
            found = document(op.reply)
            rows = found.get("content") if isinstance(found, dict) else None
            if isinstance(rows, list) and len(rows) < 20:
                yield f"I8 page {following.page} is asked for after {len(rows)} rows"


_SLEPT_THROUGH = 60.0
"""Seconds; an answer that took longer came while the machine was asleep, and too late."""


def i19_broken_limit_fails(schedule: Schedule, recording: Recording) -> Iterator[str]:
    """A run that was seen to break its limit never passes; 2 for that needs such an answer."""
    if not schedule.abort_if:
        return
    seen = [op for op in recording.ops if shows_breach(op, recording)]
    if seen and recording.exit_code in {0, 3, 4}:
        yield f"I19 exit {recording.exit_code}, although request {seen[0].number} showed a breach"
    in_time = [op for op in seen if op.ended - op.began < _SLEPT_THROUGH]
    clean = [op for op in in_time if op.fault is None and not recording.signals]
    if clean and recording.exit_code != 2:
        yield f"I19 exit {recording.exit_code} instead of 2"
    is_active = any(document(op.reply).get("status") in ACTIVE for op in clean)
    if is_active and not any(op.endpoint == "stop" for op in recording.ops):
        yield "I19 a run that was seen to be broken was not stopped"
    if recording.slug == "aborted" and not seen:
        yield "I19 a run was called broken that no answer has shown to be"


def i20_only_our_run_is_stopped(_schedule: Schedule, recording: Recording) -> Iterator[str]:
    """A stop follows at once on an answer that named our run as the active one."""
    for op, following in pairwise(recording.ops):
        is_after_signal = recording.signals and following.began >= recording.signals[0][0]
        if following.endpoint != "stop" or is_after_signal:
            continue
        found = document(op.reply) if op.endpoint == "status" else None
        named = isinstance(found, dict) and found.get("runId") == recording.run_id
        if not (named and found.get("status") in ACTIVE):
            yield f"I20 request {following.number} stops a run that was not seen to be ours"


CHECKS = (i8_pages_are_needed, i19_broken_limit_fails, i20_only_our_run_is_stopped)

__all__ = [
    "CHECKS", "DIALECT", "MENU", "ever", "expected", "generate", "make_api", "make_world",
    "must_be_decided", "open_gate", "recognised_ours", "said",
    "start_was_answered", "true",
]  # fmt: skip
