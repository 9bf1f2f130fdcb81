"""Reads pipelines of GitLab."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tm_cli.exit_codes import ExitCode
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

_NOT_JOBS = frozenset({"default", "include", "stages", "variables", "workflow", "spec"})
_RUNNER = Shell(stops=True, pipefail=True)
"""The runner turns both on, and all lines of a job are one script."""
_SOFT = (int(ExitCode.WARN), int(ExitCode.NO_BASELINE))
_DEEPEST = 10


def gitlab_jobs(pipeline: Mapping[Any, Any]) -> Iterator[Job]:
    """Return the jobs of a pipeline."""
    jobs = {name: job for name, job in tables(pipeline).items() if name not in _NOT_JOBS}
    shared = texts(pipeline.get("variables"))
    usual = {**_shared_keys(pipeline), **_shared_keys(table(pipeline.get("default")))}
    extended = {name for job in jobs.values() for name in lines(job.get("extends"))}
    for name in jobs:
        if not (name.startswith(".") and name in extended):  # else checked where it is used
            yield _job(name, {**usual, **_whole(name, jobs)}, shared)


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


def _job(name: str, job: Mapping[str, Any], shared: Mapping[str, str]) -> Job:
    script = "\n".join([*lines(job.get("before_script")), *lines(job.get("script"))])
    late = "\n".join(lines(job.get("after_script")))
    rules = job.get("rules")
    levels = [job, *(rule for rule in lists(rules) if isinstance(rule, Mapping))]
    never = tuple(_never(name, levels))
    return Job(
        name,
        (
            Script(script, _RUNNER),
            Script(late, _RUNNER, lost="after_script drops the exit code of a gate"),
        ),
        environ={**shared, **texts(job.get("variables"))},
        remarks=(*never, *(remark for level in levels for remark in _forgiven(level)), *_kept(job)),
        runs=not never,
    )


def lists(value: Any) -> list[Any]:
    """Return a list, an empty one for anything else."""
    return value if isinstance(value, list) else []


def _never(name: str, levels: list[Mapping[str, Any]]) -> Iterator[Remark]:
    """Whether the job never runs; `levels` are the job and its rules."""
    job, *rules = levels
    if name.startswith("."):
        yield problem("it never runs: the name of the job begins with a dot")
    elif job.get("when") == "never" or (
        rules and all(rule.get("when", job.get("when")) == "never" for rule in rules)
    ):
        yield problem("it never runs: `when: never`")


def _forgiven(level: Mapping[str, Any]) -> Iterator[Remark]:
    """What a job or a rule says about a failure, and about when it runs."""
    allowed = level.get("allow_failure", False)
    if isinstance(allowed, Mapping):
        codes = allowed.get("exit_codes")
        for code in codes if isinstance(codes, list) else [codes]:
            if code not in _SOFT:
                yield problem(f"allow_failure lets exit code {code} pass; only 3 and 4 are mild")
    elif allowed is not False:
        yield problem("allow_failure makes every exit code a success")
    if level.get("when") == "manual":
        yield warning("it runs only by hand, `when: manual`")


def _kept(job: Mapping[str, Any]) -> Iterator[Remark]:
    caches = job.get("cache")
    for kept in [*(caches if isinstance(caches, list) else [caches]), job.get("artifacts")]:
        yield from key_in_paths(lines(table(kept).get("paths")))
