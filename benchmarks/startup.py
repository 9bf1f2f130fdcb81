"""How long tm takes to answer, as ratios to programs that do the least possible.

    python benchmarks/startup.py [ROUNDS]

All programs of a comparison run in turn, so that whatever else the machine does hits them alike;
each figure is the ratio of medians.
"""

from __future__ import annotations

import http.server
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

THREE_LINES = """
import typer
def main(name: str): ...
typer.run(main)
"""

TEN_LINES = """
import httpx2, pydantic, typer
class Profile(pydantic.BaseModel):
    id: int
    name: str
app = typer.Typer()
@app.command()
def main(url: str):
    with httpx2.Client(verify=False) as client:
        print([Profile(**item) for item in client.get(url).json()])
app()
"""

TM = [str(Path(sys.executable).with_name("tm.exe" if os.name == "nt" else "tm"))]


def main() -> int:
    """Print each ratio beside its bar; exit 1 when one is above it."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as directory, Server() as server:
        figures = measure(Path(directory), server, rounds)
    print(f"{'figure':<58}{'ratio':>7}{'bar':>7}")
    for name, ratio, bar in figures:
        print(f"{name:<58}{ratio:>7.2f}{bar:>7.2f}{'' if ratio <= bar else '   above'}")
    return int(any(ratio > bar for _, ratio, bar in figures))


def measure(directory: Path, server: Server, rounds: int) -> list[tuple[str, float, float]]:
    three, ten = directory / "three.py", directory / "ten.py"
    three.write_text(THREE_LINES, encoding="utf-8")
    ten.write_text(TEN_LINES, encoding="utf-8")
    bare = [sys.executable, "-c", "pass"]
    three_help = [sys.executable, str(three), "--help"]
    answer = [sys.executable, str(ten), server.url + "api/v1/profiles"]
    return [
        (
            "tm --version / python -c pass",
            ratio([*TM, "--version"], bare, rounds),
            2.0,
        ),
        (
            "tm --help / --help of a three-line Typer program",
            ratio([*TM, "--help"], three_help, rounds),
            1.25,
        ),
        (
            "tm runs start --help / the same",
            ratio([*TM, "runs", "start", "--help"], three_help, rounds),
            1.25,
        ),
        (
            "tm profiles list, to its request / ten-line program",
            ratio_to_request([*TM, "profiles", "list"], answer, server, rounds),
            1.25,
        ),
    ]


def ratio(command: Sequence[str], yardstick: Sequence[str], rounds: int) -> float:
    """Return median time of `command` over that of `yardstick`, run in turn."""
    ours, theirs = [], []
    for _ in range(rounds):
        theirs.append(timed(yardstick))
        ours.append(timed(command))
    return statistics.median(ours) / statistics.median(theirs)


def timed(command: Sequence[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment())
    return time.perf_counter() - began


def ratio_to_request(
    command: Sequence[str], yardstick: Sequence[str], server: Server, rounds: int
) -> float:
    """The same, but each run counts until its first request arrives."""
    ours, theirs = [], []
    for _ in range(rounds):
        theirs.append(server.time_to_request(yardstick))
        ours.append(server.time_to_request(command))
    return statistics.median(ours) / statistics.median(theirs)


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TM_")}
    return {**kept, "TERM": "dumb", **more}


class Server:
    """Answers every request with an empty list and notes when it came."""

    def __init__(self) -> None:
        arrivals: list[float] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                arrivals.append(time.perf_counter())
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"[]")

            def log_message(self, *_arguments: object) -> None:
                pass

        self._arrivals = arrivals
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Server:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def time_to_request(self, command: Sequence[str]) -> float:
        self._arrivals.clear()
        began = time.perf_counter()
        settings = environment(TM_BASE_URL=self.url, TM_API_KEY="tm_bench")
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=settings)
        return self._arrivals[0] - began


if __name__ == "__main__":
    sys.exit(main())
