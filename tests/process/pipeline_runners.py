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

from tests.process.action.composite_runner import Runner
from tests.process.action.expressions import fill_in
from tests.simulation.httpx_seam import CANARY as KEY


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
        _script(
            tools / "python",
            f'echo "$@ key=$TM_API_KEY wheels=$PIP_ONLY_BINARY" >> "{self.root / "pip.log"}"\n',
        )
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

    def restore(self, keys: list[str], workspace: Path, *, exact: bool = False) -> dict[str, str]:
        """Bring the newest entry whose key begins with one of `keys`, or is one."""
        for wanted in keys:
            for key in reversed(self.cache):
                if key == wanted or (key.startswith(wanted) and not exact):
                    shutil.copytree(self.cache[key], workspace, dirs_exist_ok=True)
                    return {}
        return {}

    def save(self, key: str, pattern: str, workspace: Path) -> dict[str, str]:
        kept = self.root / f"cache-{len(list(self.root.glob('cache-*')))}"
        for path in workspace.glob(pattern):
            place = kept / path.relative_to(workspace)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
        if kept.exists():
            self.cache[key] = kept
        return {}


@dataclass(frozen=True)
class Job:
    """How a job ended: the code of the step that failed, else 0, and everything printed."""

    code: int
    output: str


def run_github(
    path: Path, platform: Platform, *, event: str, ref: str, base: str = "", run_id: str = "1"
) -> Job:
    """Run the one job of a workflow, whose action is that of this repository."""
    workspace = path.parents[2]
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    [(name, job)] = workflow["jobs"].items()
    [step] = [step for step in job["steps"] if "tm@" in step["uses"]]
    github = {
        "event_name": event,
        "token": "ghs_0123456789",
        "event": {"repository": {"default_branch": "main"}},
    }
    pulls = event == "pull_request"
    environ = platform.environ(
        {
            **{key: str(value) for key, value in step.get("env", {}).items()},
            "GITHUB_WORKSPACE": str(workspace),
            "GITHUB_JOB": name,
            "GITHUB_REF": f"refs/{'pull' if pulls else 'heads'}/{ref}",
            "GITHUB_BASE_REF": base,
            "GITHUB_RUN_ID": run_id,
        }
    )
    temp = platform.root / "temp"
    temp.mkdir(exist_ok=True)
    contexts = {"github": github, "secrets": {"TM_API_KEY": KEY}}
    given = {key.replace("-", "_"): fill_in(str(v), contexts) for key, v in step["with"].items()}
    stand_ins = {
        "Find Python": lambda _given: {},
        "Install tm": lambda _given: {"tm": str(platform.root / "tools" / "tm")},
        "Fetch the history": lambda given: platform.restore(
            [given["key"], *given["restore-keys"].split()], workspace
        ),
        "Keep the history": lambda given: platform.save(given["key"], given["path"], workspace),
    }
    result = Runner(workspace, temp, environ, github, stand_ins).run(**given)
    failed = [step.code or 1 for step in result.steps.values() if step.outcome == "failure"]
    return Job(failed[0] if failed else 0, result.log)


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
        key = _expanded(cache["key"], environ)
        platform.restore([key], workspace, exact=True)
    ended = _bash("\n".join(job["script"]), workspace, environ)
    if "after_script" in job:
        _bash("\n".join(job["after_script"]), workspace, environ)
    if cache:
        assert ended.returncode == 0 or cache["when"] == "always"
        platform.save(_expanded(cache["key"], environ), cache["paths"][0], workspace)
    return Job(ended.returncode, ended.stdout)


def _expanded(key: str, environ: dict[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda found: environ.get(found[1], ""), key)


def gitlab_color(path: Path, code: int) -> str:
    """What GitLab makes of a job's exit code: green, orange or red."""
    job = yaml.safe_load(path.read_text(encoding="utf-8"))["load-test"]
    soft = (job.get("allow_failure") or {}).get("exit_codes", [])
    return "green" if code == 0 else "orange" if code in soft else "red"


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
