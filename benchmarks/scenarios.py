"""Everything that benchmarks/verdict.py plays, and what it must show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from noise import NOISES, ORDINARY, WIDE, Target
from trials import (
    NORMAL,
    SLOW,
    Load,
    Trial,
    after_improvement,
    chain,
    creep,
    duet,
    one_more,
    one_step,
    stopped_early,
)
from trials import errors as error_trial


@dataclass(frozen=True, slots=True)
class Bar:
    """At least or at most so many percent of the runs have one of these verdicts."""

    verdicts: tuple[str, ...]
    percent: float
    at_least: bool = False

    def __str__(self) -> str:
        side = "at least" if self.at_least else "at most"
        return f"{' or '.join(self.verdicts)} {side} {self.percent:g} %"


@dataclass(frozen=True, slots=True)
class Scenario:
    """So many trials of one kind, what they must show, and their place in a table."""

    table: str
    row: str
    column: str
    play: Callable[[int], Trial]
    trials: int
    bars: Sequence[Bar] = ()
    true_change: float | None = None  # percent
    soon: float | None = None  # percent of the curve: the median of when the verdict is known

    def __str__(self) -> str:
        return f"{self.table}: {self.row}, {self.column}"


USUAL, SMALL = Load(), Load(rate=20, seconds=20)
RARELY_WRONG = (Bar(("FAIL",), 1), Bar(("WARN",), 5))
SELDOM_FAILS = (Bar(("FAIL",), 3),)
FOUND = (Bar(("FAIL",), 95, at_least=True),)
MOSTLY_FOUND = (Bar(("FAIL",), 90, at_least=True),)
NOTICED = (Bar(("WARN", "FAIL"), 95, at_least=True),)
MOSTLY_NOTICED = (Bar(("WARN", "FAIL"), 80, at_least=True),)
HALF_NOTICED = (Bar(("WARN", "FAIL"), 50, at_least=True),)
WIDE_TAILS = ("Pareto tail", "freezes of 400 ms")
"""Here the quantiles of a run are so uncertain that a change of the tail alone is often a WARN."""

SLOWER, SLOWER_TAIL = Target(slower=1.25), Target(tail=1.25)
A_BIT_SLOWER, A_BIT_SLOWER_TAIL = Target(slower=1.10), Target(tail=1.10)
INCIDENTS = {
    "each by itself": 1,
    "incidents of 20": 20,
    "incidents of 60": 60,
    "incidents of 200": 200,
}
ONE, TEN, DUET = "1 run before", "10 runs before", "duet"


def scenarios() -> Iterator[Scenario]:
    """Everything that is simulated."""
    yield from unchanged()
    yield from slower()
    yield from power()
    yield from improvements()
    yield from failing()
    yield from histories()
    yield from early()
    yield from steps()


def unchanged() -> Iterator[Scenario]:
    for name, noise in NOISES.items():
        is_ordinary = name in ORDINARY
        more = 2 if is_ordinary else 1
        bars = RARELY_WRONG if is_ordinary else SELDOM_FAILS
        by_one = () if name in WIDE else bars
        one = partial(one_more, noise=noise, load=USUAL)
        yield Scenario("unchanged", name, ONE, one, 120 * more, by_one, 0.0)
        ten = partial(one_more, noise=noise, load=USUAL, before=10)
        yield Scenario("unchanged", name, TEN, ten, 40 * more, by_one, 0.0)
        small = partial(one_more, noise=noise, load=SMALL)
        never = () if name in WIDE else bars[:1]
        yield Scenario("unchanged", name, "20/s for 20 s", small, 200, never, 0.0)
        both = partial(duet, noise=noise, load=USUAL)
        yield Scenario("unchanged", name, DUET, both, 40 * more, bars, 0.0)


def slower() -> Iterator[Scenario]:
    for name, noise in NOISES.items():
        bars = FOUND if name in ORDINARY else ()
        mostly = MOSTLY_NOTICED if name in WIDE_TAILS else MOSTLY_FOUND
        more = 3 if name in ORDINARY else 1
        one = partial(one_more, noise=noise, load=USUAL)
        both = partial(duet, noise=noise, load=USUAL)
        for column, play, target, count, wanted in (
            (f"everything, {ONE}", one, SLOWER, 30, bars),
            (f"everything, {TEN}", partial(one, before=10), SLOWER, 15, bars),
            (f"everything, {DUET}", both, SLOWER, 15, bars),
            (f"the slowest tenth, {ONE}", one, SLOWER_TAIL, 30, bars and mostly),
            (f"the slowest tenth, {DUET}", both, SLOWER_TAIL, 15, bars),
        ):
            trial = partial(play, target=target)
            yield Scenario("25 % slower", name, column, trial, more * count, wanted, 25.0)
    for name in ("calm", "hosted", "hosted mix"):
        one = partial(one_more, noise=NOISES[name], load=USUAL)
        both = partial(duet, noise=NOISES[name], load=USUAL)
        for what, target in (
            ("everything", A_BIT_SLOWER),
            ("the slowest tenth", A_BIT_SLOWER_TAIL),
        ):
            for column, play, count, wanted in (
                (f"{what}, {ONE}", one, 60, HALF_NOTICED),
                (f"{what}, {DUET}", both, 30, NOTICED),
            ):
                trial = partial(play, target=target)
                yield Scenario("10 % slower", name, column, trial, count, wanted, 10.0)


POWER = (2, 5, 8, 12, 16, 20, 30, 40)
"""Changes in percent; 0, 10 and 25 are in other tables."""


def power() -> Iterator[Scenario]:
    """How much is found of changes of every size."""
    one = partial(one_more, noise=NOISES["hosted"], load=USUAL)
    both = partial(duet, noise=NOISES["hosted"], load=USUAL)
    for percent in POWER:
        target = Target(slower=1 + percent / 100)
        for column, play in ((ONE, one), (DUET, both)):
            trial = partial(play, target=target)
            row = f"everything {percent} % slower"
            yield Scenario("power", row, column, trial, 60, (), float(percent))


def improvements() -> Iterator[Scenario]:
    for better in (1, 3, 5, 10):
        for is_pinned in (False, True):
            row = f"{better} quick run{'s' * (better > 1)}{', the last pinned' * is_pinned}"
            after = partial(
                after_improvement,
                noise=NOISES["hosted"],
                load=USUAL,
                better=better,
                is_pinned=is_pinned,
            )
            for column, target, bars in (
                ("as slow as before", SLOW, FOUND),
                ("25 % slower", SLOWER, FOUND),
                ("unchanged", NORMAL, RARELY_WRONG),
            ):
                trial = partial(after, target=target)
                yield Scenario("after an improvement", row, column, trial, 30, bars)


def failing() -> Iterator[Scenario]:
    for row, incident in INCIDENTS.items():
        trial = partial(error_trial, incident=incident)
        for requests, percent in ((3000, 0.2), (3000, 1.0), (12000, 0.2), (12000, 1.0)):
            load = Load(rate=requests / 60)
            same = partial(trial, load=load, before=percent / 100, now=percent / 100)
            column = f"{percent:g} % of {requests:,}"
            never = (Bar(("FAIL",), 1),)
            yield Scenario("unchanged errors", row, column, same, 200, never)
        for old, new in ((0.0, 0.01), (0.001, 0.01), (0.01, 0.05)):
            more = partial(trial, load=USUAL, before=old, now=new)
            column = f"{100 * old:g} to {100 * new:g} % of 12,000"
            bars = NOTICED if incident == 1 or (incident <= 20 and new > 0.01) else ()
            yield Scenario("more errors", row, column, more, 100, bars)


def histories() -> Iterator[Scenario]:
    for name, bars in (
        ("calm", RARELY_WRONG),
        ("hosted", RARELY_WRONG),
        ("two kinds of machines", SELDOM_FAILS),
    ):
        row = partial(chain, noise=NOISES[name], load=USUAL, runs=30)
        yield Scenario("30 in a row", name, "runs 2 to 30", row, 10, bars)
    half = (Bar(("FAIL",), 50, at_least=True),)
    for percent, by in ((1, 13), (2, 16)):
        trial = partial(
            creep,
            noise=NOISES["hosted"],
            load=USUAL,
            step=1 + percent / 100,
            found_by=1.001 + by / 100,
        )
        yield Scenario("creep", f"{percent} % per run", f"found by +{by} %", trial, 20, half)


def early() -> Iterator[Scenario]:
    """Twice as long as a run, a duet has as many requests of each version."""
    for name in ("calm", "hosted", "Pareto tail", "hosted mix"):
        soon_enough = 100 if name in WIDE_TAILS else 67
        for what, is_duet, seconds in (("two runs", False, 60), ("duet", True, 120)):
            trial = partial(stopped_early, noise=NOISES[name], seconds=seconds, is_duet=is_duet)
            for change, target, bars, soon in (
                (
                    "unchanged",
                    NORMAL,
                    RARELY_WRONG if name in ORDINARY else SELDOM_FAILS,
                    soon_enough,
                ),
                ("50 % slower", Target(slower=1.5), FOUND, 34),
            ):
                changed = partial(trial, target=target)
                yield Scenario(
                    "stopped early", name, f"{what}, {change}", changed, 25, bars, soon=soon
                )


def steps() -> Iterator[Scenario]:
    """Arrivals of ten steps: nothing has changed, or one of the steps is slower."""
    load = Load(rate=50)
    for name in ("calm", "hosted", "hosted mix"):
        one = partial(one_step, noise=NOISES[name], load=load)
        yield Scenario("ten steps", name, f"unchanged, {ONE}", one, 240, RARELY_WRONG)
        ten = partial(one, before=10)
        yield Scenario("ten steps", name, f"unchanged, {TEN}", ten, 60, RARELY_WRONG)
        slower = partial(one, slower=1.25)
        yield Scenario("ten steps", name, "one step 25 % slower", slower, 60, NOTICED)
        named = partial(slower, named=True)
        yield Scenario("ten steps", name, "the same, with thresholds", named, 60, NOTICED)
