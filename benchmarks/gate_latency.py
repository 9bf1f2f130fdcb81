"""From "the verdict can be read" to "the process has exited": tm and the official MCP client.

    python benchmarks/gate_latency.py [TRIALS]

Both wait for runs of the same scripted server. A trial gives each its own copy of it, with the same
run duration, the same delay until the history row and the same delay until its verdict, drawn from
a seeded generator. All trials run at the same time; nearly all of it is waiting.
"""

from __future__ import annotations

import json
import os
import random
import re
import statistics
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SEED = 20260301
PROFILE = 42
BAR = 0.3

TM = [
    str(Path(sys.executable).with_name("tm.exe" if os.name == "nt" else "tm")),
    *("runs", "start", str(PROFILE), "--wait", "--fail-on", "FAIL", "--quiet"),
]
OFFICIAL_PROGRAM = f"""
import asyncio
from tm_mcp import auth, server
auth.initialize_client()
asyncio.run(server.tm_start_run({PROFILE}, wait=True, fail_on_verdict=["FAIL"]))
"""
OFFICIAL_PACKAGES = ("tm-mcp>=1.4,<2", "mcp<2")
OFFICIAL_HOME = Path(__file__).parents[1] / "build" / "official-client"
"""Its own environment, because `tm mcp` needs another release of the same SDK."""


def official() -> list[str]:
    """Return the command line of the official client; installs it the first time."""
    binaries = OFFICIAL_HOME / ("Scripts" if os.name == "nt" else "bin")
    python = binaries / ("python.exe" if os.name == "nt" else "python")
    ready = OFFICIAL_HOME / "ready"
    if not ready.exists():
        venv.create(OFFICIAL_HOME, clear=True, with_pip=True)
        install = [str(python), "-m", "pip", "install", "--quiet", *OFFICIAL_PACKAGES]
        subprocess.run(install, check=True)
        ready.touch()
    return [str(python), "-c", OFFICIAL_PROGRAM]


@dataclass(frozen=True)
class Script:
    """One run, in seconds: its duration, then the row, then its verdict."""

    duration: float
    until_row: float
    until_verdict: float


@dataclass
class ScriptedRun:
    """The server of one process in one trial."""

    script: Script
    requests: int = 0
    started: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, method: str, path: str) -> Any:
        with self._lock:
            self.requests += 1
            if method == "POST":
                self.started = time.monotonic()
        path = path.removeprefix("/api/v1/")
        if path == f"profiles/{PROFILE}":
            points = [{"x": 0, "y": 10}, {"x": 1, "y": 10}]
            return self._profile() | {"points": points, "status": self._status()}
        if path == f"profiles/{PROFILE}/status":
            return self._live()
        if path == "history":
            rows = self._rows()
            return {"content": rows, "page": 0, "size": 20, "totalElements": len(rows)}
        if re.fullmatch(r"history/\d+", path):
            return self._rows()[0]
        return {"runId": "run-1", "status": "RUNNING", "profileId": PROFILE}

    @property
    def readable_at(self) -> float:
        """When the verdict could first be read, on the monotonic clock."""
        if self.started is None:
            raise RuntimeError("the run was never started")
        return self.started + self.script.duration + self._until_verdict

    @property
    def _until_verdict(self) -> float:
        return self.script.until_row + self.script.until_verdict

    def _age(self) -> float:
        return -1.0 if self.started is None else time.monotonic() - self.started

    def _status(self) -> str:
        if self.started is None:
            return "IDLE"
        return "RUNNING" if self._age() < self.script.duration else "COMPLETED"

    def _profile(self) -> dict[str, Any]:
        return {
            "id": PROFILE,
            "name": "checkout",
            "duration": round(self.script.duration),
            "loop": False,
            "targetUrl": "https://shop.example/",
            "httpMethod": "GET",
            "createdAt": "2026-01-01T00:00:00Z",
            "autoAlertEnabled": False,
        }

    def _live(self) -> dict[str, Any]:
        return {
            "profileId": PROFILE,
            "runId": None if self.started is None else "run-1",
            "status": self._status(),
            "elapsedSeconds": max(0.0, min(self._age(), self.script.duration)),
            "durationSeconds": self.script.duration,
            "requestsSent": 100,
            "responseCodeCounts": {"200": 100},
            "recentBuckets": [],
        }

    def _rows(self) -> list[dict[str, Any]]:
        over = self._age() - self.script.duration
        if self.started is None or over < self.script.until_row:
            return []
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        return [
            {
                "id": 7,
                "runId": "run-1",
                "profileId": PROFILE,
                "profileName": "checkout",
                "startedAt": now,
                "createdAt": now,
                "totalRequests": 100,
                "totalErrors": 0,
                "autoVerdict": "PASS" if over >= self._until_verdict else None,
                "triggeredBy": "api",
            }
        ]


