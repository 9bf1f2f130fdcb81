"""A model of how GitHub's runner carries out a composite action.

It evaluates `env`, `with` and `if`, runs the scripts in a real bash as the runner calls it, and
reads the files that they write. Other actions are not run: what they were given is kept, and a
stand-in may act for them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.process.action.expressions import Contexts, fill_in, holds
from tests.simulation.github_runner import commands

ACTION = Path(__file__).resolve().parents[3] / "action.yml"
BASH = ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail")
LONGEST = 60.0

Outputs = dict[str, str]
StandIn = Callable[[Mapping[str, str]], Outputs]
"""Takes what a step was given (`with`, or `env` of a script), returns the step's outputs."""


def action() -> dict[str, Any]:
    """The action as it is written."""
    return yaml.safe_load(ACTION.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Step:
    """What became of a step; a step that did not run is `skipped` and was given nothing."""

    name: str
    outcome: str
    code: int = 0
    log: str = ""
    outputs: Outputs = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)
    summary: str = ""


@dataclass(frozen=True)
class Result:
    """What a job sees of the action."""

    conclusion: str
    outputs: Outputs
    steps: Mapping[str, Step]

    @property
    def summary(self) -> str:
        return "".join(step.summary for step in self.steps.values())

    @property
    def log(self) -> str:
        return "".join(step.log for step in self.steps.values())

    @property
    def commands(self) -> list[str]:
        """What the runner would obey."""
        return list(commands(self.log))

    def ran(self) -> list[str]:
        return [name for name, step in self.steps.items() if step.outcome != "skipped"]


@dataclass
class Runner:
    """One job on one machine: `workspace` and `temp` are directories, `env` is the job's own."""

    workspace: Path
    temp: Path
    env: Mapping[str, str] = field(default_factory=dict)
    github: Mapping[str, Any] = field(default_factory=dict)
    stand_ins: Mapping[str, StandIn] = field(default_factory=dict)
    matrix: Mapping[str, Any] | None = None
    watch: Callable[[str, subprocess.Popen[str]], None] | None = None
    """Called with the name and the process of each script as soon as it runs."""

    def run(self, **given: str) -> Result:
        """Use the action with these inputs, written with underscores."""
        text = action()
        contexts = {
            "github": self.github,
            "env": self.env,
            "matrix": self.matrix,
            "runner": {"temp": str(self.temp)},
        }
        inputs = {
            name: given.pop(name.replace("-", "_"))
            if name.replace("-", "_") in given
            else fill_in(_text(entry.get("default", "")), contexts)
            for name, entry in text["inputs"].items()
        }
        assert not given, f"no such inputs: {given}"
        steps: dict[str, Step] = {}
        known: dict[str, dict[str, Any]] = {}
        failed = False
        for number, entry in enumerate(text["runs"]["steps"]):
            full = {**contexts, "inputs": inputs, "steps": known}
            step = self._step(number, entry, full, failed=failed)
            steps[step.name] = step
            if "id" in entry:
                known[entry["id"]] = {"outcome": step.outcome, "outputs": step.outputs}
            failed |= step.outcome == "failure" and not entry.get("continue-on-error")
        full = {**contexts, "inputs": inputs, "steps": known}
        outputs = {name: fill_in(out["value"], full) for name, out in text["outputs"].items()}
        return Result("failure" if failed else "success", outputs, steps)

    def _step(self, number: int, entry: Any, contexts: Contexts, *, failed: bool) -> Step:
        name = entry["name"]
        if not holds(entry.get("if"), contexts, failed=failed):
            return Step(name, "skipped")
        field_name = "with" if "uses" in entry else "env"
        given = {key: fill_in(_text(v), contexts) for key, v in entry.get(field_name, {}).items()}
        stand_in = self.stand_ins.get(name)
        if stand_in is not None:
            try:
                return Step(name, "success", outputs=stand_in(given), given=given)
            except OSError as problem:
                return Step(name, "failure", code=1, log=f"{problem}\n", given=given)
        if "uses" in entry:
            return Step(name, "success", given=given)
        return self._script(number, name, entry, given)

    def _script(self, number: int, name: str, entry: Any, given: Mapping[str, str]) -> Step:
        assert entry["shell"] == "bash"
        place = self.temp / f"{number:02}"
        files = {kind: place.with_suffix(f".{kind}") for kind in ("output", "summary", "env")}
        for path in files.values():
            path.write_text("", encoding="utf-8")
        script = place.with_suffix(".sh")
        script.write_text(entry["run"], encoding="utf-8")
        process = subprocess.Popen(
            [*BASH, str(script)],
            cwd=self.workspace,
            env={**self._environ(files), **given},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
        )
        try:
            if self.watch is not None:
                self.watch(name, process)
            log, _ = process.communicate(timeout=LONGEST)
        finally:
            process.kill()
        code = process.returncode
        outcome = "failure" if code else "success"
        assert not read(files["env"]), "nothing may reach later steps through GITHUB_ENV"
        outputs = read_outputs(read(files["output"]))
        return Step(name, outcome, code, log, outputs, given, read(files["summary"]))

    def _environ(self, files: Mapping[str, Path]) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.temp),
            "TM_CONFIG_DIR": str(self.temp / "config"),
            "TM_STATE_DIR": str(self.temp / "state"),
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(ACTION.parent),
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_RUN_ID": "4711",
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_OUTPUT": str(files["output"]),
            "GITHUB_STEP_SUMMARY": str(files["summary"]),
            "GITHUB_ENV": str(files["env"]),
            "RUNNER_OS": "Linux",
            "RUNNER_ARCH": "X64",
            "RUNNER_TEMP": str(self.temp),
            **self.env,
        }


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="surrogateescape")


def read_outputs(text: str) -> Outputs:
    """What `name=value` lines and `name<<END` blocks say; a later value replaces an earlier."""
    outputs: Outputs = {}
    lines = iter(re.split(r"\r\n|\n", text.removesuffix("\n")) if text else ())
    for line in lines:
        equals, block = line.find("="), line.find("<<")
        if block >= 0 and not 0 <= equals < block:
            name, end = line[:block], line[block + 2 :]
            value = []
            while (inner := next(lines, None)) != end:
                if inner is None:
                    raise ValueError(f"the block of {name} has no end")
                value.append(inner)
            outputs[name] = "\n".join(value)
        elif equals > 0:
            outputs[line[:equals]] = line[equals + 1 :]
        elif line:
            raise ValueError(f"no output: {line}")
    return outputs


def has_bash() -> bool:
    """Whether scripts can be run here; on Windows, `bash` may be another system's."""
    return os.name != "nt" and shutil.which("bash") is not None
