"""The action with tm itself: every outcome of a gate is the outcome of the step."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
import time

import pytest

from tests.process.action.programs import make_real
from tests.simulation.httpx_seam import CANARY
from tests.simulation.plan import Fault
from tests.simulation.schedules import Schedule
from tests.simulation.socket_server import SocketServer
from tests.simulation.trafficmorph.world import Truth
from tm_cli.exit_codes import ExitCode

pytestmark = pytest.mark.process

QUICK = {
    "profile": "42",
    "fail_on": "FAIL",
    "api_key": CANARY,
    "poll_interval": "50ms",
    "wait_timeout": "20s",
    "verdict_timeout": "1s",
    "timeout": "5s",
}


@pytest.fixture
def use(make_runner, tmp_path):
    """Run the action against a simulated service that goes by a schedule."""

    def run(truth=None, plan=None, **given):
        truth = truth or Truth(duration=0.2, verdict_delay=0.1, row_delay=0.1)
        with SocketServer(Schedule(1, truth, plan=plan or {})) as server:
            given = {"base_url": server.url, **QUICK, **given}
            return make_runner(make_real(tmp_path)).run(**given)

    return run


def quick(verdict):
    return Truth(verdict, duration=0.2, verdict_delay=0.1, row_delay=0.1)


def check(result, code):
    gate = result.steps["Load test"]
    assert gate.code == code, gate.log
    assert result.conclusion == ("success" if code == 0 else "failure")
    assert result.log.count(CANARY) == 1, "it stands in the command that masks it, only"
    assert "Traceback" not in result.log


GATED = "FAIL,WARN,NO_BASELINE"


@pytest.mark.parametrize(
    ("verdict", "fail_on", "code"),
    [
        ("PASS", GATED, ExitCode.OK),
        ("FAIL", GATED, ExitCode.FAIL),
        ("WARN", GATED, ExitCode.WARN),
        ("NO_BASELINE", GATED, ExitCode.NO_BASELINE),
        ("FAIL", "", ExitCode.FAIL),
        ("FAIL", "none", ExitCode.OK),
        (None, "FAIL", ExitCode.UNDECIDED),
    ],
)
def test_a_verdict_decides_the_step(verdict, fail_on, code, use):
    check(use(quick(verdict), fail_on=fail_on), code)


@pytest.mark.parametrize(
    ("endpoint", "kind", "code"),
    [
        ("profile", "401", ExitCode.AUTHENTICATION),
        ("start", "409", ExitCode.REFUSED),
        ("start", "502", ExitCode.START_UNKNOWN),
        ("profile", "422", ExitCode.ERROR),
    ],
)
def test_an_answer_that_stops_the_gate_stops_the_step(endpoint, kind, code, use):
    check(use(plan={endpoint: (Fault(kind),) * 9}), code)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"fail_on": "FIAL"}, ExitCode.USAGE),
        ({"fail_on": "FAIL", "warn_on": "FAIL"}, ExitCode.USAGE),
        ({"args": "--min-score=85%"}, ExitCode.USAGE),
        ({"report_json": "missing/gate.json"}, ExitCode.USAGE),
        ({"base_url": "http://load.example"}, ExitCode.CONFIGURATION),
        ({"api_key": ""}, ExitCode.CONFIGURATION),
    ],
    ids=str,
)
def test_a_mistake_in_an_input_is_told_apart(given, code, use):
    result = use(**given)
    gate = result.steps["Load test"]
    assert gate.code == code, gate.log
    assert result.conclusion == "failure"


def test_a_run_that_outlasts_the_wait_fails_the_step(use):
    check(use(Truth(duration=60), wait_timeout="300ms"), ExitCode.WAIT_TIMEOUT)


def test_a_server_that_is_not_there_fails_the_step(use):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        check(use(base_url=url), ExitCode.UNAVAILABLE)


def test_a_report_of_an_earlier_step_does_not_pass_for_this_one(make_runner, tmp_path):
    runner = make_runner(make_real(tmp_path))
    report = runner.workspace / "gate.json"
    report.write_text('{"exit_code": 0}')
    given = {"profile": "checkout", "report_json": "gate.json", "fail_on": "FIAL"}
    result = runner.run(**given, base_url="http://127.0.0.1:9", api_key="a-key-of-a-test")
    assert result.conclusion == "failure"
    assert json.loads(report.read_text())["exit_code"] == ExitCode.USAGE


def test_a_report_that_is_lost_fails_the_step(make_runner, tmp_path):
    runner = make_runner(make_real(tmp_path))
    place = runner.workspace / "reports"
    place.mkdir()

    def take_away() -> None:
        deadline = time.monotonic() + 20
        while not (place / "gate.json").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        (place / "gate.json").unlink()
        place.rmdir()

    thief = threading.Thread(target=take_away)
    thief.start()
    truth = Truth("PASS", duration=0.8, verdict_delay=0.1, row_delay=0.1)
    with SocketServer(Schedule(1, truth)) as server:
        result = runner.run(**QUICK, base_url=server.url, report_json="reports/gate.json")
    thief.join()
    check(result, ExitCode.OUTPUT)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name
)
def test_a_signal_to_the_step_reaches_tm_which_stops_the_run(number, make_runner, tmp_path):
    truth = Truth(duration=3600)
    with SocketServer(Schedule(1, truth)) as server:

        def cancel(name: str, process: subprocess.Popen[str]) -> None:
            if name == "Load test":
                wait_for(lambda: seen_running(server.recording.ops))
                process.send_signal(number)

        runner = make_runner(make_real(tmp_path), watch=cancel)
        result = runner.run(
            **QUICK, base_url=server.url, artifact="load-test", report_json="g.json"
        )
    check(result, 128 + number)
    assert [run.ended is not None for run in server.world.started_by_us] == [True]
    assert result.steps["Keep the reports"].outcome == "success"


def seen_running(ops) -> bool:
    return any(op.endpoint == "status" and op.outcome == "ok" for op in ops)


def wait_for(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)
