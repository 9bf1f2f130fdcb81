"""actionlint and zizmor find nothing, where they are installed."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def tool(name: str) -> str:
    """The program beside this Python, or on the search path; skips the test without one."""
    scripts = sysconfig.get_path("scripts")
    found = shutil.which(name, path=scripts) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def check(*command: str) -> None:
    result = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, encoding="utf-8"
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_actionlint_finds_nothing_in_workflows_and_what_they_give_the_action():
    files = [*(ROOT / ".github" / "workflows").glob("*.yml"), ROOT / "examples/github-actions.yml"]
    check(tool("actionlint"), "-no-color", *(str(path) for path in sorted(files)))


@pytest.mark.process
def test_zizmor_finds_nothing_in_action_and_workflows():
    options = ("--offline", "--no-progress", "--persona=pedantic")
    check(tool("zizmor"), *options, "action.yml", ".github", "tm_cli/setup/pins/action.yml")
