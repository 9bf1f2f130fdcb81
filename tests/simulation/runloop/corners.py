"""Runloop's corners: each has let a wrong pass through once, or guards a rule by itself."""

from __future__ import annotations

from dataclasses import replace

from tests.simulation.corners import Corner
from tests.simulation.nemesis import Blow
from tests.simulation.plan import PAGES, Fault
from tests.simulation.runloop.wish import Wish
from tests.simulation.runloop.world import EARLIER_ID, NAME, Truth
from tests.simulation.schedules import Schedule


def corner(
    name: str, truth: Truth, *exits: int, wish: Wish | None = None, **more: object
) -> Corner:
    limits = {
        "wait_timeout": 200.0,
        "verdict_timeout": 30.0,
        "fail_on": ("FAIL", "WARN", "NO_BASELINE"),
        "wish": wish or Wish(),
        **more,
    }
    return Corner(name, Schedule(-1, truth, **limits), frozenset(exits))  # type: ignore[arg-type]


POOR = Truth((1.0, 0.5, 0.1))
COMPARED = Wish(min_score=None, max_drop=0.05, baseline="last")

CORNERS = (
    corner("a good score", Truth(), 0),
    corner("a score on the threshold", Truth((0.8, 0.8, 0.8)), 0),
    corner("a poor score", POOR, 2),
    corner("a score that only warns", Truth(), 3, wish=Wish(warn_score=0.95)),
    corner("a canceled run with a flattering score", Truth(), 2, blows=(Blow("cancel", at=9.0),)),
    corner("a run that failed as a whole", Truth(ending="failed"), 2),
    corner("a state that nobody knows", Truth(ending="success"), 6),
    corner("a run that nobody drives", Truth(is_driven=False), 6),
    corner("one scenario of three", Truth((1.0,)), 2),
    corner("no scenario at all", Truth(()), 2),
    corner("one scenario three times", Truth((1.0, 1.0), repeated=True), 2),
    corner("two scenarios where two are enough", Truth((1.0, 1.0)), 0, wish=Wish(coverage=0.6)),
    corner("a scenario of another benchmark", Truth(strange=True), 2),
    corner("a scenario more than enough", Truth((1.0,) * 4), 2),
    corner("a run that was completed too early", Truth(early=True, score=1.0), 2),
    corner("a scenario that failed", Truth(endings=("failed",)), 2),
    corner(
        "a scenario that may fail",
        Truth((1.0,) * 3, endings=("failed",)),
        0,
        wish=Wish(max_failed=1, min_score=0.6),
    ),
    corner("a scorer that broke", Truth(broken_scorer=True), 2),
    corner("a score that comes late", Truth(score_delay=5.0), 0),
    corner("a poor score that comes late", Truth((0.1,) * 3, score_delay=5.0), 2),
    corner(
        "a score that comes while an incomplete run is judged",
        Truth((1.0,), score_delay=5.0),
        2,
        plan={"items": (None, None, Fault("slow", arg=20))},
        interval=5.0,
    ),
    corner("a score that never comes", Truth(score_delay=1e6), 5),
    *(
        corner(f"the score {score!r}", Truth(score=score), 5)
        for score in (1.5, -1.0, "0.9", True, [1.0])
    ),
    corner("a score that is not a number", Truth(score=float("nan")), *(5, 6)),
    corner(
        "a score that changes while it is judged",
        Truth(),
        5,
        plan={"items": (None, None, Fault("slow", arg=20))},
        blows=(Blow("rescore", 0.1, at=15.0),),
        interval=5.0,
    ),
    corner(
        "an end that is taken back",
        Truth(),
        5,
        plan={"items": (None, None, Fault("slow", arg=20))},
        blows=(Blow("go-back", "failed", at=15.0),),
        interval=5.0,
    ),
    corner("a run that is gone", Truth(), 1, blows=(Blow("delete", at=3.0),)),
    corner("an API that is gone", Truth(), 1, blows=(Blow("withdraw", at=3.0),)),
    corner("an API that was never there", Truth(), 8, plan={"start": (Fault("404"),)}),
    corner("a key that is revoked", Truth(), 77, plan={"run": (None, Fault("401"), Fault("401"))}),
    corner("a key that is refused once", POOR, 2, plan={"run": (None, Fault("401"))}),
    corner("pages of a proxy", POOR, 2, plan={"run": tuple(map(Fault, sorted(PAGES)))}),
    corner("a start that is lost", POOR, 2, plan={"start": (Fault("hang", True),)}),
    corner("a start that never was", Truth(), 7, plan={"start": (Fault("hang", False),)}),
    corner(
        "a lost start that no list shows yet",
        Truth(list_lag=20.0),
        7,
        plan={"start": (Fault("500", True),)},
    ),
    corner(
        "a lost start beside another run of its name",
        POOR,
        *(2, 7),
        wish=Wish(name=NAME),
        plan={"start": (Fault("reset", True),)},
        blows=(Blow("other-start", at=0.5),),
    ),
    corner(
        "a start that never was beside another run of its name",
        Truth(),
        7,
        wish=Wish(name=NAME),
        plan={"start": (Fault("reset", False),)},
        blows=(Blow("other-start", at=0.5),),
    ),
    corner("a start that is put off", Truth(), 0, plan={"start": (Fault("429"),) * 2}),
    corner("a start that names an old run", POOR, 2, plan={"start": (Fault("old-id", True),)}),
    corner(
        "a start that names an old run where none could be listed",
        POOR,
        5,
        plan={"early-list": (Fault("404"),), "start": (Fault("old-id", True),)},
    ),
    corner(
        "a start that names an old run without metadata",
        POOR,
        2,
        plan={"start": (Fault("old-unmarked", True),)},
    ),
    corner(
        "a start that names an old run without metadata where none could be listed",
        POOR,
        2,
        plan={"early-list": (Fault("404"),), "start": (Fault("old-unmarked", True),)},
    ),
    corner(
        "a start that names its run without metadata",
        Truth(),
        0,
        plan={"start": (Fault("unmarked", True),)},
    ),
    corner(
        "a start that speaks of another start",
        POOR,
        2,
        plan={"start": (Fault("other-mark", True),)},
    ),
    corner(
        "a start that speaks of another benchmark",
        POOR,
        2,
        plan={"start": (Fault("other-benchmark", True),)},
    ),
    corner("an answer about another run", POOR, 2, plan={"run": (Fault("old-id"),) * 3}),
    corner("scenario runs of another run", Truth(), 5, plan={"items": (Fault("other-run"),) * 99}),
    corner(
        "a run of another benchmark", Truth(), 6, plan={"run": (Fault("other-benchmark"),) * 99}
    ),
    corner("a list whose cursors lead back", Truth(page_size=2, ignores_cursors=True), 5),
    corner("more pages than there are", POOR, 2, plan={"items": (Fault("more"),) * 4}),
    corner(
        "pages that are promised and empty", Truth(), 5, plan={"items": (Fault("empty-more"),) * 99}
    ),
    corner("a list that loses its end", Truth(), 2, plan={"items": (Fault("fewer-items"),) * 99}),
    corner("a list that says nothing", Truth(), 2, plan={"items": (Fault("no-items"),) * 99}),
    corner("three pages", Truth(page_size=1), 0),
    corner("no baseline", Truth(has_baseline=False), 4, wish=COMPARED),
    corner(
        "a score that warns where no baseline is accepted",
        Truth(has_baseline=False),
        3,
        wish=replace(COMPARED, warn_score=0.95),
        fail_on=("FAIL", "WARN"),
    ),
    corner("a baseline that was better", Truth(), 2, wish=COMPARED),
    corner("a baseline that was no better", Truth((1.0,) * 3), 0, wish=COMPARED),
    corner(
        "a baseline that is better and comes later",
        Truth((1.0,) * 3),
        0,
        wish=COMPARED,
        blows=(Blow("other-start", at=3.0),),
    ),
    corner(
        "a benchmark that is changed meanwhile",
        Truth((1.0,) * 3),
        0,
        wish=COMPARED,
        blows=(Blow("edit-benchmark", at=3.0),),
    ),
    corner(
        "a baseline that is chosen",
        Truth((0.9,) * 3),
        3,
        wish=Wish(min_score=None, warn_drop=0.05, baseline=EARLIER_ID),
    ),
    corner("a driver that does its work", Truth(), 0, wish=Wish(driver=0)),
    corner("a driver that fails after good work", Truth((1.0,) * 3), 2, wish=Wish(driver=1)),
    corner(
        "a completion that is lost",
        Truth(),
        0,
        wish=Wish(driver=0),
        plan={"complete": (Fault("reset"),)},
    ),
    corner(
        "a run that is canceled under its driver",
        Truth((1.0,) * 3),
        2,
        wish=Wish(driver=0),
        blows=(Blow("cancel", at=9.0),),
    ),
    corner("a run to wait for", POOR, 2, wish=Wish(waits=True)),
    corner(
        "a pause that the server asks for",
        Truth(duration=100.0),
        0,
        plan={"items": (Fault("429", arg=424),)},
    ),
)
