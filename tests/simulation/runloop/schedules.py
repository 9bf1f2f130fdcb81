"""Runloop's schedules."""

from __future__ import annotations

import random
from dataclasses import replace

from tests.simulation.nemesis import Blow
from tests.simulation.plan import UNSENT, Cell, Fault, Plan
from tests.simulation.runloop.menu import MENU
from tests.simulation.runloop.wish import Wish
from tests.simulation.runloop.world import DESTRUCTIVE, EARLIER_ID, NAME, Truth
from tests.simulation.schedules import Schedule, lost_after_acting, random_gate, random_plan

EARLY = ("benchmark", "early-run", "early-list", "early-items")
LYING_SCORES = (None, float("nan"), 1.5, -1.0, "0.9", True, [1.0], {"score": 1.0})
ODD_ENDINGS = ("done", "finished", "success", "passed", "complete")
HARMLESS = ("other-start", "edit-benchmark")
ACTIONS = (*sorted(DESTRUCTIVE), *HARMLESS, "wall-step", "suspend", "signal")


def generate(seed: int) -> Schedule:
    """Return the schedule of a seed."""
    chance = random.Random(f"runloop {seed}")
    if seed % 5 == 4:
        return _transient(seed, chance)
    cell = MENU.cells[(seed - seed // 5) % len(MENU.cells)]
    truth, wish = _aimed(cell, _truth(chance), _wish(chance))
    plan = _plan(chance, cell)
    if "start" in plan or "list" in plan:
        wish = replace(wish, waits=False)
    wish = replace(wish, driver=None) if wish.waits else wish
    return Schedule(
        seed,
        truth,
        _gate(chance, truth, plan),
        plan,
        () if cell[0] == "complete" else _blows(chance, truth),
        wait_timeout=chance.choice((truth.duration * 0.6 + 0.5, 60.0, 60.0, 120.0)),
        verdict_timeout=chance.choice((0.0, 2.0, 4.0, 60.0)),
        interval=chance.choice((None, None, 1.0, 5.0, 12.0)),
        style=chance.randrange(1000) if chance.random() < 0.1 else 0,
        wish=wish,
    )


def _plan(chance: random.Random, cell: Cell) -> dict[str, tuple[Fault | None, ...]]:
    """The cell's fault first, and others that leave a chance of coming to it."""
    endpoint, kind, acted = cell
    focus = Fault(kind, acted, chance.randrange(1000))
    if endpoint == "complete":
        return {endpoint: (focus,)}
    is_early = endpoint in EARLY
    plan = random_plan(chance, MENU, density=0.15 if is_early else 0.3)
    if endpoint == "list" or (not is_early and chance.random() < 0.2):
        plan["start"] = (lost_after_acting(chance, MENU),)
    elif chance.random() < 0.7:
        plan.pop("start", None)
    again = chance.choice((1, 2, 3, 4)) if kind in UNSENT and endpoint == "start" else 1
    plan[endpoint] = ((focus,) * again + plan.get(endpoint, ())[1:])[:6]
    return {name: faults for name, faults in plan.items() if name == endpoint or name not in EARLY}


def _aimed(cell: Cell, truth: Truth, wish: Wish) -> tuple[Truth, Wish]:
    """The same, so that tm comes to ask for this endpoint."""
    endpoint, kind, _ = cell
    match endpoint:
        case "early-run":
            wish = replace(wish, baseline=EARLIER_ID)
        case "early-list" | "early-items":
            wish = replace(wish, baseline="last", max_drop=0.05)
            truth = replace(truth, has_baseline=True)
        case "start":
            wish = replace(wish, waits=False)
        case "complete":
            wish = replace(wish, waits=False, driver=0)
            truth = replace(truth, is_driven=True, run_lag=0.0, duration=0.5)
    if endpoint in EARLY and kind in MENU.decisive:
        # Who lies about the past can hide what to compare with; a run without a benchmark is
        # waited for with other flags.
        wish = replace(wish, max_drop=None, warn_drop=None, min_score=0.8)
        wish = replace(wish, waits=wish.waits and kind != "no-benchmark")
    return truth, wish


def _gate(chance: random.Random, truth: Truth, plan: Plan) -> tuple[str, ...]:
    """Lists that lie or are behind turn any verdict into FAIL: then that is gated too."""
    fail_on = random_gate(chance) or ("FAIL", "NO_BASELINE")
    told = [fault.kind for name in ("run", "items") for fault in plan.get(name, ()) if fault]
    is_honest = MENU.decisive.isdisjoint(told) and not truth.items_lag
    return fail_on if is_honest or "FAIL" in fail_on else ("FAIL", *fail_on)


def _truth(chance: random.Random) -> Truth:
    """How the run goes; more often badly than not."""
    good = chance.random() < 0.5
    ran = 3 if good else chance.choice((0, 1, 2, 3, 3, 3))
    scores = tuple(chance.choice((1.0, 1.0, 0.9) if good else (1.0, 0.7, 0.0)) for _ in range(ran))
    odd = chance.random() < 0.4
    return Truth(
        scores=scores,
        endings=(chance.choice(("failed", "timeout", "canceled", "scored")),)
        if odd and chance.random() < 0.3
        else (),
        duration=chance.choice((0.5, 3.0, 10.0, 20.0)),
        ending=chance.choice(("canceled", "failed", *ODD_ENDINGS))
        if chance.random() < 0.15
        else "completed",
        score=chance.choice(LYING_SCORES) if chance.random() < 0.15 else None,
        score_delay=chance.choice((1.0, 20.0, 1e6)) if chance.random() < 0.2 else 0.0,
        early=odd and chance.random() < 0.2,
        strange=odd and chance.random() < 0.15,
        repeated=odd and chance.random() < 0.2,
        broken_scorer=odd and chance.random() < 0.2,
        is_driven=chance.random() < 0.97,
        has_baseline=chance.random() < 0.8,
        run_lag=chance.choice((2.0, 15.0)) if chance.random() < 0.1 else 0.0,
        items_lag=chance.choice((2.0, 15.0)) if chance.random() < 0.1 else 0.0,
        list_lag=chance.choice((1.5, 20.0)) if chance.random() < 0.15 else 0.0,
        page_size=chance.choice((1, 2, 20, 20)),
        ignores_cursors=chance.random() < 0.05,
    )


def _wish(chance: random.Random) -> Wish:
    compares = chance.random() < 0.4
    most = chance.choice((0.0, 0.05, 0.2))
    return Wish(
        waits=chance.random() < 0.2,
        driver=chance.choice((None, None, None, 0, 0, 1)),
        min_score=0.8 if not compares or chance.random() < 0.5 else None,
        warn_score=0.95 if chance.random() < 0.3 else None,
        max_drop=most if compares else None,
        warn_drop=0.0 if compares and chance.random() < 0.3 else None,
        max_failed=chance.choice((0, 0, 0, 1)),
        coverage=chance.choice((1.0, 1.0, 1.0, 0.5)),
        common_only=chance.random() < 0.1,
        baseline=chance.choice((None, "last")) if compares else None,
        name=NAME if chance.random() < 0.3 else None,
    )


def _blows(chance: random.Random, truth: Truth) -> tuple[Blow, ...]:
    blows = []
    while len(blows) < 4 and chance.random() < 0.45:
        blows.append(_blow(chance, chance.choice(ACTIONS), truth))
    return tuple(blows)


def _blow(chance: random.Random, action: str, truth: Truth) -> Blow:
    arg: float | str = {
        "rescore": chance.choice((0.1, 1.0)),
        "go-back": chance.choice(("failed", "completed", "canceled")),
        "wall-step": chance.choice((-3600.0, 3600.0, -3e8, 3e8, 1.0)),
        "suspend": chance.choice((5.0, 600.0, 7200.0)),
        "signal": chance.choice((1, 2, 15)),
    }.get(action, 0)
    if chance.random() < 0.3:
        return Blow(action, arg, request=chance.randrange(16))
    span = truth.duration + min(truth.score_delay, 20.0) + 3.0
    return Blow(action, arg, at=round(chance.uniform(0, span), 2))


def _transient(seed: int, chance: random.Random) -> Schedule:
    """Only reads that fail, in a world that answers in time: tm must find the verdict."""
    truth = Truth(
        scores=chance.choice(((1.0, 1.0, 0.9), (0.9, 0.8, 0.8), (0.7, 0.6, 1.0), (1.0, 1.0))),
        duration=chance.choice((2.0, 10.0, 30.0)),
        score_delay=chance.choice((0.0, 1.0, 5.0)),
        page_size=chance.choice((1, 20)),
        has_baseline=chance.random() < 0.8,
    )
    wish = Wish(
        waits=(waits := chance.random() < 0.2),
        driver=None if waits else chance.choice((None, None, 0)),
        warn_score=0.95 if chance.random() < 0.3 else None,
        max_drop=0.12 if chance.random() < 0.5 else None,
        baseline="last",
    )
    kinds = sorted(MENU.transient)
    plan: dict[str, tuple[Fault | None, ...]] = {
        name: tuple(
            Fault(chance.choice(kinds), arg=chance.randrange(600))
            for _ in range(chance.randrange(most + 1))
        )
        for name, most in (
            ("benchmark", 2), ("early-run", 2), ("early-list", 2), ("early-items", 2),
            ("run", 5), ("items", 3), ("complete", 1),
        )
    }  # fmt: skip
    plan["start"] = tuple(Fault(chance.choice(UNSENT)) for _ in range(chance.randrange(3)))
    blows = ()
    if chance.random() < 0.3:
        at = round(chance.uniform(0, truth.duration + 1), 2)
        blows = (Blow(chance.choice(HARMLESS), at=at),)
    return Schedule(
        seed,
        truth,
        random_gate(chance) or ("FAIL",),
        plan,
        blows,
        wait_timeout=3600.0,
        verdict_timeout=1800.0,
        style=chance.randrange(1, 50) if chance.random() < 0.1 else 0,
        wish=wish,
    )


def must_be_decided(schedule: Schedule) -> bool:
    """Whether only reads fail, and the limits leave room for all of that."""
    truth = schedule.truth
    if not isinstance(truth, Truth):
        return False
    calm = Truth(
        truth.scores,
        duration=truth.duration,
        score_delay=truth.score_delay,
        page_size=truth.page_size,
        has_baseline=truth.has_baseline,
    )
    lost = schedule.lost_on("run", "items", "complete")
    return (
        truth == calm
        and schedule.has_only_reads_that_fail(MENU, harmless=HARMLESS, before_start=EARLY)
        and schedule.wait_timeout >= truth.duration + lost + 60
        and schedule.verdict_timeout >= truth.score_delay + lost + 60
    )
