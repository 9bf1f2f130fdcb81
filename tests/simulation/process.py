"""The real program, as a process of its own, against the simulated service on a real socket."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.simulation.httpx_seam import CANARY
from tests.simulation.nemesis import Blow
from tests.simulation.plan import Fault
from tests.simulation.recorder import Recording
from tests.simulation.schedules import GATED, Schedule
from tests.simulation.socket_server import SocketServer
from tests.simulation.trafficmorph.menu import MENU
from tests.simulation.trafficmorph.world import VERDICTS, Truth
from tests.simulation.zygote import Forked
from tm_cli.commands.report.replay import load
from tm_cli.errors import TmError
from tm_cli.gate.outcome import replay

ROOT = Path(__file__).parents[2]
TIMEOUT = 0.6
WAIT_TIMEOUT = 3.0
VERDICT_TIMEOUT = 1.5
LONGEST = 30.0
FRESH = 4
"""One in how many processes is a Python of its own; the others are forks."""

ON_SOCKETS = (
    "hang", "drip", "reset", "cut-connection", "protocol", "408", "429", "429-html", "500", "502",
    "503-html", "504", "301", "307", "204", "206", "299", "400", "401", "403", "404", "409", "422",
    "html", "plain-text", "cut-body", "two-documents", "wrapped", "repeated-key", "compressed",
    "nan", "deep", "odd-verdict", "no-verdict", "mistyped-run-id", "old-run-id", "no-run-id",
    "odd-state",
)  # fmt: skip
BLOWS = ("other-start", "restart", "purge", "stop", "insert-rows", "duplicate", "recompute")


def generate(seed: int) -> Schedule:
    """Return a schedule whose times are short enough to be spent."""
    chance = random.Random(f"process {seed}")
    fail_on = tuple(v for v in GATED if chance.random() < 0.5) or ("FAIL",)
    good = [verdict for verdict in VERDICTS if verdict not in fail_on]
    truth = Truth(
        chance.choice(fail_on if chance.random() < 0.5 else good),
        duration=chance.choice((0.1, 0.3)),
        row_delay=chance.choice((0.0, 0.1)),
        verdict_delay=chance.choice((0.0, 0.2)),
        has_status=chance.random() < 0.9,
    )
    plan: dict[str, tuple[Fault | None, ...]] = {}
    endpoint = ("start", "status", "history", "start", "detail", "snapshot", "profile")[seed % 7]
    plan[endpoint] = (_fault(chance, endpoint, ON_SOCKETS[seed % len(ON_SOCKETS)]),)
    if endpoint in {"status", "history"} and chance.random() < 0.5:
        plan[endpoint] += (_fault(chance, endpoint, chance.choice(ON_SOCKETS)),)
    blows = ()
    if chance.random() < 0.3:
        action = chance.choice(BLOWS)
        arg = {"insert-rows": 21, "duplicate": "PASS", "recompute": "PASS"}.get(action, 0)
        blows = (Blow(action, arg, request=chance.randrange(3, 8)),)
    return Schedule(
        seed, truth, fail_on, plan, blows,
        wait_timeout=WAIT_TIMEOUT, verdict_timeout=VERDICT_TIMEOUT, interval=0.05,
        style=seed % 3,
    )  # fmt: skip


def _fault(chance: random.Random, endpoint: str, kind: str) -> Fault:
    """A fault without Retry-After, whose pause would have to be waited for."""
    return Fault(
        kind, chance.choice(MENU.possible_phases(endpoint, kind)), chance.randrange(300) * 3
    )


REPORTS = ("--report", "json=gate.json", "--report", "junit=gate.xml")


def arguments(schedule: Schedule, *, wants_json: bool) -> list[str]:
    """The command line of a gate with this schedule's limits."""
    return [
        *("runs", "start", "42", "--wait", "--fail-on", ",".join(schedule.fail_on)),
        *("--timeout", f"{TIMEOUT}s", "--poll-interval", "50ms"),
        *("--wait-timeout", f"{schedule.wait_timeout}s"),
        *("--verdict-timeout", f"{schedule.verdict_timeout}s"),
        *REPORTS,
        *(["--json"] if wants_json else []),
    ]


