"""The fault engine at nightly sizes: `python tests/simulation/soak.py [SCALE [NAME...]]`.

Prints one table; exits 1 when there is a violation. SCALE is 1 by default, and names choose
figures: `soak.py 1 runloop strait`. The seeds go on where the test suite ends.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.simulation import process, test_bad_input, test_hostile_text, test_signals_at_random
from tests.simulation.checkers import violations
from tests.simulation.report import say
from tests.simulation.volume import in_pieces, run_all

FIRST = 10_000_000
PIECE = 500
Judge = Callable[[range], list[str]]


def through(front_end: str, system: str = "trafficmorph") -> Judge:
    """Random schedules of a system through a front end."""

    def judge(chosen: range) -> list[str]:
        tally = run_all(front_end, chosen, system=system)
        return tally.failures if tally.broken else []

    return judge


def in_parallel(work: Callable[[range], list[object]]) -> Judge:
    """Seeds in pieces over all cores."""

    def judge(chosen: range) -> list[str]:
        pieces = [chosen[at : at + PIECE] for at in range(0, len(chosen), PIECE)]
        return [str(wrong) for part in in_pieces(work, pieces) for wrong in part]

    return judge


def processes(chosen: range) -> list[str]:
    """Real processes over real sockets, one after the other."""
    wrong = []
    for seed in chosen:
        schedule = process.generate(seed)
        with tempfile.TemporaryDirectory() as home:
            found = violations(schedule, process.run(schedule, Path(home)))
        wrong += [f"TM_FAULT_SEED={seed}: {text}" for text in found]
    return wrong


def signals(chosen: range) -> list[str]:
    """Signals at random instants, one after the other."""
    wrong = []
    for seed in chosen:
        with tempfile.TemporaryDirectory() as home:
            wrong += test_signals_at_random.fire(test_signals_at_random.aim(seed), Path(home))
    return wrong


FIGURES: tuple[tuple[str, int, Judge], ...] = (
    ("schedules, raw seam", 1_000_000, through("raw_seam")),
    ("schedules, HTTP library", 50_000, through("httpx_seam")),
    ("schedules of runloop", 20_000, through("raw_seam", "runloop")),
    ("the same, HTTP library, runloop", 2_000, through("httpx_seam", "runloop")),
    ("schedules of strait", 20_000, through("raw_seam", "strait")),
    ("the same, HTTP library, strait", 2_000, through("httpx_seam", "strait")),
    ("processes, real sockets", 1_000, processes),
    ("signals at random instants", 1_000, signals),
    ("hostile cases of ten strings", 20_000, in_parallel(test_hostile_text.judge)),
    ("mistakes", 50_000, in_parallel(test_bad_input.judge)),
)


def main(scale: float, names: Sequence[str]) -> int:
    """Run every figure, or those whose names contain one of these, and return the exit code."""
    say(f"{'figure':32} {'count':>9} {'first seed':>11} {'violations':>10} {'seconds':>8}")
    total = 0
    for name, size, judge in FIGURES:
        if names and not any(word in name for word in names):
            continue
        chosen = range(FIRST, FIRST + max(int(size * scale), 1))
        began = time.monotonic()
        wrong = judge(chosen)
        took = time.monotonic() - began
        say(f"{name:32} {len(chosen):9} {FIRST:11} {len(wrong):10} {took:8.0f}")
        for text in wrong[:3]:
            say(text)
        total += len(wrong)
    return int(total > 0)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0, sys.argv[2:]))
