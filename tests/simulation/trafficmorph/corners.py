"""TrafficMorph's corners: each has let a wrong pass through once, or guards a rule by itself."""

from __future__ import annotations

from dataclasses import replace

from tests.simulation.corners import Corner
from tests.simulation.nemesis import Blow
from tests.simulation.plan import PAGES, Fault
from tests.simulation.schedules import Schedule
from tests.simulation.trafficmorph.world import NEVER, Truth


def corner(name: str, truth: Truth, *exits: int, **more: object) -> Corner:
    limits = {"verdict_timeout": 8.0, **more}
    return Corner(name, Schedule(-1, truth, **limits), frozenset(exits))  # type: ignore[arg-type]


SHARED = {"tags": ("ci",), "others_tags": ("ci",)}

SLOW = Truth("PASS", duration=60.0, slow_from=10.0, keeps_stopped=True)
LIMITED = {"abort_if": ("p95>2s for 10s",), "interval": 1.0}

CORNERS = (
    corner("a run that breaks a live limit", SLOW, 2, **LIMITED),
    corner(
        "a run that breaks a live limit and leaves no row",
        replace(SLOW, keeps_stopped=False),
        2,
        **LIMITED,
    ),
    corner(
        "a broken run that cannot be stopped",
        SLOW,
        2,
        plan={"stop": (Fault("503"),) * 9},
        **LIMITED,
    ),
    corner(
        "a broken run whose stop gets no answer",
        SLOW,
        2,
        plan={"stop": (Fault("reset", True),)},
        **LIMITED,
    ),
    corner(
        "a broken run that others replace while it cannot be stopped",
        SLOW,
        2,
        plan={"stop": (Fault("503"),) * 9},
        blows=(Blow("other-start", at=21.5),),
        **LIMITED,
    ),
    corner(
        "a broken run that is over at its first look",
        replace(SLOW, duration=20.0),
        2,
        abort_if=LIMITED["abort_if"],
        interval=19.0,
    ),
    corner("a run that is slow for too short", replace(SLOW, duration=19.0), 0, **LIMITED),
    corner(
        "Ctrl-C while a broken run is stopped",
        SLOW,
        130,
        plan={"stop": (Fault("503"),) * 9},
        blows=(Blow("signal", 2, at=21.5),),
        **LIMITED,
    ),
    corner(
        "the start names a run from long ago",
        Truth("FAIL"),
        *(5, 7),
        plan={"start": (Fault("old-run-id", True, 1),)},
    ),
    corner(
        "the start names the run before",
        Truth("FAIL"),
        *(5, 7),
        plan={"start": (Fault("old-run-id", True, 0),)},
    ),
    corner(
        "the start speaks of another profile",
        Truth("PASS"),
        7,
        plan={"start": (Fault("other-profile", True),)},
    ),
    corner(
        "run ids that are no text beside a passing run of others",
        Truth("FAIL", duration=3.0, row_delay=20.0, earlier=0),
        *(2, 5),
        plan={
            "history": (Fault("mistyped-run-id", False, 0),) * 60,
            "detail": (Fault("refused"),),
        },
        blows=(Blow("insert-rows", 1, at=1.0),),
    ),
    corner(
        "two rows without id that disagree",
        Truth("FAIL", duration=3.0, names_rows=False),
        5,
        blows=(Blow("duplicate", "PASS", at=4.0),),
        plan={"history": (Fault("connect-timeout"),)},
        verdict_timeout=60.0,
    ),
    corner(
        "two rows of our run that disagree",
        Truth("FAIL", duration=3.0),
        5,
        blows=(Blow("duplicate", "PASS", at=4.0),),
        plan={"history": (Fault("connect-timeout"),)},
        verdict_timeout=60.0,
    ),
    corner(
        "a row without id of a run that began much later",
        Truth("FAIL", duration=2.0, row_delay=NEVER, names_rows=False),
        5,
        blows=(Blow("insert-rows", 1, at=45.0),),
        verdict_timeout=60.0,
    ),
    corner(
        "a row without id of a run that began just before",
        Truth("FAIL", duration=2.0, row_delay=NEVER, names_rows=False),
        5,
        blows=(Blow("insert-rows", 1, request=0),),
    ),
    corner(
        "our row in the list of another profile",
        Truth("PASS", duration=2.0),
        5,
        plan={"history": (Fault("other-profile"),) * 200},
    ),
    corner(
        "a replica of the status that is behind",
        Truth("PASS", duration=30.0, status_lag=2.0),
        0,
    ),
    corner(
        "a replica of the status that shows nothing yet",
        Truth("PASS", duration=90.0, status_lag=2.0, earlier=0),
        0,
        verdict_timeout=60.0,
    ),
    corner(
        "a lost start while others start with the same tags",
        Truth("FAIL", duration=60.0, **SHARED),
        7,
        plan={"start": (Fault("hang", False),)},
        blows=(Blow("other-start", at=10.0),),
    ),
    corner(
        "a lost start that others replace with the same tags",
        Truth("FAIL", duration=60.0, **SHARED),
        7,
        plan={"start": (Fault("hang", True),)},
        blows=(Blow("other-start", at=10.0),),
    ),
    corner(
        "a stopped run that was judged",
        Truth("PASS", keeps_stopped=True, judges_stopped=True),
        5,
        blows=(Blow("stop", at=3.0),),
    ),
    corner(
        "a snapshot whose ids cannot be read",
        Truth("PASS"),
        1,
        plan={"snapshot": (Fault("mistyped-ids"),)},
    ),
    corner("a stopped run", Truth("PASS", keeps_stopped=True), 5, blows=(Blow("stop", at=3.0),)),
    corner(
        "a detail that says something else",
        Truth("PASS", duration=2.0),
        5,
        plan={"detail": (Fault("odd-verdict"),)},
    ),
    corner(
        "a list that says something else than the detail",
        Truth("PASS", duration=2.0, row_delay=0.0, verdict_delay=0.0),
        5,
        plan={"history": (Fault("odd-verdict", False, 3),)},
    ),
    corner(
        "a start that is refused twice by the network",
        Truth("PASS", duration=2.0),
        0,
        plan={"start": (Fault("refused"), Fault("dns"))},
    ),
    corner("a verdict that is never given", Truth(None, duration=2.0), 5),
    corner("a verdict of a newer server", Truth("ERROR", duration=2.0), 5),
    corner("a verdict in lower case", Truth("pass", duration=2.0), 5),
    corner("a run that goes on", Truth("PASS", duration=900.0), 6, wait_timeout=30.0),
    corner("a gateway's 429", Truth("FAIL"), 7, plan={"start": (Fault("429-html", True),)}),
    corner("a key that is revoked", Truth("PASS"), 77, plan={"status": (Fault("401"),) * 9}),
    corner("a key that is refused once", Truth("FAIL"), 2, plan={"status": (Fault("401"),)}),
    corner(
        "pages of a proxy in place of every kind of answer",
        Truth("FAIL"),
        2,
        plan={
            "status": tuple(map(Fault, sorted(PAGES))),
            "history": tuple(map(Fault, sorted(PAGES))),
        },
        verdict_timeout=60.0,
    ),
    corner(
        "our row on the third page",
        Truth("WARN", duration=3.0),
        3,
        fail_on=("WARN",),
        blows=(Blow("insert-rows", 50, at=3.7),),
        plan={"history": (Fault("connect-timeout"),)},
        verdict_timeout=60.0,
    ),
)
