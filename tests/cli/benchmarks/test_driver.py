"""`--exec`: the driver's end decides what becomes of the run, and it never outlives tm."""

from __future__ import annotations

import io
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.services.runloop import KEY
from tm_cli.exit_codes import ExitCode
from tm_cli.main import main
from tm_cli.runtime.environment import Environment
from tm_cli.runtime.subprocesses import SubprocessGroup, split_command
from tm_cli.runtime.terminal import Terminal

pytestmark = pytest.mark.process

RULE = ("--min-score", "80%")


@pytest.fixture(autouse=True)
def benchmark(world):
    return world.benchmark(scenarios=2)


class ScriptedDriver:
    """A driver that ends after some looks, and does something meanwhile."""

    def __init__(self, *codes, does=lambda run_id: None):
        self.codes = list(codes)
        self.does = does
        self.environ = {}
        self.was_ended = False

    def __call__(self, words, environ):
        self.words, self.environ = list(words), dict(environ)
        return self

    def poll(self):
        code = self.codes.pop(0) if len(self.codes) > 1 else self.codes[0]
        if code is not None:
            self.does(self.environ["RUNLOOP_BENCHMARK_RUN_ID"])
        return code

    def ask_to_end(self):
        self.was_ended = True

    def end(self, patience):
        self.was_ended = self.was_ended or self.codes[0] is None


@pytest.fixture
def drive(tm, url, tmp_path, clock):
    """Run `tm benchmarks start --exec` with a scripted driver."""

    def run(driver, *flags, environ=None):
        out, err = io.StringIO(), io.StringIO()
        context = Environment(
            environ={
                "RUNLOOP_BASE_URL": url,
                "RUNLOOP_API_KEY": KEY,
                "PATH": os.environ["PATH"],
                **(environ or {}),
            },
            terminal=Terminal(out, err, live=True, width=100),
            clock=clock,
            cwd=tm.cwd,
            find_user_dir=lambda: tm.home,
            find_state_dir=lambda: tmp_path / "state",
            launch=lambda _: pytest.fail("no server is needed"),
            make_token=lambda: "token",
            spawn=driver,
        )
        command = f"{shlex.quote(sys.executable)} drive.py"
        argv = ["benchmarks", "start", "bmd_1", "--exec", command, *RULE, *flags]
        code = main(argv, context)
        return code, out.getvalue(), err.getvalue()

    return run


def scoring(world, *scores):
    def work(run_id):
        if world.runs[run_id]["state"] == "running":
            for n, score in enumerate(scores, start=1):
                world.attempt(run_id, f"scn_{n}", score)

    return work


def test_run_is_completed_when_the_driver_exits_0(drive, world):
    driver = ScriptedDriver(None, None, 0, does=scoring(world, 1.0, 1.0))
    code, out, _ = drive(driver)
    assert code == ExitCode.OK, out
    assert world.runs["bmr_1"]["state"] == "completed"
    assert driver.environ["RUNLOOP_BENCHMARK_RUN_ID"] == driver.environ["TM_RUN_ID"] == "bmr_1"
    assert driver.environ["RUNLOOP_BENCHMARK_ID"] == "bmd_1"
    assert driver.words[1:] == ["drive.py"]


@pytest.mark.parametrize(("exit_code", "told"), [(3, "exit code 3"), (-9, "signal 9")])
def test_run_is_canceled_and_fails_when_the_driver_fails(drive, world, exit_code, told):
    driver = ScriptedDriver(None, exit_code, does=scoring(world, 1.0, 1.0))
    code, out, _ = drive(driver)
    assert code == ExitCode.FAIL
    assert f"the driver ended with {told}; run bmr_1 is canceled" in out
    assert world.runs["bmr_1"]["state"] == "canceled"


def test_driver_that_completes_the_run_and_fails_has_failed(drive, world):
    driver = ScriptedDriver(None, 1, does=lambda run_id: world.drive(run_id, (1.0, 1.0)))
    code, out, _ = drive(driver)
    assert code == ExitCode.FAIL
    assert "run bmr_1 is completed" in out
    assert "score" in out


