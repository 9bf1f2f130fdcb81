"""The generators, each run to its end on the generator's core."""

from __future__ import annotations

import contextlib
import csv
import json
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from hdrh.histogram import HdrHistogram

from generators import machine
from tm_cli.server.engine.distributed.roles import MasterRole, WorkerRole, run_keys
from tm_cli.server.engine.job import EngineJob

_GRACE = 60.0
Points = list[tuple[float, float]]


def wrk(url: str, seconds: float) -> float:
    """Requests per processor second of one thread with 64 connections."""
    output, cpu = _measured(["wrk", "-t1", "-c64", f"-d{seconds:g}s", url], seconds)
    return _number(r"(\d+) requests in", output) / cpu


def hey(url: str, seconds: float) -> float:
    """Requests per processor second of 64 connections."""
    output, cpu = _measured(["hey", "-z", f"{seconds:g}s", "-c", "64", url], seconds)
    return _number(r"Requests/sec:\s+([\d.]+)", output) * seconds / cpu


def closed_hey(url: str, seconds: float, connections: int, rate: float) -> list[float]:
    """The response times, in seconds, of so many connections at `rate` requests per second."""
    limits = ["-c", str(connections), "-q", f"{rate / connections:g}"]
    output = _run(["hey", "-z", f"{seconds:g}s", *limits, "-o", "csv", url], seconds)
    return [float(row["response-time"]) for row in csv.DictReader(output.splitlines())]


def locust_rate(url: str, seconds: float) -> float:
    """Requests per processor second of 50 FastHttpUsers."""
    return float(_locust("most", url, seconds, "50")["rate"])


def locust_shape(url: str, seconds: float, points: Points) -> float:
    """Play a curve as a shape class does; when it began (wall clock)."""
    return float(_locust("shape", url, seconds, json.dumps(points))["started"])


def closed_locust(url: str, seconds: float, users: int, rate: float) -> list[float]:
    """The response times, in seconds, of so many users at `rate` requests per second."""
    return list(_locust("closed", url, seconds, str(users), f"{rate / users:g}")["seconds"])


def vegeta_cpu(url: str, seconds: float, rate: float) -> float:
    """Processor seconds that vegeta spends on a request at this rate."""
    with tempfile.TemporaryDirectory() as directory:
        targets, results = Path(directory, "targets"), Path(directory, "results")
        targets.write_text(f"GET {url}\n", encoding="utf-8")
        files = [f"-targets={targets}", f"-output={results}"]

        def attack(duration: float) -> list[str]:
            limits = [f"-rate={rate:g}", f"-duration={duration:g}s", "-max-workers=256"]
            return ["vegeta", "attack", *limits, *files]

        return _cpu_per_request(attack, seconds, lambda _, duration: duration * rate)


_K6_SCRIPT = """
import http from 'k6/http';
export const options = {{ discardResponseBodies: true, scenarios: {{ steady: {{
  executor: 'constant-arrival-rate', rate: {rate:.0f}, timeUnit: '1s', duration: '{seconds:g}s',
  preAllocatedVUs: 64, maxVUs: 256 }} }} }};
export default function () {{ http.get('{url}'); }}
"""


def k6_cpu(url: str, seconds: float, rate: float) -> float:
    """Processor seconds that k6 spends on a request at this rate."""
    with tempfile.TemporaryDirectory() as directory:
        script = Path(directory, "script.js")

        def run(duration: float) -> list[str]:
            text = _K6_SCRIPT.format(rate=rate, seconds=duration, url=url)
            script.write_text(text, encoding="utf-8")
            return ["k6", "run", "--quiet", "--no-usage-report", str(script)]

        # it drops what it cannot send in time
        sent = re.compile(r"http_reqs\.*: (\d+)")
        return _cpu_per_request(run, seconds, lambda output, _: _number(sent, output))


def _cpu_per_request(
    command: Callable[[float], list[str]], seconds: float, requests: Callable[[str, float], float]
) -> float:
    """Without the start of the process: what a longer run costs more than a short one."""
    (short, less), (long, more) = (_measured(command(n), n) for n in (1.0, 1.0 + seconds))
    return (more - less) / (requests(long, 1.0 + seconds) - requests(short, 1.0))


def _measured(command: list[str], seconds: float) -> tuple[str, float]:
    """The output, and the processor seconds."""

    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = spent()
    output = _run(command, seconds)
    return output, spent() - before


