"""What is not imported cannot be slow: measured in a fresh interpreter, never with a stopwatch."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.process

PROBE = """
import json, sys
from tm_cli.main import main
sys.stdout = sys.stderr
code = main(json.loads(sys.argv[1]))
sys.__stdout__.write(json.dumps({"code": code, "modules": sorted(sys.modules)}))
"""


def modules_after(*argv: str, code: int = 0) -> set[str]:
    result = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(argv)],
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    report = json.loads(result.stdout)
    assert report["code"] == code
    return set(report["modules"])


@pytest.mark.parametrize(
    "argv", [["--version"], ["--help"], ["runs", "start", "--help"]], ids=" ".join
)
def test_nothing_heavy_is_imported_for_help_and_version(argv):
    loaded = modules_after(*argv)
    heavy = {"httpx2", "httpcore2", "pydantic", "rich.progress", "rich.live", "yaml", "asyncio"}
    assert loaded & heavy == set()
    assert not [name for name in loaded if name.startswith(("tm_cli.server", "tm_cli.api"))]


def test_version_imports_no_command_line_library():
    loaded = modules_after("--version")
    assert loaded & {"typer", "rich", "dataclasses", "enum"} <= modules_of_a_bare_interpreter()


def modules_of_a_bare_interpreter() -> set[str]:
    probe = "import json, sys; print(json.dumps(sorted(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    )
    return set(json.loads(result.stdout))


def test_a_wait_imports_no_other_backend():
    loaded = modules_after("runs", "wait", "42", code=64)  # the run id is missing
    others = ("tm_cli.backends.runloop", "tm_cli.backends.strait")
    assert "tm_cli.backends.trafficmorph.runs" in loaded
    assert not [name for name in loaded if name.startswith(others)]


def test_root_help_imports_no_command():
    loaded = modules_after("--help")
    assert not [name for name in loaded if name.startswith("tm_cli.commands.")]
