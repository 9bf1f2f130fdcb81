"""Signals at random instants end the program at once, with their code, and never with a pass."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.simulation import process
from tests.simulation.plan import Fault
from tests.simulation.report import say
from tests.simulation.scale import seeds
from tests.simulation.schedules import Schedule
from tests.simulation.socket_server import SocketServer
from tests.simulation.trafficmorph.world import Truth

SIGNALS = 120
KILLS = 30
AT_ONCE = 4
LATEST = 2.0
"""Seconds within which the program must be gone."""
TOO_LATE = "ended too late"

pytestmark = [
    pytest.mark.volume,
    pytest.mark.skipif(os.name == "nt", reason="signals of this kind are POSIX"),
]


@dataclass(frozen=True)
class Shot:
    """A signal `delay` seconds after the launch or, `into_run`, after the first request."""

    schedule: Schedule
    number: int
    delay: float
    into_run: bool
    stops: bool
    twice: bool

    @property
    def ends_by_itself(self) -> bool:
        return self.schedule.truth.duration < 1


def aim(seed: int) -> Shot:
    chance = random.Random(f"signal {seed}")
    truth = Truth(
        "PASS", duration=chance.choice((0.05, 60.0, 60.0)), row_delay=0.0, verdict_delay=0.0
    )
    plan: dict[str, tuple[Fault | None, ...]] = {}
    if chance.random() < 0.5:
        endpoint = chance.choice(("profile", "snapshot", "start", "status", "history"))
        kind = chance.choice(("hang", "hang", "drip", "503-html", "reset"))
        plan[endpoint] = (Fault(kind, acted=endpoint == "start" and chance.random() < 0.5),) * 20
    schedule = Schedule(seed, truth, ("FAIL",), plan, wait_timeout=60.0, verdict_timeout=30.0)
    into_run = chance.random() < 0.75
    return Shot(
        schedule,
        number=chance.choice((signal.SIGINT, signal.SIGTERM, signal.SIGHUP)),
        delay=chance.uniform(0, 0.6),
        into_run=into_run,
        stops=chance.random() < 0.3,
        twice=chance.random() < 0.1,
    )


def fire(shot: Shot, home: Path) -> list[str]:
    argv = process.arguments(shot.schedule, wants_json=False)
    argv[argv.index("--timeout") + 1] = "20s"
    argv += ["--on-interrupt", "stop" if shot.stops else "detach"]
    with SocketServer(shot.schedule) as server:
        running = process.launch(argv, server.url, home, fresh=not shot.into_run)
        if shot.into_run:
            server.requested.wait(process.LONGEST)
        time.sleep(shot.delay)
        had_requests, at = bool(server.recording.ops), server.elapsed()
        running.send_signal(shot.number)
        if shot.twice:
            time.sleep(0.05)
            running.send_signal(shot.number)
        try:
            out, err = running.communicate(timeout=process.LONGEST)
        except subprocess.TimeoutExpired:
            running.kill()
            out, err = running.communicate()
        took = server.elapsed() - at
        ops = list(server.recording.ops)
    wrong = [
        *process.problems_of_output(running.returncode, out, err, wants_json=False),
        *process.problems_of_reports(running.returncode, home),
    ]
    codes = _codes(shot)
    if not had_requests:  # Python itself was not up yet, and tells so in its own way
        wrong = [text for text in wrong if "traceback" not in text]
        if "KeyboardInterrupt" in err and f"tm_cli{os.sep}" not in err:
            codes.add(1)
    if took > LATEST:
        wrong.append(f"{TOO_LATE}: {took:.1f} s")
    if running.returncode not in codes:
        wrong.append(f"exit {running.returncode} after signal {shot.number}")
    if any(op.endpoint == "start" and op.began > at + 0.1 for op in ops):
        wrong.append("started after the signal")
    if sum(op.endpoint == "stop" for op in ops) > int(shot.stops):
        wrong.append("stopped a run unasked, or twice")
    return [f"TM_FAULT_SEED={shot.schedule.seed}: {text}\n  {shot}\n  {err}" for text in wrong]


def _codes(shot: Shot) -> set[int]:
    """The signal's code, given by the program or by the system, or that of the end before it."""
    codes = {128 + shot.number, -shot.number}
    if shot.schedule.plan:
        return codes | {1, 7}
    return codes | {0} if shot.ends_by_itself else codes


def test_signals_end_the_program(tmp_path):
    def judge(seed: int, attempt: int = 1) -> list[str]:
        home = Path(tmp_path, f"{seed}-{attempt}")
        home.mkdir()
        return fire(aim(seed), home)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(judge, seeds(SIGNALS)))
    for position, seed in enumerate(seeds(SIGNALS)):  # late beside many others says little
        if any(TOO_LATE in text for text in results[position]):
            results[position] = judge(seed, attempt=2)
    wrong = [text for told in results for text in told]
    say(f"{len(results)} signals, {len(wrong)} violations")
    assert wrong == [], "\n\n".join(wrong)


def test_killed_program_leaves_no_pass_behind(tmp_path):
    """Neither a half report nor one that says pass; the truth of these runs is FAIL."""

    def judge(seed: int) -> list[str]:
        home = Path(tmp_path, str(seed))
        home.mkdir()
        chance = random.Random(f"kill {seed}")
        truth = Truth("FAIL", duration=0.05, row_delay=0.0, verdict_delay=0.0)
        with SocketServer(Schedule(seed, truth)) as server:
            argv = process.arguments(Schedule(seed, truth), wants_json=False)
            into_run = chance.random() < 0.8
            running = process.launch(argv, server.url, home, fresh=not into_run)
            if into_run:
                server.requested.wait(process.LONGEST)
            time.sleep(chance.uniform(0, 0.25))
            running.kill()
            out, _ = running.communicate()
        wrong = list(process.problems_of_reports(running.returncode, home))
        return [f"{text}: {out}" for text in wrong] + ["PASS"] * out.startswith("PASS")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        wrong = [text for told in pool.map(judge, seeds(KILLS)) for text in told]
    say(f"{len(seeds(KILLS))} kills, {len(wrong)} violations")
    assert wrong == []
