"""Run the tests with the lowest version of each dependency that pyproject.toml allows.

`python scripts/lowest.py [argument of pytest ...]` makes an environment of its own, `build/lowest`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from dev import prepare_official

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / "build" / "lowest"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
BOUNDS = VENV / "lowest.txt"

IN_PARALLEL = ("--numprocesses", "auto", "--dist", "loadfile")

_LOWEST = re.compile(r"([\w.-]+)>=([\w.]+)")


def extras() -> dict[str, list[str]]:
    """Return what users install: the requirements of every extra, those without one under ""."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    return {"": project["dependencies"], **project["optional-dependencies"]}


def lowest(requirements: Iterable[str]) -> Iterator[str]:
    """Yield `name==version` for each requirement; raises ValueError for one without a bound."""
    for requirement in requirements:
        found = _LOWEST.match(requirement)
        if found is None:
            raise ValueError(f"{requirement!r} in pyproject.toml has no lowest version (`>=`)")
        yield f"{found[1]}=={found[2]}"


def main(arguments: list[str]) -> int:
    """Install the lowest versions and return the exit code of the tests."""
    prepare_official()
    venv.create(VENV, clear=True, with_pip=True)
    needed = extras()
    bounds = lowest(chain(*needed.values()))
    BOUNDS.write_text("".join(f"{line}\n" for line in bounds), encoding="utf-8")
    package = f"{ROOT}[{','.join(filter(None, needed))}]"
    install = ("-m", "pip", "install", "--quiet")
    for words in (
        (*install, "--upgrade", "pip>=25.1"),  # the first with --group
        (*install, "--constraint", str(BOUNDS), "--editable", package, "--group", "dev"),
        ("-m", "pytest", *IN_PARALLEL, "-m", "not volume"),
    ):
        extra = arguments if "pytest" in words else []
        if code := subprocess.call([str(PYTHON), *words, *extra], cwd=ROOT):
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
