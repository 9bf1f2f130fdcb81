"""Strait for the engine; see `tests.simulation.system.System`."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from tests.simulation.raw_seam import Simulation
from tests.simulation.recorder import Recording
from tests.simulation.schedules import Schedule
from tests.simulation.strait.api import Api
from tests.simulation.strait.evidence import (
    ever,
    recognised_ours,
    said,
    start_was_answered,
    true,
    wish_of,
)
from tests.simulation.strait.menu import MENU
from tests.simulation.strait.schedules import generate, must_be_decided
from tests.simulation.strait.wish import LONGEST
from tests.simulation.strait.world import USER_KEY, Truth, World
from tests.simulation.system import Dialect, Subject
from tm_cli.api.strait import StraitClient, read_strait_error
from tm_cli.backends.strait.conditions import parse_longest, parse_result_check
from tm_cli.backends.strait.results import may_change_status
from tm_cli.backends.strait.runs import StartPlan, StraitRuns, TriggeredRuns
from tm_cli.backends.strait.trigger import TriggerRequest
from tm_cli.commands.jobs.client import PER_MINUTE, trigger_budget
from tm_cli.values.verdict import Verdict

DIALECT = Dialect(
    before_start={"list": "snapshot", "run": "subject"},
    scan="run",
    unpaced=frozenset({"start", "stop", "list"}),
    connection={"bearer": True},
    explain=read_strait_error,
    repeats_under_a_key=True,
    per_minute=PER_MINUTE,
    refuse=Api.refuse,
)
TICK = 0.5
LISTENS_FOR = 40.0
"""Seconds; then the stream says nothing any more."""


def make_world(truth: Truth, now: Callable[[], float]) -> World:
    return World(truth, now)


def make_api(world: World, *, style: int) -> Api:
    return Api(world, style=style)


def open_gate(simulation: Simulation, transport: Any) -> Subject:
    """What `tm jobs start --wait` and `tm jobs wait` build; the job is known already."""
    world, clock, wish = simulation.world, simulation.clock, wish_of(simulation.schedule)
    client = StraitClient(transport, clock)

    numbers = itertools.count()

    def new_key() -> str:
        return f"tm-{next(numbers)}"

    def make_request() -> TriggerRequest:
        merges = world.truth.merges
        if wish.user_key:
            return TriggerRequest(world.job_id, {}, USER_KEY, may_merge=merges)
        return TriggerRequest(world.job_id, {}, new_key(), new_key, merges)

    plan = StartPlan(make_request, wish.reuses, trigger_budget(clock))
    canceled_as = Verdict(wish.canceled_as)
    runs = (
        StraitRuns(client, clock, "export", canceled_as)
        if wish.waits
        else TriggeredRuns(client, clock, "export", canceled_as, plan=plan)
    )
    runs.listen = _listener(simulation) if wish.listens else None
    checks = [parse_result_check(text) for text in wish.conditions]
    limits = [parse_longest(f"{LONGEST:g}s")] if wish.limits_duration else []
    attach_to = None
    if wish.waits:
        run_id = world.waited_for()
        attach_to = runs.attach(run_id, client.get_run(run_id).status)
    return Subject(runs, (*checks, *limits), attach_to)


def _listener(simulation: Simulation) -> Callable[[str, Callable[[], None]], None]:
    """A stream: it says what the world says, when that happens."""
    world, clock = simulation.world, simulation.clock

    def listen(run_id: str, ring: Callable[[], None]) -> None:
        world.listen(
            run_id, lambda data: ring() if data is None or may_change_status(data) else None
        )
        until = clock.elapsed + LISTENS_FOR

        def tick() -> None:
            world.settle()
            if clock.elapsed < until:
                clock.plan(clock.elapsed + TICK, tick)

        tick()

    return listen


def expected(schedule: Schedule, recording: Recording) -> str:
    return " or ".join(sorted(map(str, ever(schedule, recording)))) or "none yet"


CHECKS = ()

__all__ = [
    "CHECKS", "DIALECT", "MENU", "ever", "expected", "generate", "make_api", "make_world",
    "must_be_decided", "open_gate", "recognised_ours", "said",
    "start_was_answered", "true",
]  # fmt: skip
