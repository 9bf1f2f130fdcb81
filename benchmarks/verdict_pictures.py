"""Draws the pictures of docs/verdicts.md from what `verdict.py` has measured.

    python benchmarks/verdict.py --json verdicts.json
    python benchmarks/verdict_pictures.py verdicts.json

Writes SVG files to docs/pictures/.
"""

from __future__ import annotations

import json
import math
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from charts import Axis, Bar, Line, bar_chart, line_chart
from noise import NOISES, Target, judged, play, slowness
from scenarios import DUET, ONE, POWER
from sequential import cut, decided

from tm_cli.server.judge import Judgement, RunFacts, choose_baseline, judge, judge_ab_run
from tm_cli.server.judge.thresholds import Thresholds

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"
COLOURS = {"PASS": "pass", "WARN": "warn", "FAIL": "fail", "NO_BASELINE": "other"}
Cells = Mapping[tuple[str, str, str], Mapping[str, Any]]
"""The numbers by table, row and column."""


def main() -> int:
    found = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    cells = {(item["table"], item["row"], item["column"]): item for item in found}
    write("unchanged-runs.svg", unchanged(cells))
    write("power.svg", power(cells))
    write("levels.svg", levels())
    write("stopping-early.svg", stopping_early())
    return 0


def unchanged(cells: Cells) -> str:
    """How often a run is not green although nothing has changed."""
    bars = []
    for noise in NOISES:
        item = cells["unchanged", noise, ONE]
        shares = [("fail", item["fail"]), ("warn", item["warn"])]
        text = f"FAIL {item['fail']:.1f} %, WARN {item['warn']:.1f} %"
        bars.append(Bar(noise, shares, text))
    return bar_chart("Unchanged runs that are not PASS, by noise", bars, highest=50)


def power(cells: Cells) -> str:
    """How often a change of some size is found."""
    lines = [
        Line("A/B run: FAIL", "other", _shares(cells, DUET, "fail")),
        Line("two runs: FAIL", "fail", _shares(cells, ONE, "fail")),
        Line("two runs: at least WARN", "warn", _shares(cells, ONE, "fail", "warn")),
        Line("A/B run: at least WARN", "pass", _shares(cells, DUET, "fail", "warn")),
    ]
    return line_chart(
        "How often a slower service is found: 200/s for 60 s, hosted runners",
        lines,
        Axis(
            "true change of all response times",
            0,
            40,
            [(v, f"+{v} %") for v in (0, 10, 20, 30, 40)],
        ),
        Axis("share of the runs", 0, 100, [(v, f"{v} %") for v in (0, 25, 50, 75, 100)]),
    )


def _shares(cells: Cells, column: str, *names: str) -> Sequence[tuple[float, float]]:
    known = {
        0: ("unchanged", "hosted", column),
        10: ("10 % slower", "hosted", f"everything, {column}"),
        25: ("25 % slower", "hosted", f"everything, {column}"),
    } | {percent: ("power", f"everything {percent} % slower", column) for percent in POWER}
    return [
        (float(percent), sum(cells[place][name] for name in names))
        for percent, place in sorted(known.items())
    ]


def levels() -> str:
    """A service that becomes quicker, and loses that again: every run judged as the server does."""
    rng = random.Random(3)  # noqa: S311
    targets = [Target()] * 10 + [Target(slower=0.7)] * 6 + [Target()] * 3
    runs: list[RunFacts] = []
    for number, target in enumerate(targets, 1):
        factors = slowness(60, NOISES["hosted"], rng)
        run = judged(play(target, factors, 200, NOISES["hosted"], rng), number)
        verdict = judge(run, choose_baseline(run, runs), Thresholds()).verdict
        runs.append(replace(run, verdict=verdict))
    times = [run.quantiles_ms["p95"] for run in runs]
    top = 20 * math.ceil(max(times) / 20)
    lines = [
        Line(
            verdict,
            colour,
            [
                (float(number), run.quantiles_ms["p95"])
                for number, run in enumerate(runs, 1)
                if run.verdict == verdict
            ],
            has_line=False,
        )
        for verdict, colour in COLOURS.items()
    ]
    return line_chart(
        "An improvement is lost: p95 of 19 runs and their verdicts",
        [line for line in lines if line.points],
        Axis("run", 0, len(runs) + 1, [(n, str(n)) for n in range(1, len(runs) + 1, 3)]),
        Axis("p95", 0, top, [(v, f"{v} ms") for v in range(0, top + 1, 20)]),
        height=300,
    )


def stopping_early() -> str:
    """The interval of the p95 change of two A/B runs of two minutes, until each is decided."""
    lines = []
    for name, colour, target in (
        ("50 % slower", "fail", Target(slower=1.5)),
        ("unchanged", "pass", Target()),
    ):
        rng = random.Random(2)  # noqa: S311
        factors = slowness(120, NOISES["hosted"], rng)
        now, before = (
            play(version, factors, 100, NOISES["hosted"], rng) for version in (target, Target())
        )
        decision = decided(now, before)
        blocks = range(3, round(decision.share * len(now.blocks)) + 1)
        found = [_p95(judge_ab_run(cut(now, count), cut(before, count))) for count in blocks]
        for side in ("ciHigh", "ciLow"):
            points = [
                (count * now.seconds / len(now.blocks), item[side])
                for count, item in zip(blocks, found, strict=True)
            ]
            ended = f"{name}: {decision.verdict}, {points[-1][0]:.0f} s"
            lines.append(Line(ended if side == "ciHigh" else "", colour, points))
    return line_chart(
        "95 % interval of the p95 change of two A/B runs, until the verdict is known",
        lines,
        Axis("seconds of 120", 0, 120, [(v, f"{v} s") for v in range(0, 121, 20)]),
        Axis("change of p95", -20, 80, [(v, f"{v:+} %") for v in range(-20, 81, 20)]),
        limits=[(15.0, "fail", "FAIL above +15 %")],
    )


def _p95(judgement: Judgement) -> dict[str, Any]:
    found = judgement.snapshot["comparisons"]
    return next(item for item in found if item["metric"] == "p95")


def write(name: str, drawn: str) -> None:
    (PICTURES / name).write_text(drawn, encoding="utf-8")
    print(f"wrote {PICTURES / name}")


if __name__ == "__main__":
    sys.exit(main())
