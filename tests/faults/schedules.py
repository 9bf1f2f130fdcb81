"""Schedules: everything that will go wrong in one invocation, made from a seed.

Uniform chance rarely reaches the dangerous corners, so the generator leans towards them: in half of
the schedules the truth fails the gate, in a quarter others' passing rows lie beside ours, and a
fifth of the starts are lost after they have happened. Each seed moreover stands for one cell of the
coverage table, whose fault comes first.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from faults.nemesis import ACTIONS, Blow
from faults.plan import DECISIVE, FINAL_STATUSES, KINDS, LOST, TRANSIENT, Fault, possible_phases
from faults.world import VERDICTS, Truth

GATED = ("FAIL", "WARN", "NO_BASELINE")
ENDPOINTS = ("snapshot", "start", "status", "history", "detail", "profile")
CELLS = tuple(
    (endpoint, kind, acted)
    for endpoint in ENDPOINTS
    for kind in KINDS
    for acted in possible_phases(endpoint, kind)
)
UNSENT = tuple(sorted(kind for kind, loss in LOST.items() if not loss.maybe_sent))
ODD_TRUTHS = ("ERROR", "pass", "PASSED", " PASS")


@dataclass(frozen=True)
class Schedule:
    """One invocation and its misfortunes; durations in seconds."""

    seed: int
    truth: Truth = field(default_factory=Truth)
    fail_on: tuple[str, ...] = ("FAIL",)
    plan: dict[str, tuple[Fault | None, ...]] = field(default_factory=dict)
    blows: tuple[Blow, ...] = ()
    wait_timeout: float = 1800.0
    verdict_timeout: float = 60.0
    interval: float | None = None
    uses_region: bool = False
    style: int = 0

    @property
    def only_transient(self) -> bool:
        """Whether tm must reach the true verdict: nothing but reads that fail for a while."""
        if any(blow.action != "insert-rows" for blow in self.blows):
            return False
        if self.truth.status_lag or self.truth.verdict not in VERDICTS:
            return False
        start = self.plan.get("start", ())
        snapshot = [fault for fault in self.plan.get("snapshot", ()) if fault]
        return (
            len(start) <= 2
            and all(f is None or (f.kind in LOST and not LOST[f.kind].maybe_sent) for f in start)
            and len(snapshot) <= 2
            and all(
                fault is None or fault.kind in TRANSIENT
                for endpoint, faults in self.plan.items()
                if endpoint != "start"
                for fault in faults
            )
            and self._has_time()
        )

    def _has_time(self) -> bool:
        """Whether the limits leave room for every fault, the longest pauses included."""
        worst = {name: sum(map(_cost, faults)) for name, faults in self.plan.items()}
        looks = worst.get("status", 0.0) + worst.get("profile", 0.0)
        judged = self.truth.row_delay + self.truth.verdict_delay + self.truth.history_lag
        return self.wait_timeout >= self.truth.duration + looks + 30 and (
            self.verdict_timeout >= judged + worst.get("history", 0.0) + 15
        )


def _cost(fault: Fault | None) -> float:
    if fault is None:
        return 0.0
    return 36.0 if fault.retry_after() is None else 340.0


def seeds(count: int, *, first: int = 0) -> range:
    """The seeds of a test: `TM_FAULT_SEED` alone when it is set."""
    chosen = os.environ.get("TM_FAULT_SEED")
    return range(int(chosen), int(chosen) + 1) if chosen else range(first, first + count)


def generate(seed: int) -> Schedule:
    """Return the schedule of a seed."""
    chance = random.Random(seed)
    endpoint, kind, acted = CELLS[seed % len(CELLS)]
    if seed // len(CELLS) % 5 == 4:
        return _transient(seed, chance)
    fail_on = _gate(chance)
    truth = _truth(chance, fail_on, has_status=endpoint != "profile" and chance.random() < 0.9)
    focus = Fault(kind, acted, chance.randrange(1000))
    late = endpoint in {"detail", "history", "profile"}
    plan = _plan(chance, density=0.1 if late else 0.3)
    plan[endpoint] = (focus, *plan.get(endpoint, ())[1:])
    if kind in UNSENT and endpoint == "start":
        plan[endpoint] = (focus,) * chance.choice((1, 2, 3, 4))
    if endpoint != "start":
        plan.pop("start", None)
        if chance.random() < 0.2 and not late:
            plan["start"] = (_lost_after_acting(chance),)
    if late:
        plan.pop("snapshot", None)
    return Schedule(
        seed,
        truth,
        fail_on,
        plan,
        _blows(chance, truth, often=0.25 if late else 0.5),
        wait_timeout=chance.choice((truth.duration * 0.6 + 0.1, 300.0, 1800.0, 1800.0, 1800.0)),
        verdict_timeout=chance.choice((0.0, 2.0, 2.0, 4.0)) if chance.random() < 0.9 else 60.0,
        interval=chance.choice((None, None, 1.0, 5.0, 12.0)),
        uses_region=chance.random() < 0.3,
        style=chance.randrange(1000) if chance.random() < 0.1 else 0,
    )


def _transient(seed: int, chance: random.Random) -> Schedule:
    """Only reads that fail, in a world that answers in time: tm must find the verdict."""
    fail_on = _gate(chance) or ("FAIL",)
    verdict = chance.choice(VERDICTS)
    truth = Truth(
        verdict,
        duration=chance.choice((2.0, 10.0, 30.0)),
        row_delay=chance.choice((0.0, 0.3, 1.0)),
        verdict_delay=chance.choice((0.0, 0.5, 2.0)),
        has_status=chance.random() < 0.8,
        names_rows=chance.random() < 0.9,
    )
    kinds = sorted(TRANSIENT)
    plan: dict[str, tuple[Fault | None, ...]] = {}
    for name, most in (("snapshot", 2), ("status", 5), ("history", 4), ("detail", 1)):
        count = chance.randrange(most + 1)
        plan[name] = tuple(
            Fault(chance.choice(kinds), arg=chance.randrange(600)) for _ in range(count)
        )
    plan["start"] = tuple(Fault(chance.choice(UNSENT)) for _ in range(chance.randrange(3)))
    blows = ()
    if truth.names_rows and chance.random() < 0.2:
        at = round(chance.uniform(0, truth.duration + truth.row_delay + 1), 2)
        blows = (Blow("insert-rows", chance.choice((3, 20, 21, 50)), at=at),)
    return Schedule(
        seed,
        truth,
        fail_on,
        plan,
        blows,
        wait_timeout=3600.0,
        verdict_timeout=1800.0,
        uses_region=chance.random() < 0.3,
        style=chance.randrange(1, 50) if chance.random() < 0.1 else 0,
    )


def _gate(chance: random.Random) -> tuple[str, ...]:
    if chance.random() < 0.1:
        return ()
    chosen = [verdict for verdict in GATED if chance.random() < 0.5]
    return tuple(chosen or ["FAIL"])


def _truth(chance: random.Random, fail_on: tuple[str, ...], *, has_status: bool) -> Truth:
    verdict: str | None = chance.choice([v for v in VERDICTS if v not in fail_on])
    if fail_on and chance.random() < 0.55:
        verdict = chance.choice(fail_on)
    elif chance.random() < 0.1:
        verdict = chance.choice((None, *ODD_TRUTHS))
    return Truth(
        verdict,
        duration=chance.choice((0.5, 3.0, 10.0, 20.0, 45.0)),
        row_delay=chance.choice((0.0, 0.3, 0.8)) if chance.random() < 0.95 else 20.0,
        verdict_delay=chance.choice((0.0, 0.3, 1.0)) if chance.random() < 0.95 else 40.0,
        earlier=chance.choice((0, 1, 2, 25)) if chance.random() < 0.1 else 2,
        earlier_verdict=chance.choice(("PASS", "PASS", "FAIL")),
        others_verdict=chance.choice(("PASS", "PASS", "PASS", "FAIL")),
        status_lag=chance.choice((2.0, 15.0)) if chance.random() < 0.1 else 0.0,
        history_lag=chance.choice((1.0, 20.0)) if chance.random() < 0.15 else 0.0,
        has_status=has_status,
        names_rows=chance.random() < 0.93,
        keeps_replaced=chance.random() < 0.3,
        keeps_stopped=chance.random() < 0.5,
        judges_stopped=chance.random() < 0.5,
        tags=("ci", "nightly") if (tagged := chance.random() < 0.3) else (),
        others_tags=("nightly", "ci", "x") if tagged and chance.random() < 0.7 else (),
    )


def _plan(chance: random.Random, *, density: float) -> dict[str, tuple[Fault | None, ...]]:
    plan: dict[str, tuple[Fault | None, ...]] = {}
    for endpoint in ENDPOINTS:
        faults: list[Fault | None] = []
        while len(faults) < 6 and chance.random() < density + 0.1 * len(faults):
            faults.append(_fault(chance, endpoint) if chance.random() < 0.8 else None)
        if faults:
            plan[endpoint] = tuple(faults)
    return plan


def _fault(chance: random.Random, endpoint: str) -> Fault:
    kind = chance.choice(KINDS)
    if kind in FINAL_STATUSES | DECISIVE and chance.random() < 0.5:
        kind = chance.choice(KINDS)
    return Fault(kind, chance.choice(possible_phases(endpoint, kind)), chance.randrange(1000))


def _lost_after_acting(chance: random.Random) -> Fault:
    kinds = [kind for kind in KINDS if possible_phases("start", kind) == (False, True)]
    return Fault(chance.choice(kinds), True, chance.randrange(1000))


def _blows(chance: random.Random, truth: Truth, *, often: float) -> tuple[Blow, ...]:
    blows = []
    while len(blows) < 4 and chance.random() < often:
        action = chance.choice(ACTIONS)
        if not truth.names_rows and action in {"other-start", "insert-rows"}:
            continue  # rows without ids of two clients in one minute: nobody can tell them apart
        blows.append(_blow(chance, action, truth))
    return tuple(blows)


def _blow(chance: random.Random, action: str, truth: Truth) -> Blow:
    arg: float | str = {
        "insert-rows": chance.choice((1, 1, 3, 3, 19, 20, 21, 50)),
        "wall-step": chance.choice((-3600.0, 3600.0, -3e8, 3e8, 1.0)),
        "suspend": chance.choice((5.0, 600.0, 7200.0)),
        "pause": chance.choice((4.0, 60.0)),
        "recompute": chance.choice(VERDICTS),
        "duplicate": chance.choice(VERDICTS),
        "signal": chance.choice((1, 2, 15)),
    }.get(action, 0)
    if chance.random() < 0.3:
        return Blow(action, arg, request=chance.randrange(12))
    if chance.random() < 0.2:  # while the start is under way, or hangs
        return Blow(action, arg, at=round(chance.uniform(0, chance.choice((0.1, 30.0))), 3))
    span = truth.duration + truth.row_delay + truth.verdict_delay + 2
    return Blow(action, arg, at=round(chance.uniform(0, span), 2))


def schedules(chosen: range) -> Iterator[Schedule]:
    """The schedules of some seeds."""
    return (generate(seed) for seed in chosen)
