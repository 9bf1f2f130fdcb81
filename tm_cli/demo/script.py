"""The demo's steps: command lines as a user would type them, with their expected exit codes."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from tm_cli.demo.target import DemoService
from tm_cli.exit_codes import ExitCode
from tm_cli.runtime import child_environment

DOCUMENT = "checkout.yaml"
PLACEHOLDER = "http://localhost:8080"
USUAL_DELAY = 0.100
SLOWER_DELAY = 0.180
"""Seconds; far enough apart that the noise of a busy machine cannot blur the difference."""

ATTEMPTS = 3
DISTURBED = (ExitCode.OK, ExitCode.WARN, ExitCode.FAIL)
"""What a step may end with because of other work on the machine; anything else is not retried."""

GATE = f"tm runs start {DOCUMENT} --wait --fail-on FAIL,WARN"


@dataclass(frozen=True, slots=True)
class DemoStep:
    """A line of text, the service's delay in seconds, the command and its exit code."""

    text: str
    delay: float
    command: str
    expected: ExitCode


STEPS = (
    DemoStep(
        "A first run: there is nothing to compare it with, and the gate lets that pass.",
        USUAL_DELAY,
        GATE,
        ExitCode.OK,
    ),
    DemoStep(
        "The same again: nothing has changed, the gate passes.", USUAL_DELAY, GATE, ExitCode.OK
    ),
    DemoStep(
        f"Now the service takes {SLOWER_DELAY * 1000:.0f} ms instead of "
        f"{USUAL_DELAY * 1000:.0f} ms: the gate fails.",
        SLOWER_DELAY,
        GATE,
        ExitCode.FAIL,
    ),
    DemoStep("All of it is in the history.", USUAL_DELAY, "tm history list", ExitCode.OK),
)


def run(directory: Path, environ: Mapping[str, str], write: Callable[[str], None]) -> bool:
    """Run every step in `directory`; True if each returned the expected exit code."""
    with DemoService(delay=USUAL_DELAY) as target:
        document = directory / DOCUMENT
        document.write_text(_example().replace(PLACEHOLDER, target.url), encoding="utf-8")
        (directory / "tm.toml").touch()  # so that none further up counts
        write(f"A small service listens at {target.url}; {DOCUMENT} describes a load test of it.")
        return all(run_step(step, target, directory, environ, write) for step in STEPS)


def run_step(
    step: DemoStep,
    target: DemoService,
    directory: Path,
    environ: Mapping[str, str],
    write: Callable[[str], None],
) -> bool:
    """Run a step, with retries; True if it returned the expected exit code."""
    target.delay = step.delay
    write(f"\n{step.text}")
    for attempt in range(1, ATTEMPTS + 1):
        code = _exit_code(step, directory, environ, write)
        if code == step.expected:
            write(f"exit code {code}")
            return True
        write(f"exit code {code}, but it should be {int(step.expected)}")
        if code not in DISTURBED:
            return False
        if attempt < ATTEMPTS:
            write("\nOther work on this machine can disturb a short load test: trying once more.")
    return False


def _exit_code(
    step: DemoStep, directory: Path, environ: Mapping[str, str], write: Callable[[str], None]
) -> int:
    write(f"$ {step.command}")
    return subprocess.call(  # noqa: S603
        [*child_environment.command("tm_cli"), *shlex.split(step.command)[1:]],
        cwd=directory,
        env=child_environment.environment(
            environ, (*child_environment.TERMINAL, *child_environment.OWNERS)
        )
        | {"TM_BASE_URL": "local"},
    )


def _example() -> str:
    """The document from `examples/`, which an installed package carries inside."""
    inside = resources.files("tm_cli") / "examples" / DOCUMENT
    if inside.is_file():
        return inside.read_text(encoding="utf-8")
    checkout = Path(__file__).resolve().parents[2] / "examples" / DOCUMENT
    return checkout.read_text(encoding="utf-8")
