"""Runloop for the engine; see `tests.simulation.system.System`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

from tests.simulation.documents import document
from tests.simulation.raw_seam import Simulation
from tests.simulation.recorder import Recording
from tests.simulation.runloop.api import Api
from tests.simulation.runloop.driver import PlayedDriver
from tests.simulation.runloop.evidence import (
    ever,
    recognised_ours,
    said,
    start_was_answered,
    true,
    wish_of,
)
from tests.simulation.runloop.menu import MENU
from tests.simulation.runloop.schedules import generate, must_be_decided
from tests.simulation.runloop.world import BENCHMARK, Truth, World
from tests.simulation.schedules import Schedule
from tests.simulation.system import Dialect, Subject
from tests.simulation.wire import TIMEOUT
from tm_cli.api.runloop import BenchmarkRun, RunloopClient, read_runloop_error
from tm_cli.backends.runloop.baseline import (
    BaselineQuery,
    expect,
    find_benchmark,
    get_run,
    select_baseline,
)
from tm_cli.backends.runloop.driven_runs import DrivenRuns
from tm_cli.backends.runloop.rules import Rules
from tm_cli.backends.runloop.runs import BenchmarkRuns, BenchmarkTerms, StartOptions
from tm_cli.commands.benchmarks.actions import PER_MINUTE

DIALECT = Dialect(
    before_start={"run": "early-run", "list": "early-list", "items": "early-items"},
    scan="run",
    unpaced=frozenset({"start", "list", "stop", "cancel", "complete"}),
    connection={"bearer": True},
    explain=read_runloop_error,
    per_minute=PER_MINUTE,
)


def make_world(truth: Truth, now: Callable[[], float]) -> World:
    return World(truth, now)


def make_api(world: World, *, style: int) -> Api:
    return Api(world, style=style)


def open_gate(simulation: Simulation, transport: Any) -> Subject:
    """What `tm benchmarks start --wait` and `tm benchmarks wait` do before they wait."""
    world, clock, wish = simulation.world, simulation.clock, wish_of(simulation.schedule)
    tokens = map(str, itertools.count())
    client = RunloopClient(transport, clock, lambda: next(tokens))
    names = {field.name for field in fields(Rules)}
    rules = Rules(
        **{field.name: getattr(wish, field.name) for field in fields(wish) if field.name in names}
    )
    than = get_run(client, world.waited_for()) if wish.waits else None
    terms = _terms(client, rules, BaselineQuery(wish.baseline), than)
    runs = BenchmarkRuns(
        client,
        clock,
        BENCHMARK,
        subject="agents",
        terms=terms,
        make_token=lambda: next(tokens),
        start=StartOptions(wish.name),
    )
    if than is not None:
        return Subject(runs, attach_to=runs.attach(than.id))
    if wish.driver is None:
        return Subject(runs)
    world.has_driver = True
    seconds, code = world.truth.duration, wish.driver

    def spawn(_environ: object) -> PlayedDriver:
        return PlayedDriver(lambda: clock.elapsed, seconds, code)

    limit = simulation.schedule.wait_timeout
    return Subject(DrivenRuns(runs, clock, spawn, wait_timeout=limit))


def _terms(
    client: RunloopClient, rules: Rules, wish: BaselineQuery, than: BenchmarkRun | None
) -> BenchmarkTerms:
    """Fix what the run is judged by, in the order of the commands."""
    benchmark = find_benchmark(client, than.benchmark_id or "" if than else BENCHMARK)
    if than is None:
        expected = expect(benchmark, rules)
        return BenchmarkTerms(rules, expected, select_baseline(client, benchmark.id, rules, wish))
    baseline = select_baseline(client, than.benchmark_id, rules, wish, than=than)
    return BenchmarkTerms(rules, expect(benchmark, rules, to_run=False), baseline)


def expected(schedule: Schedule, recording: Recording) -> str:
    """What the last state of the run deserves: its score comes after its end."""
    last = true(schedule, recording) - {None}
    return " or ".join(sorted(map(str, last))) or "none yet"


def i8_pages_are_needed(_schedule: Schedule, recording: Recording) -> Iterator[str]:
    """A further page is asked for only where one was promised, and once."""
    for op, following in itertools.pairwise(recording.ops):
        if op.endpoint == following.endpoint and following.page:
            if following.page == op.page and op.ended - op.began > TIMEOUT:
                continue  # the machine was suspended, and the answer came too late
            found = document(op.reply)
            if isinstance(found, dict) and found.get("has_more") is not True:
                yield f"I8 a page after {following.page}, which nobody has promised"
            elif op.page == following.page and isinstance(found, dict):
                yield f"I8 the page after {op.page} twice"


CHECKS = (i8_pages_are_needed,)

__all__ = [
    "CHECKS", "DIALECT", "MENU", "ever", "expected", "generate", "make_api", "make_world",
    "must_be_decided", "open_gate", "recognised_ours", "said",
    "start_was_answered", "true",
]  # fmt: skip
