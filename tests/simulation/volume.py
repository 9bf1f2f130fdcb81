"""Many seeds through one front end: counts, coverage and violations, on all cores."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from importlib import import_module
from typing import TypeVar

from tests.simulation.checkers import violations
from tests.simulation.recorder import Recording
from tests.simulation.scale import cores
from tests.simulation.schedules import Schedule
from tests.simulation.shrink import narrate, shrink
from tests.simulation.system import system_named

MOST_TOLD = 3
PIECES = 8
"""Pieces for each worker, so that none is left alone with the last one for long."""

Run = Callable[[Schedule], Recording]
Job = TypeVar("Job")
Part = TypeVar("Part")


@dataclass
class Tally:
    """What many schedules of one system have come to."""

    system: str = "trafficmorph"
    schedules: int = 0
    requests: int = 0
    transient: int = 0
    exits: Counter[int | None] = field(default_factory=Counter)
    cells: Counter[tuple[str, str]] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, schedule: Schedule, recording: Recording, wrong: list[str]) -> None:
        self.schedules += 1
        self.requests += len(recording.ops)
        self.transient += schedule.only_transient
        self.exits[recording.exit_code] += 1
        self.cells.update((op.endpoint, op.fault.cell) for op in recording.ops if op.fault)
        self.broken.update({text.split()[0] for text in wrong})

    def merge(self, other: Tally) -> None:
        self.schedules += other.schedules
        self.requests += other.requests
        self.transient += other.transient
        self.exits += other.exits
        self.cells += other.cells
        self.broken += other.broken
        self.failures = [*self.failures, *other.failures][:MOST_TOLD]

    def thinnest_cells(self) -> list[tuple[int, str]]:
        """All cells of the coverage table with their hits, the least hit first."""
        return sorted(
            (self.cells[endpoint, f"{kind}/{'after' if acted else 'before'}"], f"{endpoint} {kind}")
            for endpoint, kind, acted in system_named(self.system).MENU.cells
        )

    def report(self) -> str:
        exits = " ".join(f"{code}:{count}" for code, count in sorted(self.exits.items(), key=str))
        thinnest, where = self.thinnest_cells()[0]
        menu = system_named(self.system).MENU
        return (
            f"{self.system}: {self.schedules} schedules, {self.requests} requests, "
            f"{self.seconds:.0f} s, {len(menu.cells)} cells of {len(menu.kinds)} kinds, "
            f"thinnest {thinnest} ({where}), {self.transient} with transient faults only, "
            f"exits {exits}, violations {dict(self.broken) or 0}"
        )


def run_all(
    front_end: str, seeds: range, *, system: str = "trafficmorph", workers: int | None = None
) -> Tally:
    """Run a system's schedules of all seeds through `tests.simulation.<front_end>.run`."""
    began = time.monotonic()
    tally = Tally(system)
    jobs = [(front_end, system, piece) for piece in _pieces(seeds)]
    for part in in_pieces(run_piece, jobs, workers):
        tally.merge(part)
    tally.seconds = time.monotonic() - began
    return tally


def run_piece(job: tuple[str, str, range]) -> Tally:
    front_end, system, seeds = job
    run: Run = import_module(f"tests.simulation.{front_end}").run
    return judge_all(map(system_named(system).generate, seeds), run, system=system)


def judge_all(schedules: Iterable[Schedule], run: Run, *, system: str = "trafficmorph") -> Tally:
    """Run and check schedules of one system; what fails is shrunk and told."""
    tally = Tally(system)
    for schedule in schedules:
        recording = run(schedule)
        wrong = violations(schedule, recording)
        tally.add(schedule, recording, wrong)
        if wrong and len(tally.failures) < MOST_TOLD:
            tally.failures.append(explain(schedule, run, wrong))
    return tally


def explain(schedule: Schedule, run: Run, wrong: list[str]) -> str:
    """Shrink a failing schedule and tell it."""
    invariant = wrong[0].split()[0]

    def fails(smaller: Schedule) -> bool:
        return any(text.startswith(invariant) for text in violations(smaller, run(smaller)))

    small = shrink(schedule, fails)
    recording = run(small)
    return narrate(small, recording, violations(small, recording))


def in_pieces(
    work: Callable[[Job], Part], jobs: list[Job], workers: int | None = None
) -> Iterable[Part]:
    """Do jobs in processes of their own, one for each free core; in this one under a tracer."""
    count = workers or cores()
    if count == 1 or len(jobs) == 1 or sys.gettrace() or "coverage" in sys.modules:
        return map(work, jobs)
    return _in_processes(work, jobs, count)


def _in_processes(work: Callable[[Job], Part], jobs: list[Job], count: int) -> Iterable[Part]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context) as pool:
        yield from pool.map(work, jobs)


def _pieces(seeds: range) -> list[range]:
    size = max(len(seeds) // (cores() * PIECES), 1)
    return [seeds[at : at + size] for at in range(0, len(seeds), size)]
