"""Development tasks with only Python and pip on the machine: `python scripts/dev.py TASK`.

Each task makes its own virtual environment in `.venv` first; a second call finds it ready. Tests
need a second one, `.venv-official`: TrafficMorph's own MCP server and the client that it needs.
The Makefile is a shorter spelling of the same.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = "made-from"
CONSTRAINTS = ("--quiet", "--constraint", str(ROOT / "constraints.txt"))
EXTRAS = "check,local,mcp,scripts,sources"
INPUTS = ("pyproject.toml", "constraints.txt", "scripts/dev.py")

OFFICIAL = ROOT / ".venv-official"
OFFICIAL_PINS = ROOT / "tests" / "process" / "mcp" / "official" / "requirements.txt"
NEED_OFFICIAL = {"setup", "test", "coverage"}
"""Tasks whose tests talk with TrafficMorph's own MCP server; its libraries exclude ours."""

WORKERS = str((os.cpu_count() or 1) + 2)
"""Two more than there are cores: many tests wait for the processes that they have started."""
IN_PARALLEL = ("--numprocesses", WORKERS, "--dist", "loadfile", "--no-loadscope-reorder")
"""Files in the order of tests/tiers.py: those with the fewest tests are the longest."""

TASKS: dict[str, list[list[str]]] = {
    "setup": [],
    "demo": [["-m", "tm_cli", "demo"]],
    "test": [["-m", "pytest", *IN_PARALLEL]],
    "coverage": [
        ["-m", "coverage", "erase"],
        ["-m", "coverage", "run", "-m", "pytest", *IN_PARALLEL, "-m", "not volume"],
        ["-m", "coverage", "combine", "--quiet"],
        ["-m", "coverage", "report"],
    ],
    "lint": [
        ["-m", "ruff", "format", "--check", "."],
        ["-m", "ruff", "check", "."],
        ["-m", "mypy"],
        ["scripts/check.py"],
    ],
    "generated": [["scripts/check.py", "generated"]],
    "run": [["-m"]],
    "format": [["-m", "ruff", "format", "."], ["-m", "ruff", "check", "--fix", "."]],
    "docs": [
        ["scripts/reference.py"],
        ["scripts/pins.py"],
        ["-m", "sphinx", "-q", "-W", "--keep-going", "-c", "docs/sphinx", "docs", "build/site"],
    ],
    "bench": [
        ["benchmarks/startup.py"],
        ["benchmarks/installation.py"],
        ["benchmarks/gate_latency.py"],
        ["benchmarks/fleet.py"],
        ["benchmarks/apply.py"],
        ["benchmarks/history.py"],
        ["benchmarks/verdict.py"],
        ["benchmarks/power.py"],
        ["benchmarks/engine.py"],
        ["benchmarks/distributed.py"],
    ],
    "fuzz": [["tests/unit/server/contract/fuzzing.py"]],
    "soak": [
        ["tests/simulation/soak/kills_at_random.py"],
        ["tests/simulation/soak.py"],
        ["tests/simulation/soak/real_verdicts.py"],
    ],
}
EXTRA_GROUPS = {"docs": "docs"}
"""Dependency groups that a task needs beside `dev`."""
SHARED_ARGUMENTS = {"soak"}
"""Tasks whose every step takes the same arguments; elsewhere they are for the last step."""


def main(arguments: list[str]) -> int:
    """Run one task and return its exit code.

    What follows the task's name goes to its last step; of `soak`, whose steps all take a SCALE
    (1 by default), to every step.
    """
    if not arguments or arguments[0] not in TASKS:
        print(f"usage: python scripts/dev.py {{{','.join(TASKS)}}} [argument ...]", file=sys.stderr)
        return 64
    if sys.version_info < (3, 11):  # noqa: UP036  # runs before anything is installed
        print(
            f"tm needs Python 3.11 or newer; this is {sys.version.split()[0]}. "
            "Name another one: make PYTHON=python3.12 ...",
            file=sys.stderr,
        )
        return 69
    task, *extra = arguments
    prepare()
    if task in NEED_OFFICIAL:
        prepare_official()
    if task in EXTRA_GROUPS:
        pip(VENV, "install", *CONSTRAINTS, "--group", EXTRA_GROUPS[task])
    for number, step in enumerate(TASKS[task], start=1):
        takes_extra = number == len(TASKS[task]) or task in SHARED_ARGUMENTS
        argv = [str(python_of(VENV)), *step, *(extra if takes_extra else [])]
        code = subprocess.call(argv, cwd=ROOT, env=environment())
        if code:
            return code
    return 0


def environment() -> dict[str, str]:
    """The variables of this process; whoever wants no bytecode waits for every start of Python."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def prepare() -> None:
    """Create or refresh the virtual environment when what it is made from has changed."""
    wanted = fingerprint(*INPUTS)
    if is_made_from(VENV, wanted):
        return
    print("setting up .venv (once; a few minutes on a slow connection)", file=sys.stderr)
    make_environment(VENV)
    pip(VENV, "install", "--quiet", "--upgrade", "pip>=25.1")  # the first with --group
    pip(VENV, "install", *CONSTRAINTS, "--editable", f"{ROOT}[{EXTRAS}]", "--group", "dev")
    (VENV / STAMP).write_text(wanted)


def prepare_official() -> None:
    """Create or refresh the environment of TrafficMorph's own MCP server."""
    wanted = fingerprint(OFFICIAL_PINS.relative_to(ROOT).as_posix())
    if is_made_from(OFFICIAL, wanted):
        return
    print("setting up .venv-official (once; for tests of `tm mcp`)", file=sys.stderr)
    venv.create(OFFICIAL, clear=True)
    into = ("--python", str(python_of(OFFICIAL)))
    pip(VENV, *into, "install", "--quiet", "--requirement", str(OFFICIAL_PINS))
    (OFFICIAL / STAMP).write_text(wanted)


def is_made_from(environment: Path, wanted: str) -> bool:
    stamp = environment / STAMP
    return stamp.is_file() and stamp.read_text() == wanted


def fingerprint(*inputs: str) -> str:
    parts = [sys.version, sysconfig.get_platform(), str(ROOT)]
    parts += [(ROOT / name).read_text(encoding="utf-8") for name in inputs]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def make_environment(place: Path) -> None:
    try:
        venv.create(place, clear=True, with_pip=True)
    except subprocess.CalledProcessError:  # Debian's Python comes without ensurepip
        venv.create(place, clear=True, with_pip=False)
        python = str(python_of(place))
        command = [sys.executable, "-m", "pip", "--python", python, "install", "pip>=25.1"]
        subprocess.run(command, check=True, cwd=ROOT)


def python_of(place: Path) -> Path:
    return place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def pip(place: Path, *arguments: str) -> None:
    result = subprocess.run([str(python_of(place)), "-m", "pip", *arguments], check=False, cwd=ROOT)
    if result.returncode:
        sys.exit("pip could not install what tm needs; its messages are above")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
