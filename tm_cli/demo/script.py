"""The demo's steps: each is a command line as a user would type it, and the code it must return."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from tm_cli.demo.target import Target
from tm_cli.exit_codes import ExitCode
from tm_cli.runtime import child_environment

DOCUMENT = "checkout.yaml"
PLACEHOLDER = "http://localhost:8080"
USUAL_DELAY = 0.100
SLOWER_DELAY = 0.180
"""Seconds; far enough apart that the noise of a busy machine cannot blur the difference."""

ATTEMPTS = 3

GATE = f"tm runs start {DOCUMENT} --wait --fail-on FAIL,WARN"


@dataclass(frozen=True, slots=True)
class Step:
    """What is told, the service's delay in seconds, the command and its exit code."""

    story: str
    delay: float
    command: str
    expected: ExitCode


STEPS = (
    Step(
        "A first run: there is nothing to compare it with, and the gate lets that pass.",
        USUAL_DELAY,
        GATE,
        ExitCode.OK,
    ),
    Step("The same again: nothing has changed, the gate passes.", USUAL_DELAY, GATE, ExitCode.OK),
    Step(
        f"Now the service takes {SLOWER_DELAY * 1000:.0f} ms instead of "
        f"{USUAL_DELAY * 1000:.0f} ms: the gate fails.",
        SLOWER_DELAY,
        GATE,
        ExitCode.FAIL,
    ),
    Step("All of it is in the history.", USUAL_DELAY, "tm history list", ExitCode.OK),
)


def play(directory: Path, environ: Mapping[str, str], say: Callable[[str], None]) -> bool:
    """Run every step in `directory`; whether each returned the code it must return."""
    with Target(delay=USUAL_DELAY) as target:
        document = directory / DOCUMENT
        document.write_text(_example().replace(PLACEHOLDER, target.url), encoding="utf-8")
        (directory / "tm.toml").touch()  # so that none further up counts
        say(f"A small service listens at {target.url}; {DOCUMENT} describes a load test of it.")
        return all(_plays(step, target, directory, environ, say) for step in STEPS)


def _plays(
    step: Step,
    target: Target,
    directory: Path,
    environ: Mapping[str, str],
    say: Callable[[str], None],
) -> bool:
    """Whether the command returns its code, where need be when it is played again."""
    target.delay = step.delay
    say(f"\n{step.story}")
    for attempt in range(1, ATTEMPTS + 1):
        code = _returned(step, directory, environ, say)
        if code == step.expected:
            say(f"exit code {code}")
            return True
        say(f"exit code {code}, but it should be {int(step.expected)}")
        if attempt < ATTEMPTS:
            say("\nOther work on this machine can do that to a short load test: once more.")
    return False


def _returned(
    step: Step, directory: Path, environ: Mapping[str, str], say: Callable[[str], None]
) -> int:
    say(f"$ {step.command}")
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
    beside = Path(__file__).resolve().parents[2] / "examples" / DOCUMENT
    return beside.read_text(encoding="utf-8")
