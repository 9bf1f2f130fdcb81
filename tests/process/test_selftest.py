"""`tm selftest` is green for tm as it is, and red for whatever loses an exit code."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.simulation.scale import whole
from tm_cli.exit_codes import ExitCode
from tm_cli.render.check_results import failure
from tm_cli.selftest.runner import ScenarioRunner, run_scenarios
from tm_cli.selftest.scenarios import SCENARIOS

pytestmark = pytest.mark.process

NAMED = {scenario.name: scenario for scenario in SCENARIOS}
TM = f'"{sys.executable}" -m tm_cli'
PATIENCE = 60

posix = pytest.mark.skipif(os.name == "nt", reason="the programs are shell scripts")


@pytest.fixture
def program(tmp_path):
    """Write a shell script that takes the place of tm; return its path."""

    def write(text: str) -> str:
        path = tmp_path / "program"
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    return write


@pytest.fixture
def selftest(tm):
    """Run it with the environment of the tests."""

    def run(*words, **environ):
        return tm("selftest", *words, environ={**os.environ, **environ})

    return run


def environment(tmp_path: Path) -> dict[str, str]:
    """What a pipeline may have set, and a user."""
    (tmp_path / "tmp").mkdir()
    return {
        **os.environ,
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_OUTPUT": str(tmp_path / "github-output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "github-summary"),
        "HTTP_PROXY": "http://127.0.0.1:1",
        "ALL_PROXY": "socks5://127.0.0.1:1",
        "LC_ALL": "C",
        "PYTHONIOENCODING": "ascii",
        "TERM": "dumb",
        "TMPDIR": str(tmp_path / "tmp"),
        "TM_API_KEY": "the-key-of-production",
        "TM_BASE_URL": "https://production.example",
        "TM_CONFIG_DIR": str(tmp_path / "config"),
        "TM_FAIL_ON": "FIAL",
        "TM_STATE_DIR": str(tmp_path / "state"),
    }


@whole
def test_tm_passes_in_a_full_environment_and_leaves_nothing_behind(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "tm_cli", "selftest"],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        encoding="utf-8",
        timeout=3 * PATIENCE,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    *lines, last = result.stdout.splitlines()
    assert len(lines) == len(SCENARIOS)
    assert last.startswith(f"{sum(line.startswith('PASS') for line in lines)} of ")
    assert not list((tmp_path / "tmp").iterdir())
    assert [path.name for path in tmp_path.iterdir()] == ["tmp"]


@posix
def test_a_tm_that_always_exits_0_is_caught_by_every_scenario(selftest, program):
    result = selftest("--program", program("exit 0"), "--json")
    assert result.exit_code == ExitCode.ERROR
    assert [item["name"] for item in result.json["data"]["scenarios"] if item["right"]] == []
    assert "27 of 27" in result.json["error"]["message"]


@posix
@pytest.mark.parametrize(
    ("script", "name"),
    [
        pytest.param(f'{TM} "$@" | cat', "fail", id="a pipe that loses the code"),
        pytest.param(f'{TM} "$@"; [ $? -ne 5 ]', "missing-verdict", id="undecided is not red"),
        pytest.param(f'{TM} "$@"; {TM} "$@"', "warn", id="every run is started twice"),
    ],
)
def test_a_wrapper_that_breaks_the_gate_is_caught(selftest, program, script, name):
    result = selftest("--program", program(script), "--only", name)
    assert result.exit_code == ExitCode.ERROR
    assert result.stdout.startswith(f"FAIL     {name}")


@posix
def test_a_wrapper_that_hands_everything_on_is_right(selftest, program):
    result = selftest("--program", program(f'exec {TM} "$@"'), "--only", "no-baseline")
    assert result.exit_code == ExitCode.OK
    assert "1 of 1 scenarios passed" in result.stdout


def test_a_wrong_expectation_makes_it_red():
    wrong = replace(NAMED["typo"], expected=(ExitCode.OK,))
    results = list(run_scenarios([wrong, NAMED["server-down"]], os.environ))
    assert [result.passed for result in results] == [False, True]
    assert failure(results).exit_code == ExitCode.ERROR
    assert "1 of 2" in failure(results).message


@posix
def test_the_last_lines_of_a_wrong_tm_are_shown_without_the_key(selftest, program):
    script = 'echo "the key is $TM_API_KEY" >&2; printf "\\033[2J" >&2; exit 1'
    result = selftest("--program", program(script), "--only", "pass")
    assert "| the key is ***" in result.stdout
    assert "\033" not in result.stdout
    assert "tm_" not in result.stdout


@posix
def test_a_tm_that_hangs_is_ended_and_wrong(program, tmp_path):
    pid = tmp_path / "pid"
    runner = ScenarioRunner(
        [program(f"sleep 600 & echo $! > {pid}; wait")], os.environ, timeout=0.5
    )
    result = asyncio.run(runner.run(NAMED["shell"], tmp_path / "scenario"))
    assert result.code is None
    assert not result.passed
    with pytest.raises(ProcessLookupError):
        find_until_gone(int(pid.read_text()))


def find_until_gone(pid):
    """Raises ProcessLookupError as soon as the process, an orphan by now, has been reaped."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        os.kill(pid, 0)
        time.sleep(0.01)


