"""Standard streams that break, seen from outside: real processes on real pipes and terminals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

if os.name != "posix":
    pytest.skip("terminals and signals are POSIX", allow_module_level=True)

import fcntl
import pty
import termios

from tests.simulation.schedules import Schedule
from tests.simulation.socket_server import SocketServer
from tests.simulation.trafficmorph.world import Truth
from tm_cli.exit_codes import ExitCode

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "unit" / "report" / "golden"
LONGEST = 30


def python(program: str, *argv: str, **options) -> subprocess.Popen[str]:
    """Start a program of some lines that uses our modules."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *argv],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **options.pop("environ", {})},
        stdout=options.pop("stdout", subprocess.PIPE),
        stderr=options.pop("stderr", subprocess.PIPE),
        text=True,
        **options,
    )


TM = "from tm_cli.main import run; run()"


@pytest.mark.parametrize(("name", "code"), [("pass", 0), ("fail", 2)])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_messages_that_cannot_be_written_change_no_exit_code(name, code):
    with Path("/dev/full").open("w") as full:
        argv = (
            "report",
            "eval",
            str(GOLDEN / f"{name}.json"),
            "--api-key",
            "tm_k",
        )  # for the warning
        process = python(TM, *argv, stderr=full)
        output, _ = process.communicate(timeout=LONGEST)
    assert process.returncode == code
    assert output.startswith(name.upper())


OF_LIBRARIES = """
import logging, sys, threading, warnings
from tm_cli.runtime.standard_streams import guard_standard_streams
guard_standard_streams()
logging.error("one"); warnings.warn("two"); print("three", file=sys.stderr)
thread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join()
import subprocess
sys.exit(subprocess.run(["sh", "-c", "echo four >&2"]).returncode)
"""


@pytest.mark.parametrize("kind", ["full", "reader gone"])
def test_what_libraries_and_children_say_changes_no_exit_code_either(kind):
    if kind == "full" and not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    reader, writer = os.pipe()
    os.close(reader)
    with Path("/dev/full").open("w") if kind == "full" else os.fdopen(writer, "w") as broken:
        process = python(OF_LIBRARIES, stderr=broken)
        process.communicate(timeout=LONGEST)
    assert process.returncode == 0


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_a_file_opened_later_never_becomes_a_standard_stream(tmp_path, closed):
    program = """
import os, sys
from tm_cli.runtime.standard_streams import guard_standard_streams
guard_standard_streams()
file = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR)
print("result"); print("message", file=sys.stderr)
sys.exit(file)
"""

    def close() -> None:
        for descriptor in closed:
            os.close(descriptor)

    process = python(program, str(tmp_path / "file"), preexec_fn=close)
    process.communicate(timeout=LONGEST)
    assert process.returncode > 2
    assert (tmp_path / "file").read_bytes() == b""


def small_pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writer, False)
    return reader, writer


def fill(writer: int) -> int:
    """Fill a pipe and return how much that took."""
    taken = 0
    while True:
        try:
            taken += os.write(writer, b"." * 512)
        except BlockingIOError:
            return taken


def test_a_result_waits_for_a_slow_reader_and_nothing_of_it_is_lost():
    whole = python(TM, "report", "schema").communicate(timeout=LONGEST)[0]
    reader, writer = small_pipe()
    taken = fill(writer)
    process = python(TM, "report", "schema", stdout=writer)
    os.close(writer)
    said = b""
    while piece := os.read(reader, 1000):
        said += piece
    _, errors = process.communicate(timeout=LONGEST)
    os.close(reader)
    assert (process.returncode, errors) == (0, "")
    assert len(whole) > 2 * 4096
    assert said[taken:].decode() == whole


@pytest.mark.parametrize(("flags", "code"), [((), 0), (("--no-such-option",), 64)])
def test_messages_that_are_never_read_end_no_gate(flags, code):
    reader, writer = small_pipe()
    fill(writer)
    program = f"import tm_cli.runtime.standard_streams as streams; streams.PATIENCE = 0.2; {TM}"
    process = python(program, "report", "eval", str(GOLDEN / "pass.json"), *flags, stderr=writer)
    process.communicate(timeout=LONGEST)
    os.close(reader)
    os.close(writer)
    assert process.returncode == code


def test_a_signal_ends_a_result_that_is_never_read():
    reader, writer = small_pipe()
    fill(writer)
    told, tell = os.pipe()
    program = f"""
import os, tm_cli.runtime.standard_streams as streams
wait = streams.wait_until_writable
def tell(*arguments):
    os.write({tell}, b"waits")
    return wait(*arguments)
streams.wait_until_writable = tell
{TM}
"""
    process = python(program, "completion", "bash", stdout=writer, pass_fds=[tell])
    os.close(tell)
    assert os.read(told, 5) == b"waits"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LONGEST)
    for descriptor in (reader, writer, told):
        os.close(descriptor)
    assert process.returncode == ExitCode.TERMINATED