@dataclass(frozen=True)
class Played:
    """What the engine told about a run.

    `cpu` has the processor seconds of its processes, by the number of the event that was read then.
    """

    events: list[dict[str, Any]]
    cpu: dict[int, float] = field(default_factory=dict)

    @property
    def started(self) -> float:
        """When curve second 0 was (wall clock)."""
        at = next(str(e["at"]) for e in self.events if e["event"] == "started")
        return datetime.fromisoformat(at).timestamp()

    @property
    def finished(self) -> dict[str, Any]:
        """The sums."""
        return self.events[-1]

    @property
    def rate(self) -> float:
        """Requests per processor second while the curve is played."""
        return 1 / self.cpu_per_request

    @property
    def cpu_per_request(self) -> float:
        """Processor seconds, without those of the start and the end."""
        (first, before), (last, after) = self._span
        return (after - before) / (_requests(last) - _requests(first))

    @property
    def _span(self) -> list[tuple[dict[str, Any], float]]:
        """A progress after the first second, in which connections are opened, and the last one
        within the curve. At its end the clock stands still, while what is overdue is still sent.
        """
        end = self.finished["elapsed"]
        within = [
            (event, self.cpu.get(number, 0.0))
            for number, event in enumerate(self.events)
            if event["event"] == "progress" and 0.9 < event["elapsed"] < end
        ]
        return [within[0], within[-1]]

    def quantiles(self, kind: str, percents: list[float]) -> list[float]:
        """Seconds; `kind` is response or service."""
        merged = self._merged(kind)
        return [float(merged.get_value_at_percentile(percent)) / 1e6 for percent in percents]

    @property
    def timed(self) -> int:
        """How many response times there are."""
        return int(self._merged("response").get_total_count())

    def _merged(self, kind: str) -> HdrHistogram:
        newest = {e["index"]: e[kind] for e in self.events if e["event"] == "bucket"}
        merged = HdrHistogram(1, 3_600_000_000, 3)
        for encoded in newest.values():
            merged.decode_and_add(encoded)
        return merged


def _requests(progress: dict[str, Any]) -> int:
    return int(progress.get("completed", progress["sent"]))  # a master tells only those sent


def engine(url: str, seconds: float, points: Points, slots: int = 256) -> Played:
    """Play a curve with our engine."""
    job = {"job": _job(url, seconds, points, slots)}
    with _process(json.dumps(job), machine.on_generator_core) as process:
        return _played(process, [process])


def distributed(
    url: str,
    seconds: float,
    points: Points,
    workers: int,
    *,
    kill_at: float | None = None,
) -> Played:
    """Play a curve with so many workers under a master, which has the target's core.

    `cpu` is that of the workers. One of them is killed `kill_at` seconds after the start; the
    master is told at once, as by the server.
    """
    labels = [f"worker-{number}" for number in range(1, workers + 1)]
    for_master, for_workers = run_keys()
    job = EngineJob.parse(_job(url, seconds, points, 256))
    role = MasterRole(job=job, workers=labels, senders=256, keys=for_master)
    with contextlib.ExitStack() as stack:
        master = stack.enter_context(_process(role.to_line(), machine.on_target_core))
        assert master.stdout  # noqa: S101
        port = json.loads(master.stdout.readline())["port"]
        started = []
        for label in labels:
            worker = WorkerRole(port=port, name=label, keys=for_workers, trusts_addresses=True)
            process = _process(worker.to_line(), machine.on_generator_core, subprocess.DEVNULL)
            started.append(stack.enter_context(process))
        if kill_at is None:
            return _played(master, started)

        def kill() -> None:
            started[-1].kill()
            started[-1].wait()
            _say(master, json.dumps({"command": "gone", "worker": labels[-1], "reason": "killed"}))

        return _played(master, [], at=(kill_at, kill))


def _job(url: str, seconds: float, points: Points, slots: int) -> dict[str, Any]:
    return {
        "run_id": "benchmark",
        "target_url": url,
        "points": points,
        "duration": seconds,
        "interpolation": "LINEAR",
        "slots": slots,
        "timeout": 10.0,
    }


@contextlib.contextmanager
def _process(
    first_line: str, pinned: Callable[[list[str]], list[str]], stdout: int = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    command = pinned([sys.executable, "-m", "tm_cli.server.engine"])
    with subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=stdout) as process:
        _say(process, first_line)  # and its input stays open: its end would end the run
        yield process


def _say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin  # noqa: S101
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def _played(
    teller: subprocess.Popen[str],
    measured: list[subprocess.Popen[str]],
    at: tuple[float, Callable[[], None]] | None = None,
) -> Played:
    """Read all events; act once, so many seconds after the start."""
    assert teller.stdout  # noqa: S101
    events: list[dict[str, Any]] = []
    cpu: dict[int, float] = {}
    for line in teller.stdout:
        event = json.loads(line)
        if event["event"] == "progress":
            cpu[len(events)] = sum(machine.cpu_seconds(process.pid) for process in measured)
        elif event["event"] == "started" and at:
            threading.Timer(*at).start()
        events.append(event)
    if not events or events[-1]["event"] != "finished":
        raise RuntimeError(f"the engine did not finish: {events[-1:]}")
    return Played(events, cpu)


def is_installed(tool: str) -> bool:
    """Whether it is in the path."""
    return shutil.which(tool) is not None


def _locust(mode: str, url: str, seconds: float, *rest: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "generators.plain_locust", mode, url, f"{seconds:g}", *rest]
    result: dict[str, Any] = json.loads(_run(command, seconds))
    return result


def _run(command: list[str], seconds: float) -> str:
    done = subprocess.run(
        machine.on_generator_core(command),
        text=True,
        capture_output=True,
        timeout=seconds + _GRACE,
        cwd=machine.HERE,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr[-500:]}")
    return done.stdout


def _number(pattern: str | re.Pattern[str], text: str) -> float:
    found = re.search(pattern, text)
    if not found:
        raise RuntimeError(f"no {pattern!r} in {text[-500:]!r}")
    return float(found[1])
