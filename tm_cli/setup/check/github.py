"""Reads workflows of GitHub."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tm_cli.setup.check.model import (
    Job,
    Remark,
    Script,
    Shell,
    key_in_paths,
    lines,
    problem,
    table,
    tables,
    texts,
    warning,
)

_ACTION = re.compile(r"[\w.-]+/tm@.+|\./")
_BY_ITSELF = frozenset({"push", "pull_request", "pull_request_target", "merge_group", "schedule"})
_ALWAYS = frozenset({"true", "always()", "success()", "!cancelled()", "success() || failure()"})
_NEVER = frozenset({"false", "0", "''", "null"})


def github_jobs(workflow: Mapping[Any, Any]) -> Iterator[Job]:
    """Return the steps of a workflow, each as a job of its own with the name of its job."""
    started = tuple(_started(workflow))
    for name, job in tables(workflow.get("jobs")).items():
        given = job.get("steps")
        steps = (
            [step for step in given if isinstance(step, Mapping)]
            if (isinstance(given, list))
            else []
        )
        of_job = (*started, *_conditions(job), *_kept(steps))
        for step in steps:
            levels = (workflow, job, step)
            directory = step.get("working-directory") or _default("working-directory", *levels)
            yield Job(
                name,
                (Script(str(step.get("run") or ""), _shell(*levels)),),
                environ={key: text for level in levels for key, text in _environ(level)},
                remarks=(*of_job, *_conditions(step)),
                inputs=_inputs(step),
                directory=str(directory or "."),
                runs=_condition(job) not in _NEVER and _condition(step) not in _NEVER,
            )


def _environ(level: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    yield from texts(level.get("env")).items()


def _shell(workflow: Mapping[Any, Any], job: Mapping[Any, Any], step: Mapping[Any, Any]) -> Shell:
    """What the runner makes of `shell`; without one, `bash -e`, but on Windows PowerShell."""
    name = str(step.get("shell") or _default("shell", workflow, job) or "")
    if not name:
        on_windows = "windows" in str(job.get("runs-on")).lower()
        return Shell(stops=not on_windows, is_posix=not on_windows)
    if name in {"bash", "sh"}:
        return Shell(stops=True, pipefail=name == "bash")
    words = name.split()
    is_posix = any(re.search(r"(?:^|/)(?:ba|da|z|k)?sh$", word) for word in words)
    stops = any(re.fullmatch(r"-[a-z]*e[a-z]*", word) for word in words) or "errexit" in words
    return Shell(stops=stops, pipefail="pipefail" in words, is_posix=is_posix)


def _default(key: str, *levels: Mapping[Any, Any]) -> str:
    for level in reversed(levels):
        run = table(table(level.get("defaults")).get("run"))
        if key in run:
            return str(run[key])
    return ""


def _started(workflow: Mapping[Any, Any]) -> Iterator[Remark]:
    """Whether anything starts it; YAML reads the word `on` as true."""
    events = workflow.get("on", workflow.get(True))
    if not events:
        yield problem("it never runs: the workflow has no `on:`")
        return
    names = set(map(str, events)) if isinstance(events, (list, Mapping)) else {str(events)}
    if not names & _BY_ITSELF:
        yield warning(f"it runs only on {', '.join(sorted(names))}")


def _conditions(level: Mapping[str, Any]) -> Iterator[Remark]:
    """What a job or a step says about its failure, and about when it runs."""
    if level.get("continue-on-error", False) is not False:
        yield problem("continue-on-error makes every exit code a success")
    if (text := _condition(level)) in _NEVER:
        yield problem("it never runs: `if: false`")
    elif text and text not in _ALWAYS:
        yield warning(f"it runs only if {text}")


def _condition(level: Mapping[str, Any]) -> str:
    if level.get("if") is None:
        return ""
    text = " ".join(str(level["if"]).split())
    found = re.fullmatch(r"\$\{\{(.*)\}\}", text)
    inner = (found[1] if found else text).strip()
    return inner.lower() if inner.lower() in {"true", "false"} else inner


def _inputs(step: Mapping[str, Any]) -> dict[str, str] | None:
    if not _ACTION.fullmatch(str(step.get("uses") or "")):
        return None
    given = {str(name): str(value) for name, value in table(step.get("with")).items()}
    return given if "profile" in given else None


def _kept(steps: list[Mapping[str, Any]]) -> Iterator[Remark]:
    for step in steps:
        if str(step.get("uses") or "").startswith(("actions/cache", "actions/upload-artifact")):
            texts_of_paths = lines(table(step.get("with")).get("path"))
            yield from key_in_paths(path for text in texts_of_paths for path in text.splitlines())
