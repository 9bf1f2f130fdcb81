"""Strait's schedules."""

from __future__ import annotations

import random
from dataclasses import replace

from tests.simulation.nemesis import Blow
from tests.simulation.plan import LOST, TRANSIENT_STATUSES, UNSENT, Cell, Fault
from tests.simulation.schedules import Schedule, lost_after_acting, random_plan
from tests.simulation.strait.menu import MENU
from tests.simulation.strait.wish import CONDITIONS, FAILURES, Wish
from tests.simulation.strait.world import DESTRUCTIVE, MESSAGES, Truth

GATES = (("FAIL",), ("WARN",), ("FAIL", "WARN"), ("FAIL", "WARN"), ("FAIL", "WARN", "NO_BASELINE"))
ODD_ENDINGS = ("done", "succeeded", "COMPLETED", "finished", "complete")
HOLDS = ("queued", "executing")
HARMLESS = (*MESSAGES, "hang-up", "other-start")
ACTIONS = (*sorted(DESTRUCTIVE), *HARMLESS, "wall-step", "suspend", "signal")


def generate(seed: int) -> Schedule:
    """Return the schedule of a seed."""
    chance = random.Random(f"strait {seed}")
    if seed % 5 == 4:
        return _transient(seed, chance)
    cell = MENU.cells[(seed - seed // 5) % len(MENU.cells)]
    truth, wish = _aimed(cell[0], _truth(chance), _wish(chance))
    return Schedule(
        seed,
        truth,
        chance.choice(GATES[2:] if wish.conditions or wish.limits_duration else GATES),
        _plan(chance, cell),
        () if cell[0] == "list" and chance.random() < 0.7 else _blows(chance, truth),
        wait_timeout=chance.choice((truth.executing * 0.6, 60.0, 300.0, 300.0, 300.0)),
        verdict_timeout=chance.choice((0.0, 2.0, 60.0)),
        interval=chance.choice((None, None, 1.0, 5.0, 12.0)),
        style=chance.randrange(1000) if chance.random() < 0.1 else 0,
        wish=wish,
    )


def _aimed(endpoint: str, truth: Truth, wish: Wish) -> tuple[Truth, Wish]:
    """The same, so that tm comes to ask for this endpoint."""
    match endpoint:
        case "snapshot":
            wish = replace(wish, waits=False, user_key=True)
        case "start":
            wish = replace(wish, waits=False)
        case "subject":
            wish = replace(wish, waits=True)
        case "lineage":  # is read of a run that has not failed
            ending = {"attempts": ("completed",), "holds": None, "odd_ending": None}
            truth = replace(truth, **ending, continues=truth.continues or ("failed",))
        case "list":  # is read after a lost start, and to doubt a dead letter
            truth = replace(truth, attempts=("dead_letter",), holds=None, odd_ending=None)
    return truth, wish


def _plan(chance: random.Random, cell: Cell) -> dict[str, tuple[Fault | None, ...]]:
    """The cell's fault first, and others that leave a chance of coming to it."""
    endpoint, kind, acted = cell
    focus = Fault(kind, acted, chance.randrange(1000))
    plan = random_plan(chance, MENU, density=0.1 if endpoint == "list" else 0.3)
    if endpoint == "list" or chance.random() < 0.6:
        plan.pop("start", None)
    if not plan.get("start") and chance.random() < 0.2:
        plan["start"] = (lost_after_acting(chance, MENU),) * chance.choice((1, 1, 2, 5))
    again = chance.choice((1, 3, 5, 6)) if kind in UNSENT and endpoint == "start" else 1
    plan[endpoint] = ((focus,) * again + plan.get(endpoint, ())[1:])[:6]
    early = {"snapshot", "subject"} - {endpoint}
    return {name: faults for name, faults in plan.items() if name not in early}


def _truth(chance: random.Random) -> Truth:
    """How the run goes; more often badly than not."""
    ending = "completed" if chance.random() < 0.45 else chance.choice(FAILURES)
    retries = chance.choice((0, 0, 0, 1, 2))
    return Truth(
        attempts=("retry",) * retries + (ending,),
        queued=chance.choice((0.1, 1.0, 5.0)),
        executing=chance.choice((0.1, 3.0, 10.0, 20.0)),
        holds=chance.choice(HOLDS) if chance.random() < 0.05 else None,
        odd_ending=chance.choice(ODD_ENDINGS) if chance.random() < 0.06 else None,
        result=chance.choice((None, None, {"ok": False, "score": 0.2}, {"ok": 1}, "done", [])),
        under_key=chance.choice((None, "completed", "completed", "failed", "executing")),
        merges=chance.random() < 0.1,
        limited=chance.random() < 0.3,
        run_lag=chance.choice((2.0, 8.0)) if chance.random() < 0.1 else 0.0,
        list_lag=chance.choice((2.0, 20.0)) if chance.random() < 0.15 else 0.0,
        cache=chance.choice((5.0, 300.0)) if chance.random() < 0.2 else 0.0,
        skew=chance.choice((-7200.0, -20.0, 20.0, 7200.0)) if chance.random() < 0.2 else 0.0,
        announces=chance.random() < 0.7,
        continues=_continues(chance) if chance.random() < 0.2 else (),
    )


def _continues(chance: random.Random) -> tuple[str, ...]:
    last = chance.choice(("completed", "completed", *FAILURES))
    return ("completed",) * chance.choice((0, 0, 1)) + (last,)


def _wish(chance: random.Random) -> Wish:
    user_key = chance.random() < 0.3
    conditions = [text for text in CONDITIONS if chance.random() < 0.3]
    return Wish(
        waits=chance.random() < 0.2,
        user_key=user_key,
        reuses=user_key and chance.random() < 0.3,
        listens=chance.random() < 0.7,
        canceled_as=chance.choice(("WARN", "WARN", "FAIL")),
        conditions=tuple(conditions) if chance.random() < 0.3 else (),
        limits_duration=chance.random() < 0.1,
    )


def _blows(chance: random.Random, truth: Truth) -> tuple[Blow, ...]:
    blows = []
    while len(blows) < 4 and chance.random() < 0.5:
        blows.append(_blow(chance, chance.choice(ACTIONS), truth))
    return tuple(blows)


def _blow(chance: random.Random, action: str, truth: Truth) -> Blow:
    arg: float | str = {
        "revive": chance.choice(("completed", "failed", "dead_letter")),
        "go-back": chance.choice(("failed", "completed")),
        "pause": chance.choice((4.0, 60.0)),
        "wall-step": chance.choice((-3600.0, 3600.0, -3e8, 3e8, 1.0)),
        "suspend": chance.choice((5.0, 600.0, 7200.0)),
        "signal": chance.choice((1, 2, 15)),
    }.get(action, 0)
    if chance.random() < 0.3:
        return Blow(action, arg, request=chance.randrange(12))
    span = truth.queued + truth.executing * len(truth.attempts) + 5.0
    return Blow(action, arg, at=round(chance.uniform(0, span), 2))


def _transient(seed: int, chance: random.Random) -> Schedule:
    """Only reads that fail, and starts that are lost, in a world that answers in time."""
    truth = Truth(
        attempts=("retry",) * chance.choice((0, 1)) + (chance.choice(("completed", *FAILURES)),),
        executing=chance.choice((2.0, 10.0, 30.0)),
        limited=chance.random() < 0.5,
        announces=chance.random() < 0.5,
        continues=_continues(chance) if chance.random() < 0.3 else (),
    )
    kinds = sorted(MENU.transient)
    early = sorted(MENU.transient - {"404-text"})  # believed of a run that nobody has seen yet
    plan: dict[str, tuple[Fault | None, ...]] = {
        name: tuple(
            Fault(chance.choice(kinds if name != "subject" else early), arg=chance.randrange(600))
            for _ in range(chance.randrange(most + 1))
        )
        for name, most in (("subject", 2), ("run", 5), ("list", 1), ("lineage", 3))
    }
    plan["start"] = tuple(
        Fault(kind, chance.choice(MENU.possible_phases("start", kind)))
        for kind in chance.choices(sorted(MAY_BE_REPEATED), k=chance.randrange(3))
    )
    blows = ()
    if chance.random() < 0.4:
        at = round(chance.uniform(0, truth.executing + 2), 2)
        blows = (Blow(chance.choice(HARMLESS), at=at),)
    return Schedule(
        seed,
        truth,
        chance.choice(GATES),
        plan,
        blows,
        wait_timeout=3600.0,
        style=chance.randrange(1, 50) if chance.random() < 0.1 else 0,
        wish=Wish(waits=chance.random() < 0.2, listens=chance.random() < 0.7),
    )


MAY_BE_REPEATED = frozenset(LOST) | (TRANSIENT_STATUSES - {"429", "429-html"}) | {"409-busy"}
"""What may befall a start twice: under its key it is sent again."""


def must_be_decided(schedule: Schedule) -> bool:
    """Whether only what can be repeated fails, and the limits leave room for all of that."""
    truth, wish = schedule.truth, schedule.wish
    if not isinstance(truth, Truth) or not isinstance(wish, Wish):
        return False
    starts = schedule.plan.get("start", ())
    calm = replace(schedule, plan={**schedule.plan, "start": ()})
    return (
        truth
        == Truth(
            truth.attempts,
            truth.queued,
            truth.executing,
            limited=truth.limited,
            announces=truth.announces,
            continues=truth.continues,
        )
        and wish == Wish(waits=wish.waits, listens=wish.listens)
        and "404-text" not in [fault and fault.kind for fault in schedule.plan.get("subject", ())]
        and len(starts) <= 2
        and all(fault is None or fault.kind in MAY_BE_REPEATED for fault in starts)
        and calm.has_only_reads_that_fail(MENU, harmless=HARMLESS, before_start=("subject",))
        and schedule.wait_timeout >= 400 + schedule.lost_on("subject", "run", "list", "lineage")
    )
