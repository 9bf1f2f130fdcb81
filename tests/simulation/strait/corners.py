"""Strait's corners: each has let a wrong pass through once, or guards a rule by itself."""

from __future__ import annotations

from tests.simulation.corners import Corner
from tests.simulation.nemesis import Blow
from tests.simulation.plan import PAGES, Fault
from tests.simulation.schedules import Schedule
from tests.simulation.strait.wish import Wish
from tests.simulation.strait.world import Truth


def corner(
    name: str, truth: Truth, *exits: int, wish: Wish | None = None, **more: object
) -> Corner:
    limits = {"wait_timeout": 300.0, "fail_on": ("FAIL", "WARN"), "wish": wish or Wish(), **more}
    return Corner(name, Schedule(-1, truth, **limits), frozenset(exits))  # type: ignore[arg-type]


FAILS = Truth(attempts=("failed",))
DIES = Truth(attempts=("dead_letter",))
OLD_KEY = Wish(user_key=True)

CORNERS = (
    corner("a job that completes", Truth(), 0),
    corner("a job that completes at its third attempt", Truth(("retry", "retry", "completed")), 0),
    *(
        corner(f"a job that is {ending}", Truth(attempts=(ending,)), 2)
        for ending in ("failed", "timed_out", "crashed", "system_failed", "dead_letter")
    ),
    corner("a run that was canceled", Truth(), 3, blows=(Blow("cancel", at=3.0),)),
    corner(
        "a canceled run that counts as failed",
        Truth(),
        2,
        wish=Wish(canceled_as="FAIL"),
        blows=(Blow("cancel", at=3.0),),
    ),
    corner("a job that continues itself", Truth(continues=("completed", "completed")), 0),
    corner("a job whose continuation fails", Truth(continues=("failed",)), 2),
    corner("a job that fails in its last run", Truth(continues=("completed", "dead_letter")), 2),
    corner(
        "a continuation that outlasts the wait",
        Truth(executing=20.0, continues=("completed",)),
        6,
        wait_timeout=30.0,
    ),
    corner(
        "a continuation that cannot be read for a while",
        Truth(continues=("failed",)),
        2,
        plan={"lineage": (Fault("502"), Fault("hang"), Fault("404-text"), Fault("empty-object"))},
    ),
    corner(
        "a lineage that is empty",
        Truth(continues=("failed",)),
        2,
        plan={"lineage": (Fault("wrapped", arg=1),)},
    ),
    corner(
        "a continuation that may not be read",
        Truth(continues=("failed",)),
        5,
        plan={"lineage": (Fault("403"),)},
    ),
    corner("a status that nobody knows", Truth(odd_ending="succeeded"), 6),
    corner("a status in upper case", Truth(odd_ending="COMPLETED"), 6),
    corner("a run that waits for ever", Truth(holds="executing"), 6),
    corner("a run that expires in the queue", Truth(holds="queued"), 3, wait_timeout=600.0),
    corner(
        "a stream that announces an end that never comes",
        Truth(holds="executing"),
        6,
        blows=tuple(Blow("say-completed", at=float(second)) for second in range(2, 30)),
    ),
    corner(
        "a stream that announces a success that is none",
        FAILS,
        2,
        blows=(Blow("say-completed", at=2.0), Blow("say-status", at=3.0)),
    ),
    corner("a stream that announces nothing", Truth(announces=False), 0),
    corner("a stream that is garbage", Truth(), 0, blows=(Blow("say-garbage", at=2.0),) * 3),
    corner("a stream that is cut", FAILS, 2, blows=(Blow("hang-up", at=2.0),) * 5),
    corner(
        "a start that is lost after it has happened",
        FAILS,
        2,
        plan={"start": (Fault("hang", True), Fault("reset", True))},
    ),
    corner(
        "a start whose every answer is lost",
        FAILS,
        2,
        plan={"start": (Fault("502", True),) * 5},
    ),
    corner(
        "a start whose every answer breaks off",
        FAILS,
        2,
        plan={"start": (Fault("reset", True),) * 5},
    ),
    corner("a key that may not trigger", Truth(), 77, plan={"start": (Fault("403"),)}),
    corner(
        "a start that nobody hears of",
        Truth(),
        7,
        plan={"start": (Fault("502", False),) * 5},
    ),
    corner(
        "a trigger that admission control may have let through",
        Truth(),
        0,
        plan={"start": (Fault("429-admission", True),)},
    ),
    corner(
        "a refusal after a start that has happened",
        FAILS,
        2,
        plan={"start": (Fault("502", True), Fault("402"))},
    ),
    corner("a limit on triggers", FAILS, 2, plan={"start": (Fault("429-text"), Fault("429-text"))}),
    corner(
        "a limit under the user's key",
        Truth(),
        8,
        wish=OLD_KEY,
        plan={"start": (Fault("429-text"),)},
    ),
    corner(
        "a limit after a start that was lost",
        FAILS,
        2,
        plan={"start": (Fault("502", True), Fault("429-text"))},
    ),
    corner("a quota that is used up", Truth(), 8, plan={"start": (Fault("402"),)}),
    corner(
        "a start that names a run from long ago",
        FAILS,
        5,
        plan={"start": (Fault("old-id", True),)},
    ),
    corner(
        "a start that names a run from long ago, under the user's key",
        FAILS,
        *(5, 7),
        wish=OLD_KEY,
        plan={"start": (Fault("old-id", True),)},
    ),
    corner(
        "a start that names no run",
        FAILS,
        2,
        plan={"start": (Fault("no-id", True),)},
    ),
    corner("a key that made a run before", Truth(under_key="completed"), 5, wish=OLD_KEY),
    corner(
        "a key that made a run before, which may count",
        Truth(under_key="completed"),
        0,
        wish=Wish(user_key=True, reuses=True),
    ),
    corner(
        "a key that made a failed run before, which may count",
        Truth(under_key="failed"),
        2,
        wish=Wish(user_key=True, reuses=True),
    ),
    corner(
        "another run than the one that may count",
        FAILS,
        7,
        wish=Wish(user_key=True, reuses=True),
        plan={"start": (Fault("old-id", True),)},
    ),
    corner(
        "a lost start under a key that made a run before, by a clock that is ahead",
        Truth(under_key="completed", list_lag=4000.0, skew=7200.0),
        5,
        wish=OLD_KEY,
        plan={"start": (Fault("203", True),)},
    ),
    corner("a job that answers with an earlier run", Truth(merges=True), 5),
    corner(
        "a job that begins to answer with earlier runs",
        FAILS,
        5,
        plan={"start": (Fault("429-text"),)},
        blows=(Blow("merge", at=2.0),),
    ),
    corner(
        "another client's passing run of the same job",
        FAILS,
        2,
        blows=(Blow("other-start", at=0.5), Blow("other-start", at=2.0)),
    ),
    corner("a failed run that somebody replays", FAILS, 2, blows=(Blow("replay", at=6.5),)),
    corner(
        "a dead letter that came back, which reads by id do not show",
        Truth(attempts=("dead_letter",), cache=300.0),
        0,
        interval=12.0,
        wish=Wish(listens=False),
        blows=(Blow("revive", "completed", at=7.0),),
    ),
    corner(
        "a dead letter beside lists that cannot be read", DIES, 2, plan={"list": (Fault("nan"),)}
    ),
    corner("lists that never end", DIES, 2, plan={"list": (Fault("endless-list"),) * 9}),
    corner(
        "a list that shows another start's run in place of ours",
        DIES,
        5,
        plan={"list": (Fault("other-key"),)},
    ),
    corner(
        "a success that is taken back",
        Truth(),
        0,
        blows=(Blow("go-back", "failed", at=6.5),),
    ),
    corner("plain text in place of answers", FAILS, 2, plan={"run": (Fault("429-text"),) * 3}),
    corner("a gateway that knows no such path", FAILS, 2, plan={"run": (Fault("404-text"),) * 4}),
    corner("answers about another run", Truth(), 6, plan={"run": (Fault("old-id"),) * 99}),
    corner("a run that is gone", Truth(), 5, blows=(Blow("delete", at=3.0),)),
    corner("a key that is revoked", Truth(), 77, plan={"run": (None, Fault("401"), Fault("401"))}),
    corner("a key that is refused once", FAILS, 2, plan={"run": (None, Fault("401"))}),
    corner("pages of a proxy", FAILS, 2, plan={"run": tuple(map(Fault, sorted(PAGES)))}),
    corner(
        "a snapshot that cannot be read",
        Truth(),
        1,
        wish=OLD_KEY,
        plan={"snapshot": (Fault("no-status"),)},
    ),
    corner("a condition that holds", Truth(), 0, wish=Wish(conditions=("score>=0.9",))),
    corner(
        "a condition that does not hold",
        Truth(result={"score": 0.2}),
        2,
        wish=Wish(conditions=("score>=0.9",)),
    ),
    corner(
        "a condition on what is not there",
        Truth(result={}),
        5,
        wish=Wish(conditions=("missing==1",)),
    ),
    corner("a 1 that is no true", Truth(result={"ok": 1}), 2, wish=Wish(conditions=("ok==true",))),
    corner("a run that took too long", Truth(executing=20.0), 2, wish=Wish(limits_duration=True)),
    corner(
        "a run whose attempts together took too long",
        Truth(("retry", "retry", "completed")),
        2,
        wish=Wish(limits_duration=True),
    ),
    corner("a run to wait for", FAILS, 2, wish=Wish(waits=True)),
)
