"""How pipelines call tm: a shell or make in between may lose its exit code."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

Why = Callable[[Mapping[str, str]], str | None]


def shell_status(words: Sequence[str], _directory: Path) -> list[str]:
    """Call it in a shell that keeps `$?` and ends with it."""
    return ["sh", "-c", '"$@"; code=$?; echo "tm ended with $code"; exit "$code"', "sh", *words]


def shell_script(words: Sequence[str], directory: Path) -> list[str]:
    """Call it in a script that ends at the first failure."""
    script = directory / "gate.sh"
    script.write_text('set -e\n"$@"\necho "deployed"\n', encoding="utf-8")
    return ["sh", script.name, *words]


def pipe(words: Sequence[str], _directory: Path) -> list[str]:
    """Pipe its output into another program, as with `shell: bash` on GitHub."""
    return ["bash", "-eo", "pipefail", "-c", '"$@" | cat', "bash", *words]


def makefile(words: Sequence[str], directory: Path) -> list[str]:
    """Call it in the recipe of a target that another one needs."""
    recipe = shlex.join(words).replace("$", "$$")
    text = f".PHONY: gate deploy\ndeploy: gate\n\t@echo deployed\ngate:\n\t@{recipe}\n"
    (directory / "Makefile").write_text(text, encoding="utf-8")
    return ["make", "deploy"]


def unless_installed(program: str) -> Why:
    """Skip the scenario where this POSIX program is not installed."""

    def skip_reason(environ: Mapping[str, str]) -> str | None:
        if os.name == "nt":
            return f"{program} is for POSIX systems"
        found = shutil.which(program, path=environ.get("PATH"))
        return None if found else f"there is no {program} here"

    return skip_reason
