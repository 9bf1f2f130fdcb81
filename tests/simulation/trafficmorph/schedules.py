"""TrafficMorph's schedules."""

from __future__ import annotations

import random
from dataclasses import replace

from tests.simulation.nemesis import Blow
from tests.simulation.plan import UNSENT, Fault
from tests.simulation.schedules import (
    Schedule,
    lost_after_acting,
    random_gate,
    random_plan,
)
from tests.simulation.trafficmorph.menu import MENU
from tests.simulation.trafficmorph.world import DESTRUCTIVE, VERDICTS, Truth

LIMIT = "p95>2s for 10s"
ODD_TRUTHS = ("ERROR", "pass", "PASSED", " PASS")
ACTIONS = (*sorted(DESTRUCTIVE | {"signal"}), "insert-rows", "wall-step", "suspend", "pause")


def generate(seed: int) -> Schedule:
    """Return the schedule of a seed."""
    chance = random.Random(seed)
    endpoint, kind, acted = MENU.cells[seed % len(MENU.cells)]
    if seed // len(MENU.cells) % 5 == 4:
        return _transient(seed, chance)
    fail_on = random_gate(chance)
    truth = _truth(chance, fail_on, has_status=endpoint != "profile" and chance.random() < 0.9)
    focus = Fault(kind, acted, chance.randrange(1000))
    late = endpoint in {"detail", "history", "profile"}
    plan = random_plan(chance, MENU, density=0.1 if late else 0.3)
    plan[endpoint] = (focus, *plan.get(endpoint, ())[1:])
    if kind in UNSENT and endpoint == "start":
        plan[endpoint] = (focus,) * chance.choice((1, 2, 3, 4))
    if endpoint != "start":
        plan.pop("start", None)
        if chance.random() < 0.2 and not late:
            plan["start"] = (lost_after_acting(chance, MENU),)
    if late:
        plan.pop("snapshot", None)
    limits = random.Random(-seed - 1)
    if has_limits := limits.random() < 0.15:
        truth = replace(truth, slow_from=limits.choice((0.0, 5.0, 15.0, 600.0)))
        kinds = (None, None, Fault("503"), Fault("hang", True), Fault("reset", True), Fault("dns"))
        plan["stop"] = tuple(limits.choice(kinds) for _ in range(limits.randrange(5)))
    return Schedule(
        seed,
        truth,
        fail_on,
        plan,
        _blows(chance, truth, often=0.25 if late else 0.5),
        abort_if=(LIMIT,) if has_limits else (),
        wait_timeout=chance.choice((truth.duration * 0.6 + 0.1, 300.0, 1800.0, 1800.0, 1800.0)),
        verdict_timeout=chance.choice((0.0, 2.0, 2.0, 4.0)) if chance.random() < 0.9 else 60.0,
        interval=chance.choice((None, None, 1.0, 5.0, 12.0)),
        uses_region=chance.random() < 0.3,
        style=chance.randrange(1000) if chance.random() < 0.1 else 0,
    )


def must_be_decided(schedule: Schedule) -> bool:
    """Whether only reads fail, and the limits leave room for all of that."""
    truth = schedule.truth
    if schedule.abort_if:
        return False
    if not isinstance(truth, Truth) or truth.status_lag or truth.verdict not in VERDICTS:
        return False
    looks = schedule.lost_on("status", "profile")
    judged = truth.row_delay + truth.verdict_delay + truth.history_lag
    return (
        schedule.has_only_reads_that_fail(
            MENU, harmless=("insert-rows",), before_start=("snapshot",)
        )
        and schedule.wait_timeout >= truth.duration + looks + 30
        and schedule.wait_timeout >= schedule.lost_on("snapshot")
        and schedule.verdict_timeout >= judged + schedule.lost_on("history") + 15
    )


def _transient(seed: int, chance: random.Random) -> Schedule:
    """Only reads that fail, in a world that answers in time: tm must find the verdict."""
    fail_on = random_gate(chance) or ("FAIL",)
    verdict = chance.choice(VERDICTS)
    truth = Truth(
        verdict,
        duration=chance.choice((2.0, 10.0, 30.0)),
        row_delay=chance.choice((0.0, 0.3, 1.0)),
        verdict_delay=chance.choice((0.0, 0.5, 2.0)),
        has_status=chance.random() < 0.8,
        names_rows=chance.random() < 0.9,
    )
    kinds = sorted(MENU.transient)
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
