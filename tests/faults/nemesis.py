"""What happens to the service, the machine and tm while tm waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from faults.clock import VirtualClock
from faults.world import World

DESTRUCTIVE = frozenset(
    {"other-start", "restart", "purge", "delete-row", "stop", "recompute", "duplicate", "signal"}
)
ACTIONS = (*sorted(DESTRUCTIVE), "insert-rows", "wall-step", "suspend", "pause")


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
        self.dealt: list[tuple[float, Blow]] = []

    def deal(self, blow: Blow) -> None:
        self.dealt.append((self._clock.elapsed, blow))
        size = blow.arg
        if blow.action == "signal":
            if self._interrupt:
                self._interrupt(int(size))
            return
        {
            "other-start": lambda: self._world.start(ours=False),
            "restart": self._world.restart,
            "purge": self._world.purge,
            "delete-row": self._world.delete_ours,
            "stop": self._world.stop,
            "recompute": lambda: self._world.recompute(str(size)),
            "duplicate": lambda: self._world.duplicate(str(size)),
            "insert-rows": lambda: self._world.insert_rows(int(size)),
            "wall-step": lambda: self._clock.step_wall(float(size)),
            "suspend": lambda: self._clock.suspend(float(size)),
            "pause": lambda: self._pause(float(size)),
        }[blow.action]()

    def _pause(self, seconds: float) -> None:
        self._world.pause()
        self._clock.plan(self._clock.elapsed + seconds, self._world.resume)
