"""How often the embedded server's verdict is wrong: the judge on simulated runs, with seeds.

    python benchmarks/verdict.py [--quick] [--only REGEX] [--json FILE] [--markdown]

Plays `scenarios.py` over the noises of `noise.py`. The rates come with their 95 % intervals
(Wilson); the bars are what docs/verdicts.md promises. Exits 1 when one is missed by so much that
chance would do it in less than 1 % of cases.
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
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noise import NOISES
from scenarios import DUET, ONE, Bar, Scenario, scenarios
from shares import RARELY, may_be_at_least, may_be_at_most, wilson
from trials import Outcome, Trial

from tm_cli.server.judge.statistics.distributions import student_cdf


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
        return self.is_soon and all(map(self.is_met, self.scenario.bars))

    @property
    def is_soon(self) -> bool:
        """Whether at most half of the runs took longer until they were known."""
        late = sum(outcome.played > (self.scenario.soon or 100) for outcome in self.outcomes)
        return may_be_at_most(50, late, len(self.outcomes))

    @property
    def coverage(self) -> float | None:
        """Percent of the intervals that contain the true change."""
        true = self.scenario.true_change
        if true is None or not self.intervals:
            return None
        held = sum(low <= true <= high for low, high in self.intervals)
        return 100 * held / len(self.intervals)

    def is_met(self, bar: Bar) -> bool:
        """Whether a promise that is kept brings what was seen in at least 1 % of cases."""
        if all(len(trial) == 1 for trial in self.trials):
            hits = sum(self.counts[verdict] for verdict in bar.verdicts)
            may_be = may_be_at_least if bar.at_least else may_be_at_most
            return may_be(bar.percent, hits, len(self.trials))
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
        return 1 - student_cdf(missed_by / deviation, len(shares) - 1) >= RARELY

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
        is_met = "met" if result.is_soon else "MISSED"
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
