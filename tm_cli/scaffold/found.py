"""Reads pipelines: which commands they run, with which variables. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tm_cli.scaffold.shell import Call, find_calls
from tm_cli.scaffold.yaml_text import read_yaml

_EXPORT = re.compile(r"^\s*export\s+(\w+)\s*[?:]?=\s*(.*?)\s*$", re.MULTILINE)
_VARIABLE = re.compile(r"\$[({](\w+)[)}]")
_ACTION = re.compile(r"[\w.-]+/tm@.+|\./")
_GITLAB_WORDS = frozenset({"default", "include", "stages", "variables", "workflow", "spec"})


@dataclass(frozen=True, slots=True)
class Step:
    """Calls of `tm` that share an environment; `place` names the job.

    `directory` is where they run, relative to the repository.
    `forgiven` says why the platform calls a failure a success, if it does; `inputs` are those of
    the GitHub action, where a step uses it.
    """

    place: str
    calls: tuple[Call, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
    forgiven: str | None = None
    inputs: Mapping[str, str] | None = None
    directory: str = "."


def read_pipeline(path: str, text: str) -> list[Step]:
    """Return the steps of a pipeline that call `tm`; raises ValueError when it is no YAML."""
    if not path.endswith((".yml", ".yaml")):
        return _makefile(text)
    document = read_yaml(text)
    if not isinstance(document, Mapping):
        return []
    steps = _github(document) if ".github/" in path else _gitlab(document)
    return [step for step in steps if step.calls or step.inputs is not None]


def _github(workflow: Mapping[str, Any]) -> Iterator[Step]:
    for name, job in _tables(workflow.get("jobs")).items():
        forgiven = _forgiving(job)
        for step in job.get("steps") or []:
            if not isinstance(step, Mapping):
                continue
            environ = {**_texts(workflow), **_texts(job), **_texts(step)}
            shell = str(step.get("shell") or _default("shell", workflow, job))
            script = str(step.get("run") or "")
            yield Step(
                place=str(name),
                calls=tuple(find_calls(script, pipefail=shell == "bash" or "pipefail" in script)),
                environ=environ,
                forgiven=forgiven or _forgiving(step),
                inputs=_inputs(step),
                directory=str(
                    step.get("working-directory")
                    or _default("working-directory", workflow, job)
                    or "."
                ),
            )


def _forgiving(table: Mapping[str, Any]) -> str | None:
    wanted = table.get("continue-on-error", False)
    return None if wanted is False else "continue-on-error makes every exit code a success"


def _default(key: str, *levels: Mapping[str, Any]) -> str:
    for level in reversed(levels):
        run = _table(_table(level.get("defaults")).get("run"))
        if key in run:
            return str(run[key])
    return ""


def _inputs(step: Mapping[str, Any]) -> dict[str, str] | None:
    if not _ACTION.fullmatch(str(step.get("uses") or "")):
        return None
    given = {str(name): str(value) for name, value in _table(step.get("with")).items()}
    return given if "profile" in given else None


def _gitlab(pipeline: Mapping[str, Any]) -> Iterator[Step]:
    shared = _texts(pipeline, "variables")
    for name, job in _tables(pipeline).items():
        if name in _GITLAB_WORDS:
            continue
        lines = [*_lines(job.get("before_script")), *_lines(job.get("script"))]
        script = "\n".join(lines)
        yield Step(
            place=str(name),
            calls=tuple(find_calls(script, pipefail=True)),  # the runner turns it on
            environ={**shared, **_texts(job, "variables")},
            forgiven="allow_failure makes every exit code a success"
            if job.get("allow_failure") is True
            else None,
        )


def _lines(script: Any) -> Iterator[str]:
    if isinstance(script, str):
        yield script
    elif isinstance(script, list):
        for item in script:
            yield from _lines(item)


def _makefile(text: str) -> list[Step]:
    variables = dict(_EXPORT.findall(text))
    recipe = "\n".join(
        _VARIABLE.sub(lambda found: "tm" if found[1] == "TM" else f"${found[1]}", line.lstrip())
        for line in text.replace("\\\n", " ").splitlines()
        if line.startswith("\t")
    )
    forgiven = None
    kept = []
    for line in recipe.splitlines():
        bare = line.lstrip("@+-")
        if "-" in line[: len(line) - len(bare)] and list(find_calls(bare)):
            forgiven = "a `-` before the command makes every exit code a success"
        kept.append(bare)
    calls = tuple(find_calls("\n".join(kept)))
    return [Step("make", calls, variables, forgiven)] if calls else []


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _tables(value: Any) -> dict[str, Mapping[str, Any]]:
    return {str(key): item for key, item in _table(value).items() if isinstance(item, Mapping)}


def _texts(level: Mapping[str, Any], key: str = "env") -> dict[str, str]:
    """Variables as texts; GitLab's may be tables with a `value`."""
    found = {}
    for name, value in _table(level.get(key)).items():
        plain = value.get("value") if isinstance(value, Mapping) else value
        found[str(name)] = str(plain).lower() if isinstance(plain, bool) else str(plain)
    return found
