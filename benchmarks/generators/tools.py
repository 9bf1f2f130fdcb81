"""The generators, each run to its end on the generator's core."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hdrh.histogram import HdrHistogram

from generators import machine

_GRACE = 60.0
Points = list[tuple[float, float]]


def wrk(url: str, seconds: float) -> float:
    """Requests per second of one thread with 64 connections."""
    output = _run(["wrk", "-t1", "-c64", f"-d{seconds:g}s", url], seconds)
    return _number(r"Requests/sec:\s+([\d.]+)", output)


def hey(url: str, seconds: float) -> float:
    """Requests per second of 64 connections."""
    output = _run(["hey", "-z", f"{seconds:g}s", "-c", "64", url], seconds)
    return _number(r"Requests/sec:\s+([\d.]+)", output)


def closed_hey(url: str, seconds: float, connections: int, rate: float) -> list[float]:
    """The response times, in seconds, of so many connections at `rate` requests per second."""
    limits = ["-c", str(connections), "-q", f"{rate / connections:g}"]
    output = _run(["hey", "-z", f"{seconds:g}s", *limits, "-o", "csv", url], seconds)
    return [float(row["response-time"]) for row in csv.DictReader(output.splitlines())]


def locust_rate(url: str, seconds: float) -> float:
    """Requests per second of 50 FastHttpUsers."""
    return float(_locust("most", url, seconds, "50")["rate"])


def locust_shape(url: str, seconds: float, points: Points) -> float:
    """Play a curve as a shape class does; when it began (wall clock)."""
    return float(_locust("shape", url, seconds, json.dumps(points))["started"])


def closed_locust(url: str, seconds: float, users: int, rate: float) -> list[float]:
    """The response times, in seconds, of so many users at `rate` requests per second."""
    return list(_locust("closed", url, seconds, str(users), f"{rate / users:g}")["seconds"])


@dataclass(frozen=True)
class Played:
    """What the engine told about a run."""

    events: list[dict[str, Any]]

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
        """Responses per second between the first and the last progress before the end."""
        first, *_, last = (e for e in self.events if e["event"] == "progress")
        return float(
            (last["completed"] - first["completed"]) / (last["elapsed"] - first["elapsed"])
        )

    def quantiles(self, kind: str, percents: list[float]) -> list[float]:
        """Seconds; `kind` is response or service."""
        newest = {e["index"]: e[kind] for e in self.events if e["event"] == "bucket"}
        merged = HdrHistogram(1, 3_600_000_000, 3)
        for encoded in newest.values():
            merged.decode_and_add(encoded)
        return [float(merged.get_value_at_percentile(percent)) / 1e6 for percent in percents]


def engine(url: str, seconds: float, points: Points, slots: int = 256) -> Played:
    """Play a curve with our engine."""
    job = {
        "run_id": "benchmark",
        "target_url": url,
        "points": points,
        "duration": seconds,
        "interpolation": "LINEAR",
        "slots": slots,
        "timeout": 10.0,
    }
    command = machine.on_generator_core([sys.executable, "-m", "tm_cli.server.engine"])
    with subprocess.Popen(
        command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin  # noqa: S101
        assert process.stdout  # noqa: S101
        process.stdin.write(json.dumps({"job": job}) + "\n")
        process.stdin.flush()  # and open it stays: its end would end the run
        events = [json.loads(line) for line in process.stdout]
    if not events or events[-1]["event"] != "finished":
        raise RuntimeError(f"the engine did not finish: {events[-1:]}")
    return Played(events)


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


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    if not found:
        raise RuntimeError(f"no {pattern!r} in {text[-500:]!r}")
    return float(found[1])
