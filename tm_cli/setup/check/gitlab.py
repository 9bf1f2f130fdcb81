"""Reads pipelines of GitLab. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from fnmatch import fnmatchcase
from typing import Any

from tm_cli.exit_codes import ExitCode
from tm_cli.setup.check.exit_code_flow import Shell
from tm_cli.setup.check.gate_commands import Step, find_calls
from tm_cli.setup.check.github import gitlab_remarks
from tm_cli.setup.check.model import Remark, Status, lines, table, tables, texts
from tm_cli.setup.documents import read_yaml

_NO_JOBS = frozenset({"default", "include", "stages", "variables", "workflow", "spec"})
_RUNNER = Shell(stops=True, pipefail=True)
"""The runner turns both on, and all lines of a job are one script."""
_MILD = (int(ExitCode.WARN), int(ExitCode.NO_BASELINE))
_DEEPEST = 10


def gitlab_steps(pipeline: Mapping[Any, Any], targets: Set[str]) -> Iterator[Step]:
    """Return the jobs of a pipeline; `targets` are those of make that run a gate."""
    jobs = {name: job for name, job in tables(pipeline).items() if name not in _NO_JOBS}
    shared = texts(pipeline.get("variables"))
    usual = {**_shared_keys(pipeline), **_shared_keys(table(pipeline.get("default")))}
    extended = {name for job in jobs.values() for name in lines(job.get("extends"))}
    for name in jobs:
        if name.startswith(".") and name in extended:
            continue  # looked at where it is used
        job = {**usual, **_whole(name, jobs)}
        yield _step(name, job, shared, targets)


def _shared_keys(level: Mapping[Any, Any]) -> dict[str, Any]:
    wanted = ("before_script", "after_script", "cache", "artifacts")
    return {key: level[key] for key in wanted if key in level}


def _whole(name: str, jobs: Mapping[str, Mapping[str, Any]], depth: int = 0) -> dict[str, Any]:
    """A job with what it extends; tables are joined, all else is replaced."""
    job = jobs.get(name, {})
    whole: dict[str, Any] = {}
    if depth < _DEEPEST:
        for parent in lines(job.get("extends")):
            whole = _joined(whole, _whole(parent, jobs, depth + 1))
    return _joined(whole, job)


def _joined(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        key: _joined(below[key], value)
        for key, value in above.items()
        if isinstance(value, Mapping) and isinstance(below.get(key), Mapping)
    }
    return {**below, **above, **both}


def _step(name: str, job: Mapping[str, Any], shared: Mapping[str, str], targets: Set[str]) -> Step:
    script = "\n".join([*lines(job.get("before_script")), *lines(job.get("script"))])
    calls, doubts = find_calls(script, _RUNNER, targets=targets)
    late, _ = find_calls("\n".join(lines(job.get("after_script"))), _RUNNER, targets=targets)
    never = tuple(_never(name, job))
    remarks = [*never, *_forgiven(job), *_by_hand(job), *gitlab_remarks(job)]
    if any(call.is_gate for call in late):
        doubts.append(Remark("after_script drops the exit code of a gate"))
    return Step(
        place=name,
        calls=tuple(calls),
        environ={**shared, **texts(job.get("variables"))},
        remarks=tuple(remarks),
        doubts=tuple(doubts),
        runs=not never,
        installs=(script,),
    )


def _levels(job: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The job and its rules, each of which may say how a failure is taken and when it runs."""
    rules = job.get("rules")
    found = [rule for rule in rules if isinstance(rule, Mapping)] if isinstance(rules, list) else []
    return [job, *found]


def _never(name: str, job: Mapping[str, Any]) -> Iterator[Remark]:
    rules = _levels(job)[1:]
    if name.startswith("."):
        yield Remark("it never runs: the name of the job begins with a dot")
    elif job.get("when") == "never" or (
        rules and all(rule.get("when", job.get("when")) == "never" for rule in rules)
    ):
        yield Remark("it never runs: `when: never`")


def _by_hand(job: Mapping[str, Any]) -> Iterator[Remark]:
    if any(level.get("when") == "manual" for level in _levels(job)):
        yield Remark("it runs only by hand, `when: manual`", Status.TODO)


def _forgiven(job: Mapping[str, Any]) -> Iterator[Remark]:
    for level in _levels(job):
        allowed = level.get("allow_failure", False)
        if isinstance(allowed, Mapping):
            yield from _forgiven_codes(allowed.get("exit_codes"))
        elif allowed is not False:
            yield Remark("allow_failure makes every exit code a success")


def _forgiven_codes(codes: Any) -> Iterator[Remark]:
    for code in codes if isinstance(codes, list) else [codes]:
        if code not in _MILD:
            yield Remark(f"allow_failure lets exit code {code} pass; only 3 and 4 are mild")


def include_line(path: str) -> str:
    """Return the line that takes in `path`."""
    return f"include: [{{local: {path}}}]" if path.endswith(".yml") else f"include {path}"


def includes(text: str, path: str) -> bool:
    """Whether the pipeline in `text` takes in `path`."""
    patterns = _of_gitlab(text) if path.endswith(".yml") else _of_make(text)
    return any(fnmatchcase(path, pattern.removeprefix("./").lstrip("/")) for pattern in patterns)


def _of_gitlab(text: str) -> Iterator[str]:
    try:
        document = read_yaml(text)
    except ValueError:
        return
    wanted: Any = document.get("include") if isinstance(document, Mapping) else None
    for item in wanted if isinstance(wanted, list) else [wanted]:
        local = item.get("local") if isinstance(item, Mapping) else item
        if isinstance(local, str):
            yield local


def _of_make(text: str) -> Iterator[str]:
    for line in re.findall(r"^ *[-s]?include\s+([^#\n]*)", text, re.MULTILINE):
        yield from line.split()
