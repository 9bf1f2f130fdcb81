"""Verdicts over real traffic: `python tests/simulation/soak/real_verdicts.py [SCALE]`.

Plays the gate's own command line against a service with noisy response times: runs judged by an
earlier run and duets, each with an unchanged service and with one that is 25 % slower, 30 of each
kind and 60 s long at scale 1, two hours in all. A smaller scale has fewer of them; below 0.5 they
are shorter too, down to 20 s. Prints the rates with their 95 % intervals (Wilson). Exits 1 when one
is so far from what docs/verdicts.md promises that chance brings it in less than 1 % of cases.
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
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))
sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

from shares import may_be_at_least, may_be_at_most, wilson

from tests.simulation.report import say

TRIALS, SECONDS, SHORTEST = 30, 60, 20
RATE = 50
SLOWER = 1.25
SHOWN = ("p50", "p95", "p99")
EXIT_CODES = {"FAIL": 2}
SEED = 1


@dataclass(frozen=True)
class Kind:
    """One kind of run, and what is promised of it."""

    name: str
    slower: float
    is_duet: bool

    def complaints(self, verdicts: Counter[str]) -> Iterator[str]:
        """What the promises do not explain."""
        trials = verdicts.total()
        fails, warns = verdicts["FAIL"], verdicts["WARN"]
        if self.slower > 1:
            if not may_be_at_least(95, fails, trials):
                yield f"{fails} of {trials} found, at least 95 % promised"
            return
        if not may_be_at_most(1, fails, trials):
            yield f"{fails} of {trials} FAIL, at most 1 % promised"
        if not may_be_at_most(5, warns, trials):
            yield f"{warns} of {trials} WARN, at most 5 % promised"


KINDS = (
    Kind("unchanged", 1.0, is_duet=False),
    Kind("25 % slower", SLOWER, is_duet=False),
    Kind("unchanged, duet", 1.0, is_duet=True),
    Kind("25 % slower, duet", SLOWER, is_duet=True),
)


class Gate:
    """`tm` in a directory of its own, and the service that it tests."""

    def __init__(self, home: Path, target: str, seconds: int) -> None:
        self._home = home
        self._target = target
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TM_")}
        self._environ = {**kept, "HOME": str(home), "TM_BASE_URL": "local"}
        for name in ("runs", "duets"):
            profile = {
                "name": name,
                "httpMethod": "GET",
                "targetUrl": f"{target}/new",
                "duration": seconds,
                "points": [{"x": 0, "y": RATE}, {"x": seconds, "y": RATE}],
            }
            (home / f"{name}.json").write_text(json.dumps(profile))

    def play(self, kind: Kind) -> dict[str, Any]:
        """One run; what `tm runs start --json` says of it."""
        with urllib.request.urlopen(f"{self._target}/weather?slower={kind.slower}", timeout=10):
            pass
        words = ["runs", "start", "--wait", "--fail-on", "FAIL", "--json"]
        words += ["duets.json", "--against", f"{self._target}/old"] if kind.is_duet else []
        words += [] if kind.is_duet else ["runs.json"]
        done = subprocess.run(
            [sys.executable, "-m", "tm_cli", *words],
            cwd=self._home,
            env=self._environ,
            capture_output=True,
            text=True,
            check=False,
        )
        outcome: dict[str, Any] = json.loads(done.stdout)
        data = outcome["data"]
        verdict = data and data["verdict"]
        if not verdict or done.returncode != EXIT_CODES.get(verdict, 0):
            sys.exit(f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
        return data


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


def line(number: int, kind: Kind, data: dict[str, Any]) -> str:
    """A run in one line."""
    shown = "  ".join(
        f"{item['metric']} {item['change']:+.1f} %"
        for item in data["comparisons"]
        if item["metric"] in SHOWN and item["than"] != "reference" and item["change"] is not None
    )
    head = f"{number:3}  {kind.name:18} {data['verdict']:12} {shown}"
    expected = "FAIL" if kind.slower > 1 else "PASS"
    return head if data["verdict"] == expected else f"{head}\n     {data['verdict_reasons']}"


def main(scale: float) -> int:
    """Play everything and return the exit code."""
    trials = max(round(TRIALS * scale), 2)
    seconds = max(round(SECONDS * min(1.0, 2 * scale)), SHORTEST)
    counts: dict[str, Counter[str]] = {kind.name: Counter() for kind in KINDS}
    with tempfile.TemporaryDirectory() as home, service() as target:
        gate = Gate(Path(home), target, seconds)
        say(f"{seconds} s at {RATE}/s; the first run, without a baseline:")
        say(line(0, KINDS[0], gate.play(KINDS[0])))
        for number in range(1, trials + 1):
            for kind in KINDS:
                data = gate.play(kind)
                counts[kind.name][data["verdict"]] += 1
                say(line(number, kind, data))
    return report(counts)


def report(counts: dict[str, Counter[str]]) -> int:
    """Print the rates; 1 when a promise is broken."""
    broken = 0
    for kind in KINDS:
        verdicts = counts[kind.name]
        say(f"{kind.name}: {verdicts.total()} runs")
        for verdict in ("FAIL", "WARN"):
            low, high = wilson(verdicts[verdict], verdicts.total())
            share = 100 * verdicts[verdict] / verdicts.total()
            say(f"    {verdict} {share:.1f} % ({low:.1f} to {high:.1f})")
        for complaint in kind.complaints(verdicts):
            say(f"    {complaint}: MISSED")
            broken += 1
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0))
