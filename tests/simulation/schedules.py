"""Schedules: everything that will go wrong in one invocation; each system makes its own from seeds.

Uniform chance rarely reaches the dangerous corners, so the generators lean towards them: in half of
the schedules the truth fails the gate, others' passing runs lie beside ours, and many starts are
lost after they have happened. Each seed moreover stands for one cell of the coverage table, whose
fault comes first.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.simulation.nemesis import Blow
from tests.simulation.plan import FINAL_STATUSES, LOST, Fault, Menu
from tests.simulation.system import Truth, system_of

GATED = ("FAIL", "WARN", "NO_BASELINE")
DEFAULT_TIMEOUTS = (1800.0, 60.0)


@dataclass(frozen=True)
class Schedule:
    """One invocation and its misfortunes; durations in seconds.

    `wish` is what the invocation asks of a system that has more to ask than a gate.
    """

    seed: int
    truth: Truth
    fail_on: tuple[str, ...] = ("FAIL",)
    plan: dict[str, tuple[Fault | None, ...]] = field(default_factory=dict)
    blows: tuple[Blow, ...] = ()
    wait_timeout: float = 1800.0
    verdict_timeout: float = 60.0
    interval: float | None = None
    uses_region: bool = False
    style: int = 0
    wish: object = None
    abort_if: tuple[str, ...] = ()

    @property
    def only_transient(self) -> bool:
        """Whether tm must reach the true verdict: nothing but reads that fail for a while."""
        return system_of(self).must_be_decided(self)

    def has_only_reads_that_fail(
        self, menu: Menu, *, harmless: Sequence[str] = (), before_start: Sequence[str] = ()
    ) -> bool:
        """Whether no blow does harm, and no fault says more than that nothing was observed.

        Reads `before_start` are attempted three times, a start as long as it cannot have left.
        """
        if any(blow.action not in harmless for blow in self.blows):
            return False
        start = self.plan.get("start", ())
        early = [sum(map(bool, self.plan.get(name, ()))) for name in before_start]
        return (
            len(start) <= 2
            and all(f is None or (f.kind in LOST and not LOST[f.kind].maybe_sent) for f in start)
            and max(early, default=0) <= 2
            and all(
                fault is None or fault.kind in menu.transient
                for endpoint, faults in self.plan.items()
                if endpoint != "start"
                for fault in faults
            )
        )

    def lost_on(self, *endpoints: str) -> float:
        """How many seconds the faults of these endpoints can cost, the longest pauses included."""
        return sum(_cost(fault) for name in endpoints for fault in self.plan.get(name, ()))


def _cost(fault: Fault | None) -> float:
    if fault is None:
        return 0.0
    return 36.0 if fault.retry_after() is None else 340.0


def random_gate(chance: random.Random) -> tuple[str, ...]:
    """Verdicts to fail on; none at all in a tenth."""
    if chance.random() < 0.1:
        return ()
    chosen = [verdict for verdict in GATED if chance.random() < 0.5]
    return tuple(chosen or ["FAIL"])


def random_plan(
    chance: random.Random, menu: Menu, *, density: float
) -> dict[str, tuple[Fault | None, ...]]:
    """Up to six faults for each endpoint, and requests between them that pass."""
    plan: dict[str, tuple[Fault | None, ...]] = {}
    for endpoint in menu.endpoints:
        faults: list[Fault | None] = []
        while len(faults) < 6 and chance.random() < density + 0.1 * len(faults):
            faults.append(random_fault(chance, menu, endpoint) if chance.random() < 0.8 else None)
        if faults:
            plan[endpoint] = tuple(faults)
    return plan


def random_fault(chance: random.Random, menu: Menu, endpoint: str) -> Fault:
    """Any fault; those that end a wait at once are half as frequent."""
    kind = chance.choice(menu.kinds)
    if kind in FINAL_STATUSES | menu.decisive and chance.random() < 0.5:
        kind = chance.choice(menu.kinds)
    return Fault(kind, chance.choice(menu.possible_phases(endpoint, kind)), chance.randrange(1000))


def lost_after_acting(chance: random.Random, menu: Menu) -> Fault:
    """A start that has happened although its answer never came."""
    kinds = [kind for kind in menu.kinds if menu.possible_phases("start", kind) == (False, True)]
    return Fault(chance.choice(kinds), True, chance.randrange(1000))
