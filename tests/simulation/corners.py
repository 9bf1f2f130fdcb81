"""Hand-made schedules that have a right end; each system has its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module

from tests.simulation.checkers import violations
from tests.simulation.raw_seam import run
from tests.simulation.recorder import Recording
from tests.simulation.schedules import Schedule
from tests.simulation.system import NAMES


@dataclass(frozen=True)
class Corner:
    """A schedule and the only exit codes that are right."""

    name: str
    schedule: Schedule
    exits: frozenset[int] = field(default_factory=frozenset)

    def judge(self) -> tuple[Recording, list[str]]:
        """Play it; return what happened, and everything that is wrong with it."""
        recording = run(self.schedule)
        wrong = violations(self.schedule, recording)
        if recording.exit_code not in self.exits:
            wrong.append(f"exit {recording.exit_code}, not {sorted(self.exits)}")
        return recording, wrong


def corners(*names: str) -> Iterator[tuple[str, Corner]]:
    """The corners of these systems, or of all, each with the name of its system."""
    for name in names or NAMES:
        for corner in import_module(f"tests.simulation.{name}.corners").CORNERS:
            yield name, corner
