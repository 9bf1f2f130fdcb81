"""How often the embedded server's verdict is wrong: the judge on simulated runs, with seeds.

    python benchmarks/verdict.py [--quick] [--only REGEX] [--json FILE] [--markdown]

Plays the trials of `trials.py` over the noises of `noise.py`. The rates come with their 95 %
intervals (Wilson); the bars are what docs/verdicts.md promises. Exits 1 when one is missed by more
than chance.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from noise import NOISES, ORDINARY, WIDE, Target
from shares import may_be_at_least, may_be_at_most, wilson
from trials import (
    NORMAL,
    SLOW,
    Load,
    Outcome,
    Trial,
    after_improvement,
    chain,
    creep,
    duet,
    one_more,
    stopped_early,
)
from trials import errors as error_trial

from tm_cli.server.judge.distributions import student_cdf

_RARELY = 0.001
"""How often a bar that is kept exactly may be missed; there are more than a hundred of them."""


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


@dataclass(frozen=True, slots=True)
class Result:
    """What all trials of a scenario have brought."""

    scenario: Scenario
    trials: Sequence[Trial]

    @property
    def outcomes(self) -> list[Outcome]:
        return [outcome for trial in self.trials for outcome in trial]

    @property
    def counts(self) -> Counter[str]:
        return Counter(outcome.verdict for outcome in self.outcomes)

    def percent(self, *verdicts: str) -> float:
        hits = sum(self.counts[verdict] for verdict in verdicts)
        return 100 * hits / max(len(self.outcomes), 1)

    @property
    def blind(self) -> float:
        outcomes = self.outcomes
        return 100 * sum(outcome.is_blind for outcome in outcomes) / max(len(outcomes), 1)

    @property
    def blamed(self) -> Counter[str]:
        return Counter(
            metric for item in self.outcomes if item.verdict != "PASS" for metric in item.blamed
        )

    @property
    def intervals(self) -> list[tuple[float, float]]:
        return [
            (item.low, item.high)
            for item in self.outcomes
            if item.low is not None and item.high is not None
        ]

    @property
    def width(self) -> float | None:
        """Median width of the interval of the p95 change, in points."""
        return statistics.median(h - low for low, h in self.intervals) if self.intervals else None

    @property
    def played(self) -> float:
        """Median part of the curve after which the verdict was known, in percent."""
        return statistics.median(outcome.played for outcome in self.outcomes)

    @property
    def is_kept(self) -> bool:
        """Whether every promise is."""
        soon = self.scenario.soon
        is_soon = soon is None or self.played <= soon
        return is_soon and all(map(self.is_met, self.scenario.bars))

    @property
    def coverage(self) -> float | None:
        """Percent of the intervals that contain the true change."""
        true = self.scenario.true_change
        if true is None or not self.intervals:
            return None
        held = sum(low <= true <= high for low, high in self.intervals)
        return 100 * held / len(self.intervals)

    def is_met(self, bar: Bar) -> bool:
        """Whether chance would bring what was seen often enough."""
        if all(len(trial) == 1 for trial in self.trials):
            hits = sum(self.counts[verdict] for verdict in bar.verdicts)
            may_be = may_be_at_least if bar.at_least else may_be_at_most
            return may_be(bar.percent, hits, len(self.trials), _RARELY)
        return self._is_met_by_chains(bar)

    def _is_met_by_chains(self, bar: Bar) -> bool:
        """The runs of a chain have runs in common, so each chain counts as one value."""
        shares = [
            100 * sum(outcome.verdict in bar.verdicts for outcome in trial) / len(trial)
            for trial in self.trials
        ]
        missed_by = statistics.fmean(shares) - bar.percent
        missed_by *= -1 if bar.at_least else 1
        deviation = statistics.stdev(shares) / math.sqrt(len(shares))
        if missed_by <= 0 or not deviation:
            return missed_by <= 0
        return 1 - student_cdf(missed_by / deviation, len(shares) - 1) >= _RARELY

    def document(self) -> dict[str, Any]:
        outcomes = len(self.outcomes)
        return {
            "table": self.scenario.table,
            "row": self.scenario.row,
            "column": self.scenario.column,
            "trials": len(self.trials),
            "runs": outcomes,
            "verdicts": dict(self.counts),
            "fail": self.percent("FAIL"),
            "failInterval": wilson(self.counts["FAIL"], outcomes),
            "warn": self.percent("WARN"),
            "warnInterval": wilson(self.counts["WARN"], outcomes),
            "tooNoisy": self.blind,
            "blamed": dict(self.blamed),
            "width": self.width,
            "played": self.played,
            "kept": self.is_kept,
            "coverage": self.coverage,
            "bars": [{"bar": str(b), "met": self.is_met(b)} for b in self.scenario.bars],
        }


USUAL, SMALL = Load(), Load(rate=20, seconds=20)
RARELY_WRONG = (Bar(("FAIL",), 1), Bar(("WARN",), 5))
SELDOM_FAILS = (Bar(("FAIL",), 3),)
FOUND = (Bar(("FAIL",), 95, at_least=True),)
MOSTLY_FOUND = (Bar(("FAIL",), 90, at_least=True),)
NOTICED = (Bar(("WARN", "FAIL"), 95, at_least=True),)
HALF_NOTICED = (Bar(("WARN", "FAIL"), 50, at_least=True),)

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


def unchanged() -> Iterator[Scenario]:
    for name, noise in NOISES.items():
        is_ordinary = name in ORDINARY
        more = 2 if is_ordinary else 1
        bars = RARELY_WRONG if is_ordinary else SELDOM_FAILS
        by_one = () if name in WIDE else bars
        one = partial(one_more, noise=noise, load=USUAL)
        yield Scenario("unchanged", name, ONE, one, 120 * more, by_one, 0.0)
        ten = partial(one_more, noise=noise, load=USUAL, before=10)
        yield Scenario("unchanged", name, TEN, ten, 40 * more, bars, 0.0)
        small = partial(one_more, noise=noise, load=SMALL)
        never = () if name in WIDE else bars[:1]
        yield Scenario("unchanged", name, "20/s for 20 s", small, 200, never, 0.0)
        both = partial(duet, noise=noise, load=USUAL)
        yield Scenario("unchanged", name, DUET, both, 40 * more, bars, 0.0)


def slower() -> Iterator[Scenario]:
    for name, noise in NOISES.items():
        bars = FOUND if name in ORDINARY else ()
        mostly = MOSTLY_FOUND if name in ORDINARY else ()
        more = 3 if name in ORDINARY else 1
        one = partial(one_more, noise=noise, load=USUAL)
        both = partial(duet, noise=noise, load=USUAL)
        for column, play, target, count, wanted in (
            (f"everything, {ONE}", one, SLOWER, 30, bars),
            (f"everything, {TEN}", partial(one, before=10), SLOWER, 15, bars),
            (f"everything, {DUET}", both, SLOWER, 15, bars),
            (f"the slowest tenth, {ONE}", one, SLOWER_TAIL, 30, mostly),
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


POWER = (2, 5, 8, 12, 16, 20, 30, 40)
"""Changes in percent; 0, 10 and 25 are in other tables."""


def improvements() -> Iterator[Scenario]:
    for better in (1, 3, 5, 10):
        for is_pinned in (False, True):
            row = f"{better} quick runs{', the last pinned' if is_pinned else ''}"
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
    for percent in (1, 2):
        trial = partial(
            creep, noise=NOISES["hosted"], load=USUAL, step=1 + percent / 100, found_by=1.131
        )
        yield Scenario("creep", f"{percent} % per run", "found by +13 %", trial, 20, half)


def early() -> Iterator[Scenario]:
    """Twice as long as a run, a duet has as many requests of each version."""
    for name in ("calm", "hosted", "Pareto tail", "hosted mix"):
        for what, is_duet, seconds in (("two runs", False, 60), ("duet", True, 120)):
            trial = partial(stopped_early, noise=NOISES[name], seconds=seconds, is_duet=is_duet)
            for change, target, bars, soon in (
                ("unchanged", NORMAL, RARELY_WRONG if name in ORDINARY else SELDOM_FAILS, 67),
                ("50 % slower", Target(slower=1.5), FOUND, 34),
            ):
                changed = partial(trial, target=target)
                yield Scenario(
                    "stopped early", name, f"{what}, {change}", changed, 25, bars, soon=soon
                )


def main() -> int:
    arguments = _arguments()
    wanted = [one for one in scenarios() if re.search(arguments.only, str(one))]
    if not wanted:
        names = "\n".join(map(str, scenarios()))
        sys.exit(f"no scenario has such a name; there are:\n{names}")
    results = list(_results(wanted, arguments))
    missed = sum(not result.is_kept for result in results)
    for result in results:
        print("\n".join(lines(result)))
    if arguments.markdown:
        print("\n" + "\n\n".join(tables(results)))
    if arguments.json:
        documents = [result.document() for result in results]
        arguments.json.write_text(json.dumps(documents, indent=1) + "\n")
    print(f"\nscenarios that miss a bar: {missed} of {len(results)}")
    return int(missed > 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the trials")
    parser.add_argument("--times", type=float, default=1.0, help="so many times the trials")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", metavar="REGEX", help="scenarios with such names")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to a file")
    parser.add_argument("--markdown", action="store_true", help="print tables for the manual")
    return parser.parse_args()


def _results(wanted: Sequence[Scenario], arguments: argparse.Namespace) -> Iterator[Result]:
    began = time.monotonic()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for number, scenario in enumerate(wanted, 1):
            times = 0.1 if arguments.quick else arguments.times
            count = max(round(times * scenario.trials), 3)
            first = arguments.seed * 1_000_000
            trials = list(pool.map(scenario.play, range(first, first + count), chunksize=5))
            result = Result(scenario, trials)
            took = time.monotonic() - began
            verdicts = "  ".join(f"{name} {hits}" for name, hits in result.counts.most_common())
            progress = f"{took:4.0f} s  {number}/{len(wanted)}  {scenario}: {verdicts}"
            print(progress, file=sys.stderr, flush=True)
            yield result


def lines(result: Result) -> Iterator[str]:
    """One scenario in words."""
    runs = len(result.outcomes)
    yield f"{result.scenario}: {runs} runs; blamed {dict(result.blamed.most_common(4))}"
    for verdict in ("FAIL", "WARN"):
        low, high = wilson(result.counts[verdict], runs)
        yield f"    {verdict} {result.percent(verdict):.1f} % ({low:.1f} to {high:.1f})"
    if result.width is not None and result.coverage is not None:
        yield (
            f"    interval of the p95 change {result.width:.1f} points wide,"
            f" holds the true one in {result.coverage:.0f} %"
        )
    for bar in result.scenario.bars:
        yield f"    {bar}: {'met' if result.is_met(bar) else 'MISSED'}"
    if soon := result.scenario.soon:
        is_met = "met" if result.played <= soon else "MISSED"
        yield f"    known after {result.played:.0f} % of the curve, at most {soon:.0f} %: {is_met}"


def tables(results: Sequence[Result]) -> Iterator[str]:
    """Percent of `FAIL` / `WARN`, in Markdown; what misses its bar is bold."""
    by_table: dict[str, dict[tuple[str, str], Result]] = {}
    for result in results:
        scenario = result.scenario
        by_table.setdefault(scenario.table, {})[scenario.row, scenario.column] = result
    for name, cells in by_table.items():
        texts = {place: _cell(result) for place, result in cells.items()}
        yield _table(f"{name}: `FAIL` / `WARN` in %", texts)
    if "unchanged" in by_table:
        yield from _interval_table(by_table["unchanged"])


def _cell(result: Result) -> str:
    text = f"{result.percent('FAIL'):.1f} / {result.percent('WARN'):.1f}"
    text += f", after {result.played:.0f} %" if result.scenario.soon else ""
    return text if result.is_kept else f"**{text}**"


def _interval_table(cells: Mapping[tuple[str, str], Result]) -> Iterator[str]:
    texts: dict[tuple[str, str], str] = {}
    for noise in NOISES:
        two, both = cells.get((noise, ONE)), cells.get((noise, DUET))
        if not two or not both or not two.width or not both.width:
            continue
        texts[noise, "two runs"] = f"{two.width:.1f}"
        texts[noise, "A/B run"] = f"{both.width:.1f}"
        texts[noise, "narrower"] = f"{two.width / both.width:.1f} x"
        texts[noise, "holds 0, two runs"] = f"{two.coverage:.0f} %"
        texts[noise, "holds 0, A/B run"] = f"{both.coverage:.0f} %"
    if texts:
        yield _table("interval of the p95 change of unchanged runs, points", texts)


def _table(title: str, texts: Mapping[tuple[str, str], str]) -> str:
    rows = list(dict.fromkeys(row for row, _ in texts))
    columns = list(dict.fromkeys(column for _, column in texts))
    written = [f"| {title} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for row in rows:
        cells = " | ".join(texts.get((row, column), "") for column in columns)
        written.append(f"| {row} | {cells} |")
    return "\n".join(written)


if __name__ == "__main__":
    sys.exit(main())
