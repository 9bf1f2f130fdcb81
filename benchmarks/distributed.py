"""A run of several load generators under Locust's master: counts, losses and cost.

    python benchmarks/distributed.py [--quick]

All workers share one core of the machine, the target and the master the other. Every ratio is of
interleaved rounds. Exits with 1 when a bar is missed, 69 without a tool.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator

from engine import UNAVAILABLE, Row
from generators import machine, nginx, tools
from generators.tools import Played

from tm_cli.values.load.curve import Curve

_RATE = 90.0  # of the run in which a worker is killed
_KILL_AT = 3.5  # seconds


def counts(rounds: int, seconds: float) -> Iterator[Row]:
    """Requests of a ramp: planned, sent, arrived, and in the histograms; the largest difference."""
    points = [(0.0, 100.0), (seconds / 2, 1600.0), (seconds, 100.0)]
    planned = Curve(points, seconds, "LINEAR").planned_before(seconds)
    differences = []
    with nginx.serving() as url:
        for _ in range(rounds):
            before = nginx.requests(url)
            played = tools.distributed(url, seconds, points, 3)
            arrived = nginx.requests(url) - before
            found = [played.finished["sent"], arrived, played.timed]
            differences.append(max(abs(count - planned) for count in found))
    yield Row(
        f"planned, {planned:,} requests: most that one count is off", max(differences), "", 0, True
    )


def losses(rounds: int) -> Iterator[Row]:
    """One of three workers is killed: how soon it is noticed, and its share moved."""
    noticed: list[float] = []
    moved: list[float] = []
    more: list[float] = []
    with nginx.serving() as url:
        for _ in range(rounds):
            before = nginx.requests(url)
            played = tools.distributed(url, 10.0, [(0, _RATE)], 3, kill_at=_KILL_AT)
            note = _note_of_a_loss(played)
            noticed.append(float(note[1]) - _KILL_AT)
            moved.append(float(note[2]) - _KILL_AT)
            more.append(nginx.requests(url) - before - 10.0 * _RATE)
    yield Row("seconds until a killed worker is noticed, the longest", max(noticed), "s", 4, True)
    yield Row("seconds until its share has moved, the longest", max(moved), "s", 6, True)
    yield Row("requests sent in addition to the planned ones", max(more), "", 0, True)


def _note_of_a_loss(played: Played) -> re.Match[str]:
    notes = [event["text"] for event in played.events if event["event"] == "note"]
    found = re.search(r"lost at second ([\d.]+).*at second ([\d.]+)", " ".join(notes))
    if not found:
        raise RuntimeError(f"no note of a lost worker: {notes}")
    return found


def cost(rounds: int, seconds: float) -> Iterator[Row]:
    """Processor time of one request at 2,500/s in all workers together, by their number."""
    spent: dict[int, list[float]] = defaultdict(list)
    points = [(0.0, 2500.0)]
    with nginx.serving() as url:
        for _ in range(rounds):
            spent[0].append(tools.engine(url, seconds, points).cpu_per_request)
            for workers in (1, 2, 4):
                played = tools.distributed(url, seconds, points, workers)
                spent[workers].append(played.cpu_per_request)
    for workers, values in spent.items():
        what = f"{workers} of them under a master" if workers else "one load generator alone"
        yield Row(what, statistics.median(values) * 1e6, "us")
    for workers in (1, 2, 4):
        ratios = [ours / alone for ours, alone in zip(spent[workers], spent[0], strict=True)]
        yield Row(f"{workers} under a master / one alone", statistics.median(ratios))


def main() -> int:
    """Measure, print the table, and judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short runs, one round")
    is_quick = parser.parse_args().quick
    if missing := machine.lacking():
        print(*missing, sep="\n", file=sys.stderr)
        return UNAVAILABLE
    rounds, seconds = (1, 6.0) if is_quick else (3, 12.0)
    is_missed = False
    for rows in (counts(rounds, seconds), losses(rounds), cost(rounds, seconds)):
        for row in rows:
            print(row, flush=True)
            is_missed |= row.is_missed
    return 1 if is_missed else 0


if __name__ == "__main__":
    sys.exit(main())
