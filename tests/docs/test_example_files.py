"""The files under `examples/` and the workflows do what they say."""

import os
import re
import shutil
import subprocess

import pytest
import yaml

from checks.pages import ROOT
from tm_cli.exit_codes import ExitCode

GATE = ROOT / "examples" / "gate.sh"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40}")

needs_bash = pytest.mark.skipif(
    os.name == "nt" or shutil.which("bash") is None, reason="needs a POSIX system with bash"
)


@pytest.mark.process
@needs_bash
def test_gate_script_is_valid_shell():
    subprocess.run(["bash", "-n", str(GATE)], check=True)


@pytest.mark.process
@needs_bash
@pytest.mark.parametrize("code", [ExitCode.OK, ExitCode.WARN, ExitCode.UNDECIDED, ExitCode.USAGE])
def test_gate_script_passes_the_exit_code_on(code, tmp_path):
    tm = tmp_path / "tm"
    tm.write_text(f'#!/bin/sh\necho "$@"\nexit {int(code)}\n', encoding="utf-8")
    tm.chmod(0o755)
    search_path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    result = subprocess.run(
        ["bash", str(GATE), "checkout.yaml"],
        env={**os.environ, "PATH": search_path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == code
    assert result.stdout == "runs start checkout.yaml --wait --fail-on FAIL,WARN\n"
    assert f"(exit code {int(code)})" in result.stderr


def test_workflow_example_uses_the_key_as_a_secret_and_no_pipe():
    text = (ROOT / "examples" / "github-actions.yml").read_text(encoding="utf-8")
    steps = yaml.safe_load(text)["jobs"]["gate"]["steps"]
    gate = next(step for step in steps if "tm runs start" in step.get("run", ""))
    assert gate["env"]["TM_API_KEY"] == "${{ secrets.TM_API_KEY }}"
    assert gate["shell"] == "bash"
    assert "|" not in gate["run"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_may_only_read_and_pins_what_it_uses(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert workflow["permissions"] == {"contents": "read"}
    used = [step["uses"] for step in steps if "uses" in step]
    assert all(PINNED.fullmatch(action) or action == "./" for action in used)
    assert not any("permissions" in job for job in workflow["jobs"].values())