def test_driver_that_completes_the_run_itself_is_waited_for(drive, world):
    codes = [None, None, 0]
    driver = ScriptedDriver(*codes)
    start = world._new_run

    def driven(body):
        run = start(body)
        world.on_look(run["id"], lambda it: world.drive(it["id"], (1.0, 1.0)))
        return run

    world._new_run = driven
    code, out, _ = drive(driver)
    assert code == ExitCode.OK, out
    assert world.requests("POST", "/complete") == []


def test_run_that_ends_under_its_driver_fails_and_ends_it(drive, world):
    driver = ScriptedDriver(None)
    start = world._new_run

    def killed(body):
        run = start(body)
        world.on_look(run["id"], lambda _: None, lambda it: world._cancel(it))
        return run

    world._new_run = killed
    code, out, _ = drive(driver)
    assert code == ExitCode.FAIL
    assert "the run was canceled while its driver was still running" in out
    assert driver.was_ended


def test_driver_that_takes_too_long_is_ended_and_its_run_canceled(drive, world):
    driver = ScriptedDriver(None)
    code, _, err = drive(driver, "--wait-timeout", "5m")
    assert code == ExitCode.WAIT_TIMEOUT
    assert "the driver was still running after 5m; it was ended, and run bmr_1 is canceled" in err
    assert driver.was_ended


def test_driver_that_cannot_be_started_cancels_the_run(drive, world):
    def broken(_words, _environ):
        raise PermissionError(13, "Permission denied")

    code, out, _ = drive(broken)
    assert code == ExitCode.FAIL
    assert "the driver could not be started: Permission denied; run bmr_1 is canceled" in out


def test_run_that_cannot_be_completed_is_never_a_pass(drive, world):
    route = world._route

    def refusing(request):
        if request.path.endswith("/complete"):
            raise RuntimeError
        return route(request)

    world._route = refusing
    driver = ScriptedDriver(0, does=scoring(world, 1.0, 1.0))
    code, _, err = drive(driver, "--wait-timeout", "5m")
    assert code == ExitCode.WAIT_TIMEOUT
    assert "the run could not be completed" in err


def test_run_that_cannot_be_canceled_fails_all_the_same(drive, world):
    route = world._route

    def refusing(request):
        if request.path.endswith("/cancel"):
            raise RuntimeError
        return route(request)

    world._route = refusing
    code, out, _ = drive(ScriptedDriver(1))
    assert code == ExitCode.FAIL
    assert "cancel it with `tm benchmarks cancel bmr_1`" in out


def test_incomplete_work_of_a_driver_that_exits_0_fails(drive, world):
    code, out, _ = drive(ScriptedDriver(0, does=scoring(world, 1.0)))
    assert code == ExitCode.FAIL
    assert "1 of 2 scenarios were run" in out


@pytest.mark.parametrize(("choice", "canceled"), [("stop", True), ("detach", False)])
def test_interruption_ends_the_driver(drive, world, clock, choice, canceled):
    clock.sleep = lambda _: signal.raise_signal(signal.SIGINT)
    driver = ScriptedDriver(None)
    code, _, _ = drive(driver, "--on-interrupt", choice)
    assert code == ExitCode.INTERRUPTED
    assert driver.was_ended
    assert (world.runs["bmr_1"]["state"] == "canceled") is canceled


# real processes


