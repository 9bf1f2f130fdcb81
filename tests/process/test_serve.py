"""`--serve`: services that do what services do wrong, and nothing of them is left running."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from werkzeug.wrappers import Response

from tests.services.trafficmorph import KEY, detail, page, profile, status
from tm_cli.bisect.services import free_port
from tm_cli.exit_codes import ExitCode
from tm_cli.main import main
from tm_cli.runtime.clock import SystemClock
from tm_cli.runtime.environment import Environment
from tm_cli.runtime.terminal import Terminal
from tm_cli.target import sampler, service

pytestmark = pytest.mark.process

posix = pytest.mark.skipif(os.name != "posix", reason="signals")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="daemons are found")
LISTEN = "import socket, sys, time; s = socket.create_server(('127.0.0.1', {port}))"
RUN_SECONDS = 0.5


class World:
    """A server whose run goes on for a while, and a program that is served."""

    def __init__(self, httpserver, place: Path) -> None:
        self.port, self.place = free_port(), place
        self.started, self.stopped, self.polls = 0.0, False, 0
        self.lasts, self.starts = RUN_SECONDS, []
        httpserver.expect_request(re.compile(".*")).respond_with_handler(self.answer)

    def program(self, *lines: str) -> str:
        """Return the command of a service that runs these lines; `L` has it listen."""
        file = self.place / "service.py"
        listen = LISTEN.format(port=self.port)
        file.write_text("\n".join(listen if line == "L" else line for line in lines))
        return f"{sys.executable} -S -E service.py --of {self.place}"

    def left(self) -> list[str]:
        """Return the processes of the service that are running."""
        found = []
        for process in psutil.process_iter():
            try:
                words = process.cmdline()
            except psutil.Error:
                continue
            if str(self.place) in words and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(words))
        return found

    def answer(self, request):
        found = self.respond(request.path.removeprefix("/api/v1"), request)
        return Response(json.dumps(found), content_type="application/json")

    def respond(self, path, request):
        if path == "/account":
            return {"features": {"waitForTarget": True}, "limits": {}}
        if path == "/profiles/42":
            return profile(duration=10, targetUrl=f"http://127.0.0.1:{self.port}/x")
        if path == "/profiles/42/runs":
            self.started = time.monotonic()
            self.starts.append(request.get_json())
            return {"runId": "run-1", "status": "RUNNING", "profileId": 42}
        if path.endswith("/stop"):
            self.stopped = True
            return {"status": "STOPPED", "profileId": 42, "runId": "run-1"}
        lasted = time.monotonic() - self.started
        if path.endswith("/status"):
            is_over = self.stopped or not self.starts or lasted > self.lasts
            state = "COMPLETED" if is_over else "RUNNING"
            return status(state, runId="run-1", elapsedSeconds=lasted, durationSeconds=10.0)
        row = detail(
            7, runId="run-1", autoVerdict=None if self.stopped else "PASS",
            outcome="STOPPED" if self.stopped else "COMPLETED",
        )  # fmt: skip
        return page(*([row] if self.starts else [])) if path == "/history" else row


@pytest.fixture
def world(httpserver, tmp_path):
    (tmp_path / "work").mkdir()
    return World(httpserver, tmp_path / "work")


@pytest.fixture
def gate(world, httpserver, tmp_path, monkeypatch):
    """Run a gate in this process; services have half a second to end, samples come often."""
    monkeypatch.setattr(service, "PATIENCE", 0.5)
    monkeypatch.setattr(sampler, "EVERY", 0.1)

    def run(command, *flags, environ=None):
        out, err = io.StringIO(), io.StringIO()
        context = Environment(
            environ={
                "TM_BASE_URL": httpserver.url_for("/"), "TM_API_KEY": KEY,
                "PATH": os.environ["PATH"], **(environ or {}),
            },
            terminal=Terminal(out, err, live=False, width=80),
            clock=SystemClock(),
            cwd=world.place,
            find_user_dir=lambda: tmp_path / "home",
            find_state_dir=lambda: tmp_path / "state",
            launch=lambda _: pytest.fail("no server is needed"),
        )  # fmt: skip
        serve = ["--serve", command] if command else []
        code = main(
            ["runs", "start", "42", "--wait", "--fail-on", "FAIL", "--json", *serve, *flags],
            context,
        )
        return code, json.loads(out.getvalue()), err.getvalue()

    return run


def log_of(world):
    (log,) = world.place.glob(".tm/serve-*.log")
    return log.read_text(encoding="utf-8")


def test_service_is_started_tested_measured_and_ended(gate, world):
    world.lasts = 1.0
    command = world.program(
        "import os", "L", "print(sorted(n for n in os.environ if 'KEY' in n))",
        "print(sys.argv, flush=True)", "time.sleep(60)",
    )  # fmt: skip
    code, document, err = gate(
        f"{command} 'a b' '$HOME'", "--assert", "target.memory<1GB", "--assert",
        "target.restarts==0", environ={"MY_KEY": "1"},
    )  # fmt: skip
    assert (code, world.left()) == (ExitCode.OK, [])
    metrics = document["data"]["target_metrics"]
    assert set(metrics) == {"target.cpu", "target.memory", "target.restarts"}
    assert [check["passed"] for check in document["data"]["checks"]] == [True, True]
    assert "['MY_KEY']" in log_of(world)
    assert f"'--of', '{world.place}', 'a b', '$HOME']" in log_of(world)
    assert re.search(r"its log is \.tm.serve-\d+-\d+\.log", err)
    assert world.starts[0]["waitForTarget"] == 60.0


def test_condition_on_the_service_fails_the_gate(gate, world):
    world.lasts = 1.0
    command = world.program("L", "while True: sum(range(9999))")
    code, document, _ = gate(command, "--assert", "target.cpu<3%")
    assert code == ExitCode.FAIL
    assert document["data"]["checks"][0]["passed"] is False
    assert document["data"]["verdict"] == "PASS"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["print('no config')", "raise SystemExit(3)"],
            "ended with exit code 3 before it was ready",
        ),
        (["import time", "print('no config', flush=True)", "time.sleep(60)"], "within 1s"),
    ],
    ids=["ends", "never listens"],
)
def test_service_that_does_not_get_ready_is_undecided_and_no_run_is_started(
    gate, world, lines, message
):
    code, document, err = gate(world.program(*lines), "--wait-for-target", "1s")
    assert (code, world.left(), world.starts) == (ExitCode.UNDECIDED, [], [])
    assert document["error"]["code"] == "untestable"
    assert message in document["error"]["message"]
    assert "(its last line: no config)" in document["error"]["message"]
    assert "  | no config" in err


def test_service_that_crashes_during_the_run_is_undecided_and_the_run_is_stopped(gate, world):
    world.lasts = 30
    began = time.monotonic()
    command = world.program(
        "L", "time.sleep(0.8)", "print('core dumped', flush=True)", "sys.exit(42)"
    )
    code, document, err = gate(command)
    assert (code, world.stopped, world.left()) == (ExitCode.UNDECIDED, True, [])
    assert "ended with exit code 42" in document["error"]["message"]
    assert "under its load" in document["error"]["message"]
    assert document["data"]["verdict"] is None
    assert "  | core dumped" in err
    assert time.monotonic() - began < 15


@linux
def test_processes_that_hide_are_ended_too(gate, world):
    command = world.program(
        "import os, signal, time",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        "for _ in range(2):",
        "    if not os.fork():",
        "        os.setsid()",
        "        if os.fork(): os._exit(0)",
        "        os.setsid()",
        "        time.sleep(60)",
        "L",
        "time.sleep(60)",
    )
    code, _, _ = gate(command)
    assert (code, world.left()) == (ExitCode.OK, [])


@linux
def test_command_that_leaves_a_daemon_has_not_ended(gate, world):
    command = world.program(
        "import os", "if os.fork(): os._exit(0)", "os.setsid()", "L", "time.sleep(60)"
    )
    code, _, _ = gate(command)
    assert (code, world.left()) == (ExitCode.OK, [])


def test_service_at_a_place_that_is_taken_is_not_started(gate, world):
    other = subprocess.Popen(
        [sys.executable, "-c", LISTEN.format(port=world.port) + "; print(1, flush=True); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with other:
        other.stdout.readline()
        code, document, _ = gate(world.program("L"))
        other.communicate(b"\n")
    assert (code, world.starts) == (ExitCode.UNDECIDED, [])
    assert f"something listens at 127.0.0.1:{world.port} already" in document["error"]["message"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--serve", "./nope"], "./nope cannot be found"),
        (["--serve", "cd x && ./nope"], "no shell reads the command, so && is an argument"),
        (["--serve", ""], "--serve: it is empty"),
        (["--serve", "sh 'a"], "--serve: No closing quotation"),
        (["--serve", "true", "--on-interrupt", "detach"], "contradicts --serve"),
        (["--serve", "true", "--target-pid", "1"], "contradict each other"),
        (["--serve", "true", "--region", "eu"], "the agents of eu would load its own"),
        (["--serve", "true", "--serve-log", "no/where.log"], "is no place for a file"),
        (["--serve-log", "x.log"], "--serve-log needs --serve"),
        (["--target-pid", "4194305"], "there is no process 4194305"),
        (["--metric", "db=up"], "names no Prometheus server"),
        (["--metric", "up", "--prometheus", "http://x"], "expected NAME=QUERY"),
        (["--metric", "p95=up", "--prometheus", "http://x"], "p95 is a name of tm's own"),
        (["--metric", "a=up", "--prometheus", "http://s3cret@x:y"], "is malformed"),
        (["--prometheus", "http://x"], "--prometheus needs --metric"),
        (["--assert", "target.cpu<80"], "in % of one core"),
        (["--assert", "db.max<80"], "no metric db is recorded"),
    ],
)
def test_mistakes_are_found_before_anything_is_started(gate, world, flags, message):
    code, document, _ = gate(None, *flags)
    assert (code, world.starts) == (ExitCode.USAGE, [])
    assert message in document["error"]["message"]
    assert "s3cret" not in json.dumps(document)


@posix
def test_log_is_not_written_through_a_link(gate, world, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (world.place / ".tm").symlink_to(tmp_path / "elsewhere")
    code, _, _ = gate(world.program("L", "time.sleep(60)"))
    assert (code, world.starts, world.left()) == (ExitCode.CONFIGURATION, [], [])
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_log_may_be_elsewhere(gate, world):
    flags = ("--serve-log", "a.log", "--wait-for-target", "1s")
    gate(world.program("print('a')", "raise SystemExit(1)"), *flags)
    assert (world.place / "a.log").read_text(encoding="utf-8") == "a\n"


@pytest.mark.parametrize("name", ["NOPE", "TM_API_KEY", "GITHUB_TOKEN"])
def test_variable_of_a_prometheus_server_must_be_set_and_no_key_of_tm(gate, world, name):
    flags = ("--metric", "db=up", "--prometheus", f"http://${{{name}}}@x")
    code, document, _ = gate(None, *flags, environ={"GITHUB_TOKEN": "s3cret"})
    assert (code, world.starts) == (ExitCode.CONFIGURATION, [])
    assert f"{name} is not set" in document["error"]["message"]


def test_metric_without_a_reading_is_undecided_and_says_why(gate, world):
    flags = ("--metric", "db=up", "--prometheus", "http://127.0.0.1:1", "--assert", "db<5")
    code, document, _ = gate(None, *flags, "--wait-for-target", "1s")
    assert code == ExitCode.UNDECIDED
    assert "db.max<5: db was not recorded" in document["data"]["decision"]["message"]
    assert "127.0.0.1:1: Connection refused" in " ".join(document["data"]["notes"])


@pytest.fixture
def start_tm(world, httpserver, tmp_path):
    """Start tm as a process with a service that does not end by itself, during its run."""
    started = []

    def start():
        world.lasts = 60
        command = world.program(
            "import signal", "signal.signal(signal.SIGINT, signal.SIG_IGN)", "L", "time.sleep(60)"
        )
        environ = {
            "PATH": os.environ["PATH"], "HOME": str(tmp_path), "TM_API_KEY": KEY,
            "TM_BASE_URL": httpserver.url_for("/"),
        }  # fmt: skip
        words = ["runs", "start", "42", "--wait", "--fail-on", "FAIL", "--serve", command]
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tm_cli", *words], env=environ, cwd=world.place,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        while "waiting for run" not in (line := process.stderr.readline()):
            assert line, "tm has ended"
        assert len(world.left()) >= 1
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_the_run_and_ends_the_service(start_tm, world, number):
    tm = start_tm()
    tm.send_signal(number)
    _, err = tm.communicate(timeout=30)
    assert tm.returncode == 128 + number
    assert "run run-1 was stopped" in err
    assert (world.stopped, world.left()) == (True, [])


@posix
def test_service_does_not_outlive_a_killed_tm(start_tm, world):
    tm = start_tm()
    tm.kill()
    deadline = time.monotonic() + 20
    while world.left() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert world.left() == []
