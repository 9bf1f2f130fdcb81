"""Small models of what GitHub and GitLab do with a job: steps, environment, cache, exit codes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import yaml

EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


@dataclass
class Platform:
    """What outlives a job: the cache, and what `tm` and `pip` are in its image.

    `tm` is a shell script; None takes the real one. `installed` lists what pip was asked for.
    Unless it `waits`, a pause takes no time.
    """

    root: Path
    tm: str | None = None
    waits: bool = True
    cache: dict[str, Path] = field(default_factory=dict)

    def environ(self, extra: dict[str, str]) -> dict[str, str]:
        tools = self.root / "tools"
        tools.mkdir(parents=True, exist_ok=True)
        real = f'exec "{sys.executable}" -m tm_cli "$@"\n'
        _script(tools / "tm", self.tm if self.tm is not None else real)
        if not self.waits:
            _script(tools / "sleep", "")
        _script(tools / "python", f'echo "$@" >> "{self.root / "pip.log"}"\n')
        paths = [str(tools), os.environ["PATH"]]
        source = str(Path(__file__).parents[2])
        return {
            "PATH": os.pathsep.join(paths),
            "HOME": str(self.root),
            "TM_CONFIG_DIR": str(self.root / "config"),
            "TM_STATE_DIR": str(self.root / "state"),
            "PYTHONPATH": source,
            "CI": "true",
            **extra,
        }

    @property
    def installed(self) -> list[str]:
        return (self.root / "pip.log").read_text(encoding="utf-8").splitlines()

    def restore(self, keys: list[str], workspace: Path) -> None:
        """Bring the newest entry whose key begins with one of `keys`."""
        for wanted in keys:
            for key in reversed(self.cache):
                if key.startswith(wanted):
                    shutil.copytree(self.cache[key], workspace, dirs_exist_ok=True)
                    return

    def save(self, key: str, pattern: str, workspace: Path) -> None:
        kept = self.root / f"cache-{len(self.cache)}"
        for path in workspace.glob(pattern):
            place = kept / path.relative_to(workspace)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
        if kept.exists():
            self.cache[key] = kept


@dataclass(frozen=True)
class Job:
    """How a job ended: the code of the step that failed, else 0, and everything printed."""

    code: int
    output: str


def run_github(
    path: Path, platform: Platform, *, event: str, ref: str, base: str = "", run_id: str = "1"
) -> Job:
    """Run the one job of a workflow in the directory of its repository."""
    workspace = path.parents[2]
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    [job] = workflow["jobs"].values()
    values = {
        "github.base_ref || github.ref_name": base or ref,
        "github.run_id": run_id,
        "github.run_attempt": "1",
        "!cancelled() && github.event_name != 'pull_request'": str(event != "pull_request"),
        "!cancelled() && steps.end.outputs.whole == 'true'": "False",
    }

    def evaluate(text: str) -> str:
        return EXPRESSION.sub(lambda found: _value(found[1], values), text)

    environ = platform.environ({name: evaluate(str(v)) for name, v in job.get("env", {}).items()})
    code, output = 0, ""
    for step in job["steps"]:
        condition = evaluate(str(step["if"])) if "if" in step else str(code == 0)
        if condition != "True":
            continue
        inputs = {name: evaluate(str(v)) for name, v in step.get("with", {}).items()}
        uses = step.get("uses", "")
        if "cache/restore@" in uses:
            platform.restore([inputs["key"], inputs["restore-keys"]], workspace)
        elif "cache/save@" in uses:
            platform.save(inputs["key"], inputs["path"], workspace)
        elif "run" in step:
            said = platform.root / "output"
            said.write_text("", encoding="utf-8")
            environ["GITHUB_OUTPUT"] = str(said)
            assert step["shell"] == "bash"
            assert "${{" not in step["run"], "an expression inside a script can inject into it"
            ended = _bash(step["run"], workspace, environ)
            code = code or ended.returncode
            output += ended.stdout
            whole = "whole=true" in said.read_text(encoding="utf-8").splitlines()
            if step.get("id") == "end":
                values["!cancelled() && steps.end.outputs.whole == 'true'"] = str(whole)
    return Job(code, output)


def run_gitlab(path: Path, workspace: Path, platform: Platform, variables: dict[str, str]) -> Job:
    """Run the one job of a pipeline, whose rules are not evaluated; `variables` are theirs."""
    [job] = (
        job
        for job in yaml.safe_load(path.read_text(encoding="utf-8")).values()
        if isinstance(job, dict) and "script" in job
    )
    environ = platform.environ({name: str(v) for name, v in job["variables"].items()} | variables)
    cache = job.get("cache")
    if cache:
        platform.restore([cache["key"]], workspace)
    ended = _bash("\n".join(job["script"]), workspace, environ)
    if "after_script" in job:
        _bash("\n".join(job["after_script"]), workspace, environ)
    if cache and environ.get("TM_CACHE_POLICY") == "pull-push":
        assert ended.returncode == 0 or cache["when"] == "always"
        platform.save(cache["key"], cache["paths"][0], workspace)
    return Job(ended.returncode, ended.stdout)


def gitlab_color(path: Path, code: int) -> str:
    """What GitLab makes of a job's exit code: green, orange or red."""
    job = yaml.safe_load(path.read_text(encoding="utf-8"))["load-test"]
    soft = (job.get("allow_failure") or {}).get("exit_codes", [])
    return "green" if code == 0 else "orange" if code in soft else "red"


def _value(expression: str, values: dict[str, str]) -> str:
    if found := re.fullmatch(r"vars\.\w+ \|\| '(.*)'", expression):
        return found[1]
    if found := re.fullmatch(r"secrets\.(\w+)", expression):
        return f"the-{found[1]}"
    return values[expression]


def _script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/bash\n{text}", encoding="utf-8")
    path.chmod(0o755)


def _bash(script: str, workspace: Path, environ: dict[str, str]) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=workspace,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
