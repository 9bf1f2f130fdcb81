"""Verdicts over real traffic: `python tests/simulation/soak/real_verdicts.py [SCALE]`.

Plays the gate's own command line against a service with noisy response times: runs judged by
earlier ones and duets, unchanged and slower, also on a machine whose cores are all busy; longer
tails, errors, short profiles; and what is as slow again as before an improvement. At scale 1 there
are 10 runs of each kind, 60 s long, two hours in all. A smaller scale has fewer of them; below
0.5 they are shorter too, down to 20 s. Prints the rates with their 95 % intervals (Wilson). Exits 1
when one is so far from what docs/verdicts.md promises that chance brings it in less than 1 % of
cases, and when anything passes that never may. Warnings because the machine was too slow to
generate the load are counted, but they break no promise.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).parents[3]))
sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

from shares import may_be_at_least, may_be_at_most, wilson

from tests.simulation.report import say

TRIALS, SECONDS, SHORTEST = 10, 60, 20
RATE, SMALL_RATE = 100, 20
FALL_BACKS, FALL_BACK_SECONDS = 3, 12
SLOW, QUICK = {"slower": 33 / 40}, {"slower": 20 / 40}  # of a median of 40 ms
SHOWN = ("p50", "p95", "p99")
EXIT_CODES = {"FAIL": 2}
MOST_QUICK = 8
SATURATED = "WARN (load generator)"
SEED = 1


@dataclass(frozen=True, eq=False)
class Kind:
    """One kind of run, and what is promised of it.

    `changes`: of the new version, as `noisy_target.py` takes them. Runs of one `profile` are judged
    by each other. `found`: percent of the runs that FAIL at least; None where nothing has changed.
    """

    name: str
    profile: str
    changes: dict[str, float] = field(default_factory=dict)
    found: float | None = None
    may_pass: bool = True

    @property
    def is_duet(self) -> bool:
        return "duet" in self.profile

    @property
    def is_busy(self) -> bool:
        return "busy" in self.profile

    @property
    def is_hard(self) -> bool:
        return self.is_busy or self.profile == "short"

    def complaints(self, verdicts: Counter[str]) -> Iterator[str]:
        """What the promises do not explain."""
        fails, warns = verdicts["FAIL"], verdicts["WARN"]
        trials = verdicts.total() - verdicts[SATURATED]
        if self.found is None:
            most = 3 if self.is_hard else 1
            if not may_be_at_most(most, fails, trials):
                yield f"{fails} of {trials} FAIL, at most {most} % promised"
            if not self.is_hard and not may_be_at_most(5, warns, trials):
                yield f"{warns} of {trials} WARN, at most 5 % promised"
            return
        if not may_be_at_least(self.found, fails, trials):
            yield f"{fails} of {trials} found, at least {self.found:g} % promised"
        if not self.may_pass and fails + warns < trials:
            yield f"{trials - fails - warns} of {trials} passed, which none may"


KINDS = (
    Kind("unchanged", "runs"),
    Kind("25 % slower", "runs", {"slower": 1.25}, 95),
    Kind("slowest tenth 50 % slower", "runs", {"tail": 1.5}, 90, may_pass=False),
    Kind("3 % errors", "runs", {"errors": 0.03}, 95, may_pass=False),
    Kind("unchanged, duet", "duet"),
    Kind("25 % slower, duet", "duet", {"slower": 1.25}, 95, may_pass=False),
    Kind("unchanged, short", "short"),
    Kind("twice as slow, short", "short", {"slower": 2.0}, 90, may_pass=False),
    Kind("unchanged, busy", "busy runs"),
    Kind("50 % slower, busy", "busy runs", {"slower": 1.5}, 0, may_pass=False),
    Kind("unchanged, busy duet", "busy duet"),
    Kind("50 % slower, busy duet", "busy duet", {"slower": 1.5}, 0, may_pass=False),
)
FALL_BACK = Kind("as slow as before", "fall-back", SLOW, 95, may_pass=False)


class Gate:
    """`tm` in a directory of its own, and the service that it tests."""

    def __init__(self, home: Path, target: str, seconds: int) -> None:
        self._home = home
        self._target = target
        self._seconds = seconds
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TM_")}
        self._environ = {**kept, "HOME": str(home), "TM_BASE_URL": "local"}

    def play(self, kind: Kind, profile: str = "") -> dict[str, Any]:
        """One run; what `tm runs start --json` says of it."""
        url = f"{self._target}/begin?{urlencode(kind.changes)}"
        with urllib.request.urlopen(url, timeout=10):
            pass
        words = ["runs", "start", "--wait", "--fail-on", "FAIL", "--json"]
        words += [self._profile(kind, profile or kind.profile)]
        words += ["--against", f"{self._target}/old"] if kind.is_duet else []
        with busy_cores() if kind.is_busy else nullcontext():
            done = subprocess.run(
                [sys.executable, "-m", "tm_cli", *words],
                cwd=self._home,
                env=self._environ,
                capture_output=True,
                text=True,
                check=False,
            )
        data: dict[str, Any] = json.loads(done.stdout)["data"]
        verdict = data and data["verdict"]
        if not verdict or done.returncode != EXIT_CODES.get(verdict, 0):
            sys.exit(f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
        return data

    def _profile(self, kind: Kind, name: str) -> str:
        rate = SMALL_RATE if kind.profile == "short" else RATE
        seconds = {"short": SHORTEST, "fall-back": FALL_BACK_SECONDS}.get(
            kind.profile, self._seconds
        )
        document = {
            "name": name,
            "httpMethod": "GET",
            "targetUrl": f"{self._target}/new",
            "duration": seconds,
            "points": [{"x": 0, "y": rate}, {"x": seconds, "y": rate}],
        }
        path = self._home / f"{name}.json"
        path.write_text(json.dumps(document))
        return path.name


@contextmanager
def service() -> Iterator[str]:
    """The noisy service in a process of its own; yields its address."""
    command = [sys.executable, str(Path(__file__).with_name("noisy_target.py")), str(SEED)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


@contextmanager
def busy_cores() -> Iterator[None]:
    """Other work on every core."""
    loop = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(loop) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def outcome(data: dict[str, Any]) -> str:
    """The verdict, or that the machine was too slow for one."""
    saturated = any(
        item["metric"] == "generator" and item["verdict"] == "WARN" for item in data["comparisons"]
    )
    return SATURATED if saturated and data["verdict"] == "WARN" else data["verdict"]


def line(number: int, kind: Kind, data: dict[str, Any]) -> str:
    """A run in one line."""
    shown = "  ".join(
        f"{item['metric']} {item['change']:+.1f} %"
        for item in data["comparisons"]
        if item["metric"] in SHOWN and item["than"] != "reference" and item["change"] is not None
    )
    head = f"{number:3}  {kind.name:26} {data['verdict']:12} {shown}"
    expected = "PASS" if kind.found is None else "FAIL"
    return head if data["verdict"] == expected else f"{head}\n     {data['verdict_reasons']}"


def play_kinds(gate: Gate, trials: int) -> dict[Kind, Counter[str]]:
    """Each profile begins with an unchanged run, which has no baseline."""
    counts: dict[Kind, Counter[str]] = {kind: Counter() for kind in KINDS}
    for kind in KINDS:
        if kind.found is None and not kind.is_duet:
            say(line(0, kind, gate.play(kind)))
    for number in range(1, trials + 1):
        for kind in KINDS:
            data = gate.play(kind)
            counts[kind][outcome(data)] += 1
            say(line(number, kind, data))
    return counts


def play_fall_backs(gate: Gate, times: int) -> Counter[str]:
    """Eight runs at 33 ms, two at 20 ms, then one at 33 ms again: the gain is lost.

    The quick runs are repeated until two have passed, as others show no gain.
    """
    counts: Counter[str] = Counter()
    slow = Kind("before an improvement", "fall-back", SLOW)
    quick = Kind("after an improvement", "fall-back", QUICK)
    for number in range(1, times + 1):
        passed = 0
        for kind in [slow] * 8 + [quick] * MOST_QUICK:
            if passed == 2:
                break
            data = gate.play(kind, f"fall-back {number}")
            say(line(number, kind, data))
            passed += kind is quick and data["verdict"] == "PASS"
        data = gate.play(FALL_BACK, f"fall-back {number}")
        say(line(number, FALL_BACK, data))
        counts[outcome(data) if passed == 2 else SATURATED] += 1
    return counts


def main(scale: float) -> int:
    """Play everything and return the exit code."""
    trials = max(round(TRIALS * scale), 1)
    seconds = max(round(SECONDS * min(1.0, 2 * scale)), SHORTEST)
    with tempfile.TemporaryDirectory() as home, service() as target:
        gate = Gate(Path(home), target, seconds)
        say(f"{seconds} s at {RATE}/s")
        counts = play_kinds(gate, trials)
        counts[FALL_BACK] = play_fall_backs(gate, max(round(FALL_BACKS * scale), 1))
    return report(counts)


def report(counts: dict[Kind, Counter[str]]) -> int:
    """Print a line for each kind; 1 when a promise is broken."""
    broken = 0
    for kind, verdicts in counts.items():
        shares = []
        for verdict in ("FAIL", "WARN", SATURATED):
            low, high = wilson(verdicts[verdict], verdicts.total())
            share = 100 * verdicts[verdict] / verdicts.total()
            shares.append(f"{verdict} {share:.0f} % ({low:.0f} to {high:.0f})")
        complaints = list(kind.complaints(verdicts))
        missed = f": MISSED: {'; '.join(complaints)}" if complaints else ""
        say(f"{kind.name}: {verdicts.total()} runs: {', '.join(shares)}{missed}")
        broken += len(complaints)
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0))
