"""What happens to the service, the machine and tm while tm waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.simulation.clock import VirtualClock
from tests.simulation.system import World


@dataclass(frozen=True, slots=True)
class Blow:
    """An action at a time, or just before the request of that number; `arg` is its size."""

    action: str
    arg: float | str = 0
    at: float | None = None
    request: int | None = None


class Nemesis:
    """Deals the blows; `interrupt` raises what a signal handler of tm would."""

    def __init__(
        self, world: World, clock: VirtualClock, interrupt: Callable[[int], None] | None = None
    ) -> None:
        self._world = world
        self._clock = clock
        self._interrupt = interrupt

    def deal(self, blow: Blow) -> None:
        """Let it happen, to tm, to the machine or else to the world."""
        match blow.action:
            case "signal":
                if self._interrupt:
                    self._interrupt(int(blow.arg))
            case "wall-step":
                self._clock.step_wall(float(blow.arg))
            case "suspend":
                self._clock.suspend(float(blow.arg))
            case _:
                end = self._world.blows()[blow.action](blow.arg)
                if end is not None:
                    self._clock.plan(self._clock.elapsed + float(blow.arg), end)