@pytest.fixture
def really(url, tmp_path):
    """Run tm in a process of its own; returns it."""

    def start(script, *flags):
        (tmp_path / "drive.py").write_text(script)
        command = f"{shlex.quote(sys.executable)} {tmp_path / 'drive.py'} {tmp_path / 'mark'}"
        argv = ["benchmarks", "start", "bmd_1", "--exec", command, *RULE, *flags]
        return subprocess.Popen(
            [sys.executable, "-m", "tm_cli", *argv],
            env={
                "RUNLOOP_BASE_URL": url,
                "RUNLOOP_API_KEY": KEY,
                "PATH": os.environ["PATH"],
                "TM_STATE_DIR": str(tmp_path / "state"),
                "TM_CONFIG_DIR": str(tmp_path / "config"),
                "PYTHONPATH": str(Path(__file__).parents[3]),
            },
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


BUSY = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
mark = pathlib.Path(sys.argv[1])
mark.with_suffix(".new").write_text(f"{os.getpid()} {child.pid}")
mark.with_suffix(".new").replace(mark)
print("driving", os.environ["RUNLOOP_BENCHMARK_RUN_ID"], flush=True)
time.sleep(60)
"""


def wait_until(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this took too long"
        time.sleep(0.02)


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
@pytest.mark.parametrize("choice", ["stop", "detach"])
def test_signal_ends_the_driver_and_its_children(really, world, tmp_path, choice):
    process = really(BUSY, "--on-interrupt", choice)
    try:
        wait_until((tmp_path / "mark").exists)
        pids = [int(word) for word in (tmp_path / "mark").read_text().split()]
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
        assert time.monotonic() - began < 6
        assert process.returncode == ExitCode.TERMINATED
        assert "driving bmr_1" in err
        wait_until(lambda: not any(map(is_running, pids)))
        assert (world.runs["bmr_1"]["state"] == "canceled") is (choice == "stop")
    finally:
        process.kill()
        process.communicate()


def test_output_of_the_driver_goes_to_standard_error(really, world):
    process = really("print('scoring scn_1')\nraise SystemExit(3)\n")
    out, err = process.communicate(timeout=30)
    assert process.returncode == ExitCode.FAIL
    assert "scoring scn_1" in err
    assert "scoring scn_1" not in out


def test_process_reports_its_exit_code_once_it_ended():
    driver = SubprocessGroup([sys.executable, "-c", "raise SystemExit(4)"], dict(os.environ))
    wait_until(lambda: driver.poll() is not None)
    assert driver.poll() == 4
    driver.ask_to_end()
    driver.end(0.1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("python drive.py --fast", ["python", "drive.py", "--fast"]),
        ("sh -c 'echo $HOME | cat'", ["sh", "-c", "echo $HOME | cat"]),
        ('"two words" #1', ["two words", "#1"]),
    ],
)
def test_command_is_split_and_nothing_is_expanded(text, words):
    assert split_command(text) == words


@pytest.mark.parametrize("text", ["", "  ", "'open"])
def test_command_that_is_none_is_refused(text):
    with pytest.raises(ValueError):
        split_command(text)


@pytest.mark.skipif(os.name == "nt", reason="a shell of Unix")
def test_driver_of_the_documentation_works(url, world, tmp_path):
    world.benchmark(scenarios=1)
    page = (Path(__file__).parents[3] / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    shown = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    script = next(block for block in shown if "scenario start" in block)
    (tmp_path / "drive.sh").write_text(script)
    shim = tmp_path / "bin" / "tm"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m tm_cli "$@"\n')
    shim.chmod(0o755)
    argv = ["benchmarks", "start", "bmd_1", "--exec", f"sh {tmp_path / 'drive.sh'}", *RULE]
    done = subprocess.run(
        [sys.executable, "-m", "tm_cli", *argv, "--poll-interval", "1s"],
        env={
            **os.environ,
            "RUNLOOP_BASE_URL": url,
            "RUNLOOP_API_KEY": KEY,
            "PATH": f"{shim.parent}{os.pathsep}{os.environ['PATH']}",
            "TM_STATE_DIR": str(tmp_path / "state"),
            "TM_CONFIG_DIR": str(tmp_path / "config"),
            "PYTHONPATH": str(Path(__file__).parents[3]),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == ExitCode.OK, done.stdout + done.stderr
    assert "scenario run scr_2 is scored" in done.stderr
