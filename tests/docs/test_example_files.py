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


def jobs(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    return workflow["jobs"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_pins_what_it_uses(path):
    parts = [part for job in jobs(path).values() for part in (job, *job.get("steps", []))]
    for used in (part["uses"] for part in parts if "uses" in part):
        assert PINNED.fullmatch(used) or used.startswith("./")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_job_that_may_write_has_an_environment_and_runs_nothing_of_the_checkout(path):
    for job in jobs(path).values():
        if "permissions" in job:
            used = [step.get("uses", "") for step in job["steps"]]
            assert job["environment"]
            assert not any(name.startswith(("actions/checkout@", "./")) for name in used)


def test_nothing_is_published_before_its_tests_and_its_build_have_passed():
    release = jobs(ROOT / ".github" / "workflows" / "release.yml")
    assert release["test"]["uses"] == "./.github/workflows/ci.yml"

    def before(name):
        direct = release[name].get("needs", [])
        return {*direct, *(earlier for each in direct for earlier in before(each))}

    for name, job in release.items():
        assert "permissions" not in job or {"test", "build"} <= before(name)


def test_bug_form_asks_for_what_doctor_finds():
    form = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE/bug.yml").read_text(encoding="utf-8"))
    (doctor,) = (part for part in form["body"] if part.get("id") == "doctor")
    assert "tm doctor --json" in doctor["attributes"]["label"]
    assert doctor["validations"] == {"required": True}
