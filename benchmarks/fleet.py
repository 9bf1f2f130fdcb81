"""How much one process needs to wait for many runs at once.

    python benchmarks/fleet.py [RUNS]

A scripted server plays RUNS profiles (200) of 20 seconds and allows 3,000 requests a minute.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

DURATION = 20.0
PER_MINUTE = 3000
MAX_MEGABYTES = 100


class Fleet:
    """Profiles whose runs end after DURATION and pass at once."""

    def __init__(self) -> None:
        self.requests = 0
        self.busiest = 0
        self._started: dict[int, float] = {}
        self._recent: deque[float] = deque()
        self._lock = threading.Lock()

    def answer(self, method: str, target: str) -> Any:
        """Answer one request and count it."""
        with self._lock:
            self._count()
            address = urlsplit(target)
            path = address.path.removeprefix("/api/v1/")
            if path == "account":
                return {"limits": {"apiRequestsPerMinute": PER_MINUTE}}
            if path == "history":
                number = int(parse_qs(address.query)["profileId"][0])
                return {"content": self._rows(number)}
            number = int(re.findall(r"\d+", path)[0])
            if path.startswith("history/"):
                return self._rows(number)[0]
            if method == "POST":
                self._started[number] = time.monotonic()
                return {"runId": f"run-{number}", "status": "RUNNING", "profileId": number}
            return self._live(number) if path.endswith("/status") else self._profile(number)

    def _count(self) -> None:
        now = time.monotonic()
        self.requests += 1
        self._recent.append(now)
        while now - self._recent[0] >= 60:
            self._recent.popleft()
        self.busiest = max(self.busiest, len(self._recent))

    def _profile(self, number: int) -> dict[str, Any]:
        return {"id": number, "name": f"profile {number}", "duration": DURATION, "status": "IDLE"}

    def _live(self, number: int) -> dict[str, Any]:
        age = min(time.monotonic() - self._started[number], DURATION)
        return {
            "runId": f"run-{number}",
            "status": "RUNNING" if age < DURATION else "COMPLETED",
            "elapsedSeconds": age,
            "durationSeconds": DURATION,
        }

    def _rows(self, number: int) -> list[dict[str, Any]]:
        began = self._started.get(number)
        if began is None or time.monotonic() - began < DURATION:
            return []
        row = {"id": number, "runId": f"run-{number}", "profileId": number, "autoVerdict": "PASS"}
        return [row]


def serve(fleet: Fleet) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.dumps(fleet.answer(self.command, self.path)).encode()
            head = (
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            self.wfile.write(head.encode() + body)

        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def main() -> int:
    """Print memory, time and requests; exit 1 above a bar."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    fleet = Fleet()
    server = serve(fleet)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TM_")}
    url = f"http://127.0.0.1:{server.server_port}"
    began = time.monotonic()
    code = subprocess.call(
        [
            str(Path(sys.executable).with_name("tm")),
            *("runs", "start", *map(str, range(1, runs + 1))),
            *("--wait", "--fail-on", "FAIL", "--quiet"),
        ],
        env={**kept, "TM_BASE_URL": url, "TM_API_KEY": "tm_bench", "CI": "true"},
        stdout=subprocess.DEVNULL,
    )
    took = time.monotonic() - began
    server.shutdown()
    megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{runs} runs of {DURATION:g} s in one process, exit code {code}")
    print(f"peak memory {megabytes:.0f} MB (bar {MAX_MEGABYTES}), {took:.0f} s")
    print(f"{fleet.requests} requests, at most {fleet.busiest} in a minute (budget {PER_MINUTE})")
    return int(code != 0 or megabytes > MAX_MEGABYTES or fleet.busiest > PER_MINUTE)


if __name__ == "__main__":
    sys.exit(main())
