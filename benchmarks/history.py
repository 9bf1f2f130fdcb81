"""How a long history is listed, filtered, compared and exported.

    python benchmarks/history.py [ROWS]

Two short runs are played for real against a small service. Their rows, with other times, numbers,
tags and profiles, become a history of ROWS runs (100,000) in the database of the embedded server.
"""

from __future__ import annotations

import json
import os
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx2

from tm_cli.server.store.schema import ALL_TAGS

ROWS = 100_000
PROFILES = 40
RUNS_PER_COMMIT = 5
WITH_BUCKETS = 400  # of the newest runs, which are compared
ROUNDS = 40
MAX_MS = 50.0
MAX_MEGABYTES = 80.0

TM = str(Path(sys.executable).with_name("tm.exe" if os.name == "nt" else "tm"))


class Target(BaseHTTPRequestHandler):
    """Answers every request at once."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer two bytes."""
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


def main() -> int:
    """Print every figure next to its bar; exit 1 when one is above it."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    print(f"{'figure':<58}{'value':>10}{'bar':>8}{'ratio':>7}")
    is_met = True
    with tempfile.TemporaryDirectory() as directory:
        for name, value, bar in measure(Path(directory), rows):
            limit = f"{bar:>8.0f}{value / bar:>7.2f}" if bar else ""
            is_above = bar is not None and value > bar
            print(f"{name:<58}{value:>10.1f}{limit}{'   above' if is_above else ''}", flush=True)
            is_met = is_met and not is_above
    return int(not is_met)


Figure = tuple[str, float, float | None]


def measure(directory: Path, rows: int) -> Iterator[Figure]:
    play(directory)
    database = directory / "data" / "tm.db"
    began = time.perf_counter()
    multiply(database, rows)
    yield "runs", rows, None
    yield "database, MB", database.stat().st_size / 1e6, None
    yield "making them, s", time.perf_counter() - began, None
    began = time.perf_counter()
    with served(directory) as server:
        yield "start of the server, s", time.perf_counter() - began, None
        yield from pages(server)
        yield from exports(server, directory)
        yield "memory of the server, MB", megabytes(server.pid), None


def play(directory: Path) -> None:
    """Play two runs of one profile, of which the second one has a baseline."""
    target = ThreadingHTTPServer(("127.0.0.1", 0), Target)
    threading.Thread(target=target.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{target.server_address[1]}/"
    with served(directory) as server:
        for _ in range(2):
            command = [TM, "run", url, "--rate", "30", "--duration", "20s", "--quiet"]
            subprocess.run(command, check=True, env=server.environment, stdout=subprocess.DEVNULL)
    target.shutdown()


class Server:
    """A running `tm serve`, and a client of it."""

    def __init__(self, process: subprocess.Popen[str], about: Mapping[str, Any]) -> None:
        self.pid = process.pid
        key = Path(about["api_key_file"]).read_text(encoding="utf-8").strip()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TM_")}
        self.environment = {**kept, "TM_BASE_URL": about["base_url"], "TM_API_KEY": key}
        self.client = httpx2.Client(
            base_url=f"{about['base_url']}/api/v1/", headers={"X-Api-Key": key}, timeout=60
        )

    def get(self, path: str, **query: Any) -> Any:
        """Return the decoded answer."""
        asked = f"{path}?{urlencode(query, quote_via=quote)}" if query else path
        answer = self.client.get(asked)
        assert answer.status_code == 200, answer.text  # noqa: S101
        return answer.json()


@contextmanager
def served(directory: Path) -> Iterator[Server]:
    command = [TM, "serve", "--port", "0", "--json", "--data-dir", str(directory / "data")]
    command += ["--requests-per-minute", "1000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101
        server = Server(process, json.loads(process.stdout.readline()))
        try:
            yield server
        finally:
            server.client.close()
            process.terminate()


def multiply(database: Path, count: int) -> None:
    """Fill the history with variations of its second run."""
    chance = random.Random(1)  # noqa: S311
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        run, row = (
            dict(connection.execute(f"SELECT * FROM {table} ORDER BY rowid DESC").fetchone())  # noqa: S608
            for table in ("runs", "history")
        )
        buckets = [dict(item) for item in connection.execute(BUCKETS, [run["run_id"]])]
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = OFF")
        newest = datetime.now(UTC) - timedelta(minutes=10)
        with connection:
            connection.execute("DELETE FROM history")
            connection.execute("DELETE FROM runs")
            for number in range(count):
                at = newest - timedelta(minutes=(count - number) * 5)
                own_run, own_row = varied(run, row, number, at, chance)
                insert(connection, "runs", own_run)
                insert(connection, "history", own_row)
                if count - number <= WITH_BUCKETS:
                    for item in buckets:
                        insert(connection, "buckets", {**item, "run_id": own_run["run_id"]})
            connection.execute(ALL_TAGS)


BUCKETS = "SELECT * FROM buckets WHERE run_id = ?"


def varied(
    run: Mapping[str, Any],
    row: Mapping[str, Any],
    number: int,
    at: datetime,
    chance: random.Random,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return another run, and its row."""
    profile, run_id = number % PROFILES + 2, str(uuid.UUID(int=chance.getrandbits(128)))
    commit = f"{number // PROFILES // RUNS_PER_COMMIT:040x}"
    factor = chance.gauss(1, 0.03)
    times = {name: value * factor for name, value in json.loads(row["latency_quantiles"]).items()}
    verdict = chance.choices(["PASS", "WARN", "FAIL"], [80, 12, 8])[0]
    own_run = {
        "run_id": run_id,
        "profile_id": profile,
        "profile_name": f"profile {profile}",
        "started_at": wire(at - timedelta(minutes=1)),
        "tags": json.dumps([f"commit-{commit}", chance.choice(["branch-main", "branch-next"])]),
        "region": chance.choice(["local", "local", "eu"]),
        "triggered_by": chance.choices(["api", "manual", "scheduled"], [8, 1, 1])[0],
    }
    own_row = {
        "id": number + 10,
        "run_id": run_id,
        "created_at": wire(at),
        "finished_at": wire(at),
        "latency_quantiles": json.dumps(times),
        "auto_verdict": verdict,
        "auto_compare_baseline_run_id": max(number + 10 - PROFILES, 10),
    }
    return {**run, **own_run}, {**row, **own_row}