def gate_on_a_terminal(tmp_path: Path, *, ignores_hangup: bool) -> tuple[int, str]:
    """Close the controlling terminal of a gate that waits; return its exit code and reports."""
    truth = Truth("FAIL", duration=0.6, row_delay=0.0, verdict_delay=0.0)
    master, terminal = pty.openpty()

    def take_terminal() -> None:
        os.setsid()
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
        if ignores_hangup:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with SocketServer(Schedule(1, truth)) as server:
        process = python(
            TM,
            *("runs", "start", "42", "--wait", "--fail-on", "FAIL", "--poll-interval", "50ms"),
            *("--on-interrupt", "detach", "--report", "dotenv=gate.env"),
            environ={
                "TM_BASE_URL": server.url, "TM_API_KEY": "tm_k", "HOME": str(tmp_path),
                "TM_CONFIG_DIR": str(tmp_path), "TM_STATE_DIR": str(tmp_path), "TERM": "xterm",
                "PYTHONIOENCODING": "utf-8",
            },
            stdin=terminal, stdout=terminal, stderr=terminal, cwd=tmp_path,
            preexec_fn=take_terminal,
        )  # fmt: skip
        os.close(terminal)
        drawn = b""
        while b"running" not in drawn.lower():  # it is being redrawn by now
            drawn += os.read(master, 4096)
        os.close(master)
        process.communicate(timeout=LONGEST)
    return process.returncode, (tmp_path / "gate.env").read_text()


def test_a_terminal_that_goes_away_is_a_hangup(tmp_path):
    code, report = gate_on_a_terminal(tmp_path, ignores_hangup=False)
    assert code == ExitCode.HANGUP
    assert "FAIL" not in report


def test_a_terminal_that_goes_away_ends_no_wait_under_nohup(tmp_path):
    code, report = gate_on_a_terminal(tmp_path, ignores_hangup=True)
    assert code == ExitCode.FAIL
    assert "FAIL" in report


DURING_IMPORT = """
import builtins, os, signal, sys
real = builtins.__import__
def importing(name, *rest):
    if name == "tm_cli.cli.root":
        os.kill(os.getpid(), int(sys.argv.pop()))
    return real(name, *rest)
builtins.__import__ = importing
sys.argv[1:1] = ["config", "show"]
from tm_cli.main import run
run()
"""


@pytest.mark.parametrize(
    "module",
    ["tm_cli.cli.error_handler", "tm_cli.runtime.signals", "tm_cli.runtime.environment", "typer"],
)
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_while_modules_are_imported_has_its_code(module, number, code):
    process = python(DURING_IMPORT.replace("tm_cli.cli.root", module), str(int(number)))
    output, errors = process.communicate(timeout=LONGEST)
    assert process.returncode == code
    assert output + errors == ""


def test_an_interrupt_before_any_handler_is_told_by_the_exit_code():
    process = python(
        "import signal, tm_cli.main as main\n"
        "main._exit_on_signals = lambda: signal.raise_signal(signal.SIGINT)\n"
        "main.run()",
        "config",
    )
    _, errors = process.communicate(timeout=LONGEST)
    assert (process.returncode, errors) == (130, "")


@pytest.mark.parametrize(
    "problem", ["raise ImportError('gone')", "raise SystemError('bad')", "1/0"]
)
def test_a_broken_installation_is_told_in_a_line(tmp_path, problem):
    (tmp_path / "typer.py").write_text(problem)
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    process = python(TM, "config", "show", environ={"PYTHONPATH": paths})
    output, errors = process.communicate(timeout=LONGEST)
    assert (process.returncode, output) == (ExitCode.INTERNAL, "")
    assert errors.startswith("tm: internal error: ")
    assert "Traceback" not in errors


def test_a_key_that_cannot_be_read_from_standard_input_is_told():
    only_written = os.open(os.devnull, os.O_WRONLY)
    process = python(TM, "auth", "login", "--base-url", "http://127.0.0.1:1", stdin=only_written)
    os.close(only_written)
    _, errors = process.communicate(timeout=LONGEST)
    assert process.returncode == ExitCode.USAGE
    assert "cannot read the key from standard input" in errors


@pytest.mark.parametrize("size", ["9" * 20, "\N{SUPERSCRIPT TWO}", "wide", "0"])
def test_a_size_of_the_screen_that_is_none_is_ignored(size):
    sizes = dict.fromkeys(("COLUMNS", "LINES", "TERMINAL_WIDTH"), size)
    program = "from tm_cli.main import run; run()"
    process = python(program, "help", "exit-codes", "--help", environ=sizes)
    out, err = process.communicate(timeout=LONGEST)
    assert process.returncode == ExitCode.OK, err
    assert len(max(out.splitlines(), key=len)) <= 80


SIGNALED = """
import os, signal, sys
from tm_cli.runtime import standard_streams
from tm_cli.runtime.signals import SignalReceived, signals_raised

class Raw(standard_streams.io.FileIO):
    def write(self, data):
        written = super().write(data)
        signal.raise_signal(signal.SIGINT)  # it arrives as the write returns
        return written

sys.stdout = standard_streams.io.TextIOWrapper(standard_streams.io.BufferedWriter(Raw(1, "w")))
output = standard_streams.guard_standard_streams()
with signals_raised(restore=True):
    try:
        print("the result", flush=True)
    except SignalReceived as received:
        sys.stderr.write(f"signal {received.number}, lost: {output.is_lost()}")
"""


def test_a_result_that_was_written_as_a_signal_came_is_not_lost():
    answer = subprocess.run(
        [sys.executable, "-c", SIGNALED], capture_output=True, text=True, check=True
    )
    assert answer.stdout == "the result\n"
    assert answer.stderr == "signal 2, lost: False"


def test_signs_that_an_encoding_lacks_are_written_as_people_would():
    program = (
        "from tm_cli.runtime.standard_streams import guard_standard_streams\n"
        "guard_standard_streams()\n"
        r"print('404 \u00d7 3 \u2026 \u4e2d \ud800')"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert answer.stdout == "404 x 3 ... \\u4e2d \\ud800\n"