def launch(
    argv: list[str], url: str, home: Path, *, fresh: bool = True
) -> subprocess.Popen[str] | Forked:
    """Start tm in an empty environment and directory, where possible without `fresh` as a fork."""
    system = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    environ = {
        **system,
        "HOME": str(home),
        "TM_CONFIG_DIR": str(home / "config"),
        "TM_STATE_DIR": str(home / "state"),
        "TM_BASE_URL": url,
        "TM_API_KEY": CANARY,
        "PYTHONPATH": str(ROOT),
        "PYTHONIOENCODING": "utf-8",
    }
    if not fresh and os.name == "posix":
        return Forked("tm_cli", argv, environ=environ, cwd=home)
    return subprocess.Popen(
        [sys.executable, "-m", "tm_cli", *argv],
        cwd=home,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def run(schedule: Schedule, home: Path) -> Recording:
    """Run the program through a schedule and return what happened."""
    wants_json = bool(schedule.seed % 2)
    with SocketServer(schedule) as server:
        argv = arguments(schedule, wants_json=wants_json)
        process = launch(argv, server.url, home, fresh=schedule.seed % FRESH == 0)
        try:
            out, err = process.communicate(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            server.recording.broken = f"Hang: still running after {LONGEST} s"
        recording = server.recording
    recording.exit_code = process.returncode
    recording.texts = [out, err]
    recording.slug = _slug(out) if wants_json else "not asked for"
    recording.leaks = [
        *problems_of_output(process.returncode, out, err, wants_json=wants_json),
        *problems_of_reports(process.returncode, home),
    ]
    return recording


def _slug(out: str) -> str | None:
    try:
        error = json.loads(out)["error"]
    except ValueError:
        return None
    return error["code"] if error else None


def problems_of_output(code: int, out: str, err: str, *, wants_json: bool) -> Iterator[str]:
    """What is wrong with the words of an invocation, given its exit code."""
    if CANARY in out or CANARY in err or "s3cret-of-the-profile" in out + err:
        yield "I12 a secret was shown"
    if "Traceback" in err or 'File "' in err:
        yield f"I17 traceback: {err[-300:]}"
    if out.startswith("PASS") and code not in {0, 73}:
        yield f"I11 says PASS and exits {code}"
    if wants_json:
        yield from _problems_of_json(code, out)
    elif code == 0 and not out.startswith(VERDICTS):
        yield f"I11 exits 0 and says {out[:60]!r}"


def problems_of_reports(code: int, home: Path) -> Iterator[str]:
    """Every report is complete, and says of the outcome what the exit code says."""
    for path in sorted(home.glob("gate.*")):
        text = path.read_text(encoding="utf-8")
        if CANARY in text:
            yield f"I12 a secret is in {path.name}"
        try:
            said = _said(path, text)
        except (ValueError, ET.ParseError):
            yield f"I13 {path.name} is not well-formed: {text[:80]!r}"
            continue
        if code >= 0 and path.suffix == ".json":
            yield from _problems_of_replay(code, path)
        if (said == 0) != (code == 0) or (
            path.suffix == ".json" and 0 <= code < 128 and said != code
        ):
            yield f"I11 {path.name} says {said}, the exit code is {code}"
    if code >= 0 and (leftovers := [path.name for path in home.glob(".gate*")]):
        yield f"I13 drafts are left: {leftovers}"


def _problems_of_replay(code: int, path: Path) -> Iterator[str]:
    """The report is one that a gate can be replayed from, and then decides as the gate did."""
    try:
        found = load(path)
    except TmError as error:
        yield f"I11 {path.name} is not read back: {error.message}"
        return
    again = replay(found, found.gate).exit_code
    if (again == 0) != (code in {0, 73}):
        yield f"I11 a replay of {path.name} says {int(again)}, the exit code is {code}"


def _said(path: Path, text: str) -> int:
    """The exit code of a JSON report; of a JUnit report 0 or 1."""
    if path.suffix == ".json":
        return int(json.loads(text)["exit_code"])
    root = ET.fromstring(text)
    return int(root.find(".//failure") is not None or root.find(".//error") is not None)


def _problems_of_json(code: int, out: str) -> Iterator[str]:
    try:
        document = json.loads(out)
    except ValueError:
        yield f"I11 no JSON on stdout: {out[:80]!r}"
        return
    if document["exit_code"] != code:
        yield f"I11 JSON says exit {document['exit_code']}, the process {code}"
    if (document["error"] is None) != (code in {0, 2, 3, 4}):
        yield f"I11 exit {code} with error {document['error']}"
