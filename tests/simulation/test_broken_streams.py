"""Every command with every stream broken in every way: an exit code of the table, no traceback."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.simulation.scale import one_in, whole
from tm_cli.exit_codes import ExitCode

if os.name != "posix":
    pytest.skip("forks", allow_module_level=True)

from tests.simulation.broken_streams import KINDS, Call, End, end_of_each, names_of_commands
from tests.simulation.httpx_seam import CANARY
from tests.simulation.schedules import Schedule
from tests.simulation.socket_server import SocketServer
from tests.simulation.trafficmorph.world import Truth

pytestmark = pytest.mark.volume

OUT, ERR = 1, 2
USABLE = [kind for kind in KINDS if kind != "full device" or Path("/dev/full").exists()]
LOSES_RESULTS = {"full device", "closed", "terminal gone"}
GOLDEN = Path(__file__).parents[1] / "unit" / "report" / "golden"

LOST = "tm: the result could not be written to standard output\n"
LOCAL = {
    ("report", "eval", "pass.json"): 0,
    ("report", "eval", "fail.json"): 2,
    ("report", "eval", "fail.json", "--json", "--verbose"): 2,
    ("report", "eval", "missing.json", "--json"): 78,
    ("report", "show", "fail.json"): 0,
    ("completion", "bash"): 0,
    ("config", "show"): 0,
    ("--version",): 0,
    ("version", "--json"): 0,
    ("no-such-command",): 64,
}


@pytest.fixture
def end(tmp_path):
    """Make calls and return how each ended; none may end outside the table or tell a traceback."""
    for name in ("pass", "fail"):
        shutil.copy(GOLDEN / f"{name}.json", tmp_path)
    environ = {
        "HOME": str(tmp_path), "TM_CONFIG_DIR": str(tmp_path), "TM_STATE_DIR": str(tmp_path),
        "TM_API_KEY": CANARY, "PYTHONIOENCODING": "utf-8",
    }  # fmt: skip

    def make(calls: Sequence[Call]) -> list[End]:
        ends = end_of_each(calls, tmp_path, environ)
        wrong = [
            (call, end)
            for call, end in zip(calls, ends, strict=True)
            if end.code not in set(ExitCode) or "Traceback" in end.out + end.err
        ]
        assert wrong == []
        return ends

    return make


def expected(code: int, call: Call) -> int:
    """A result that is lost is no success; nothing else changes the code."""
    lost = call.stream == OUT and call.kind in LOSES_RESULTS
    return ExitCode.OUTPUT if code == 0 and lost else code


def wrongly_ended(calls: Sequence[Call], ends: Sequence[End], code: int) -> list[tuple[Call, End]]:
    pairs = zip(calls, ends, strict=True)
    return [(call, end) for call, end in pairs if end.code != expected(code, call)]


@whole
def test_help_of_every_command(end):
    calls = [
        Call((*words, "--help"), OUT, kind, skips_teardown=True)
        for words in names_of_commands()
        for kind in USABLE
    ]
    assert wrongly_ended(calls, end(calls), 0) == []


def test_mistakes_in_every_command(end):
    """Which stream is broken and how takes turns."""
    ways = [(stream, kind) for stream in (OUT, ERR) for kind in USABLE]
    calls = [
        Call((*words, "--no-such-option", "--json"), *ways[position % len(ways)])
        for position, words in enumerate(names_of_commands())
    ][one_in(3)]
    assert wrongly_ended(calls, end(calls), ExitCode.USAGE) == []


def test_what_is_not_sent_anywhere(end):
    """Nothing is missing from what the other stream says, nor from a slowly read one."""
    ways = [(stream, kind) for stream in (OUT, ERR) for kind in USABLE]
    chosen = list(LOCAL.items())[one_in(3)]
    calls = {argv: [Call(argv, *way) for way in ways] for argv, _ in chosen}
    ends = iter(end([call for some in calls.values() for call in some]))
    for argv, code in chosen:
        ended = [next(ends) for _ in ways]
        assert wrongly_ended(calls[argv], ended, code) == []
        for stream in (OUT, ERR):
            said = {
                end.out if stream == OUT else end.err
                for call, end in zip(calls[argv], ended, strict=True)
                if "full pipe" in call.kind or call.stream != stream
            }
            assert len({text.replace(LOST, "") for text in said}) == 1, argv


@pytest.mark.parametrize(("verdict", "code"), [("PASS", 0), ("FAIL", 2)])
def test_a_gate_that_waits(end, verdict, code):
    truth = Truth(verdict, duration=0.1, row_delay=0.0, verdict_delay=0.0)
    gate = ("runs", "start", "42", "--wait", "--fail-on", "FAIL", "--poll-interval", "50ms")
    calls = []
    with ExitStack() as servers:
        for stream, kind in ((stream, kind) for stream in (OUT, ERR) for kind in USABLE):
            server = servers.enter_context(SocketServer(Schedule(len(calls), truth)))
            calls.append(Call((*gate, "--base-url", server.url, "--verbose"), stream, kind))
        ends = end(calls)
    assert wrongly_ended(calls, ends, code) == []