def wire(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def insert(connection: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> None:
    marks = ", ".join("?" for _ in row)
    sql = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})"  # noqa: S608
    connection.execute(sql, list(row.values()))


def pages(server: Server) -> Iterator[Figure]:
    """Measure one page of each kind."""
    newest = server.get("history", size=1)["content"][0]
    total, number = server.get("history", size=1)["totalElements"], newest["profileId"]
    month = (datetime.now(UTC) - timedelta(days=30)).isoformat()
    middle = (datetime.now(UTC) - timedelta(minutes=5 * total // 2)).isoformat()
    rare = newest["tags"][0]
    queries: list[tuple[str, dict[str, Any]]] = [
        ("newest page", {}),
        ("page in the middle, by number", {"page": total // 200}),
        ("page in the middle, by time", {"to": middle}),
        ("last page, by number", {"page": total // 100 - 1}),
        ("of a profile", {"profileId": number}),
        ("verdict FAIL", {"autoVerdict": "FAIL"}),
        ("verdict NO_BASELINE (none)", {"autoVerdict": "NO_BASELINE"}),
        ("region eu", {"region": "eu"}),
        ("trigger scheduled", {"triggeredBy": "scheduled"}),
        ("tag of half of the runs", {"tag": "branch-main"}),
        ("tag of one commit", {"tag": rare}),
        ("tag of no run", {"tag": "commit-none"}),
        ("beginning of a run id", {"runId": newest["runId"][:8]}),
        ("last 30 days", {"from": month}),
        (
            "profile, verdict, tag and time",
            {"profileId": number, "autoVerdict": "FAIL", "tag": "branch-main", "from": month},
        ),
    ]
    newest_id = newest["id"]
    pair = {"runA": newest_id, "runB": newest_id - PROFILES}
    calls = [
        *((f"list of 100, {name}", "history", {"size": 100, **query}) for name, query in queries),
        ("detail of a run", f"history/{newest_id}", {}),
        ("filters", "history/filters", {}),
        ("compare two runs", "history/compare", pair),
    ]
    for name, path, query in calls:
        seconds, cpu = timed(server, path, query)
        yield f"{name}, ms", 1000 * seconds, MAX_MS
        yield "  CPU of the server for it, ms", 1000 * cpu, None


def timed(server: Server, path: str, query: Mapping[str, Any]) -> tuple[float, float]:
    """Return the shortest time of a request in seconds, which other work on the machine disturbs
    least, and the mean CPU time that the server takes for one.
    """
    server.get(path, **query)
    times, cpu = [], cpu_seconds(server.pid)
    for _ in range(ROUNDS):
        began = time.perf_counter()
        server.get(path, **query)
        times.append(time.perf_counter() - began)
    return min(times), (cpu_seconds(server.pid) - cpu) / ROUNDS


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process so far; 0 where that is not known."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def exports(server: Server, directory: Path) -> Iterator[Figure]:
    """Export the history once in each format."""
    for form in ("jsonl", "csv"):
        out = directory / f"history.{form}"
        command = [TM, "history", "export", "--format", form, "--output", str(out), "--quiet"]
        began = time.perf_counter()
        with subprocess.Popen(command, env=server.environment) as process:
            peak = 0.0
            while process.poll() is None:
                peak = max(peak, megabytes(process.pid))
                time.sleep(0.05)
        assert process.returncode == 0  # noqa: S101
        count = sum(1 for _ in out.open("rb")) - (form == "csv")
        seconds = time.perf_counter() - began
        yield f"export to {form}, runs", count, None
        yield f"export to {form}, runs per second", count / seconds, None
        yield f"export to {form}, memory of tm, MB", peak, MAX_MEGABYTES


def megabytes(pid: int) -> float:
    """Return the largest resident memory of a process so far; 0 where that is not known."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) / 1000 if found else 0.0


if __name__ == "__main__":
    raise SystemExit(main())