class Server:
    """Serves one scripted run on a free port."""

    def __init__(self, run: ScriptedRun) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = json.dumps(run.answer(self.command, urlsplit(self.path).path)).encode()
                head = (
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n"
                )
                self.wfile.write(head.encode() + body)

            do_GET = do_POST = answer  # noqa: N815

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Measured:
    """What one process took: seconds after the verdict could be read, and requests."""

    lag: float
    requests: int


def measure(command: Sequence[str], script: Script) -> Measured:
    """Run one process to its end."""
    run = ScriptedRun(script)
    server = Server(run)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TM_")}
    settings = {**kept, "TM_BASE_URL": server.url, "TM_API_KEY": "tm_bench", "CI": "true"}
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(command, env=settings, stdout=nowhere, stderr=nowhere) as process:
        code = process.wait()
    ended = time.monotonic()
    server.close()
    if code:
        raise RuntimeError(f"{command[0]} exited with {code}")
    return Measured(ended - run.readable_at, run.requests)


def main() -> int:
    """Print medians of both; exit 1 when tm is slower or asks more often than it may."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    chance = random.Random(SEED)  # noqa: S311
    scripts = [
        Script(chance.uniform(20, 60), chance.uniform(0.1, 0.6), chance.uniform(0.1, 1.5))
        for _ in range(trials)
    ]
    results: dict[tuple[str, int], Measured] = {}

    def one(name: str, command: Sequence[str], number: int) -> None:
        results[name, number] = measure(command, scripts[number])

    threads = [
        threading.Thread(target=one, args=(name, command, number))
        for number in range(trials)
        for name, command in (("tm", TM), ("official", official()))
    ]
    for thread in threads:
        thread.start()
        time.sleep(0.3)  # start-up is not what is measured
    for thread in threads:
        thread.join()
    return report(results, scripts)


def report(results: dict[tuple[str, int], Measured], scripts: Sequence[Script]) -> int:
    numbers = range(len(scripts))
    ours = [results["tm", number] for number in numbers]
    theirs = [results["official", number] for number in numbers]
    print(f"{len(scripts)} trials, seed {SEED}")
    print(f"{'':<10}{'median lag':>12}{'worst lag':>12}{'median requests':>18}")
    for name, measured in (("tm", ours), ("official", theirs)):
        lags = [item.lag for item in measured]
        requests = statistics.median(item.requests for item in measured)
        print(f"{name:<10}{statistics.median(lags):>11.2f}s{max(lags):>11.2f}s{requests:>18g}")
    median = statistics.median(item.lag for item in ours)
    ratio = statistics.median(item.lag for item in theirs) / median
    print(f"ratio of median lags, official / tm: {ratio:.1f}")
    more = sum(item.requests > other.requests for item, other in zip(ours, theirs, strict=True))
    print(f"trials in which tm sent more requests than the official client: {more}")
    total = sum(item.requests for item in ours) / sum(item.requests for item in theirs)
    print(f"ratio of requests, tm / official: {total:.2f}")
    return int(median > BAR or total > 1)


if __name__ == "__main__":
    sys.exit(main())