@posix
def test_what_cannot_be_started_is_wrong(selftest, tmp_path):
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x00")
    broken.chmod(0o755)
    result = selftest("--program", str(broken), "--only", "typo")
    assert result.exit_code == ExitCode.ERROR
    assert "it could not be run" in result.stdout


@posix
def test_a_scenario_whose_program_is_missing_is_skipped_and_does_not_pass(selftest):
    alone = selftest("--only", "make", PATH="/nowhere")
    assert alone.exit_code == ExitCode.ERROR
    assert "skipped  make  there is no make here" in alone.stdout
    assert "nothing was checked" in alone.stderr
    both = selftest(
        "--only",
        "make",
        "--only",
        "typo",
        PATH="/nowhere",
    )
    assert both.exit_code == ExitCode.OK
    assert both.stdout.endswith("1 skipped\n")


def test_json_shows_what_was_expected_and_what_came(selftest):
    result = selftest("--only", "server-down", "--json")
    assert result.exit_code == ExitCode.OK
    (item,) = result.json["data"]["scenarios"]
    assert item.pop("seconds") >= 0
    assert item == {
        "name": "server-down",
        "claim": "a server that is down passes nothing",
        "expected": [69],
        "expected_runs": 0,
        "exit_code": 69,
        "runs": 0,
        "right": True,
        "skipped": None,
        "said": [],
    }


def test_list_names_every_scenario_and_plays_none(selftest):
    listed = selftest("--list").stdout.splitlines()
    assert [line.split()[0] for line in listed] == list(NAMED)
    data = selftest("--list", "--json").json["data"]["scenarios"]
    assert [item["expected"] for item in data] == [list(item.expected) for item in SCENARIOS]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--only", "quotta"], "did you mean quota?"),
        (["--only", "nothing-like-it"], "tm selftest --list"),
        (["--program", "no-such-program"], "cannot find the program"),
    ],
)
def test_names_that_do_not_exist_are_usage_errors(selftest, words, hint):
    result = selftest(*words)
    assert result.exit_code == ExitCode.USAGE
    assert hint in result.stderr


@posix
def test_an_interrupted_selftest_leaves_nothing_behind(tmp_path):
    names = ("typo", "wait-timeout", "missing-verdict", "slow-verdict")
    only = [word for name in names for word in ("--only", name)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tm_cli", "selftest", *only],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    with process:
        assert process.stdout.readline().startswith("PASS")
        process.send_signal(signal.SIGINT)
        stderr = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == ExitCode.INTERRUPTED
    assert stderr == "tm: interrupted\n"
    assert not list((tmp_path / "tmp").iterdir())


def test_every_code_that_a_server_can_bring_about_has_a_scenario():
    codes = {code for scenario in SCENARIOS for code in scenario.expected}
    others = {ExitCode.INTERNAL, ExitCode.OUTPUT, ExitCode.CONFIGURATION, ExitCode.HANGUP}
    assert set(ExitCode) - others == codes
    assert len(NAMED) == len(SCENARIOS)
