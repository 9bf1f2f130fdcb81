"""Looks at pipelines: whether their commands exist, gate, and get a server and a key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import typer

from tm_cli.commands.setup_values import (
    action_call,
    complaint,
    leaf,
    verdict_remark,
    wrong_values,
)
from tm_cli.errors import TmError
from tm_cli.scaffold import gitlab, make
from tm_cli.scaffold.calls import Call
from tm_cli.scaffold.findings import Finding
from tm_cli.scaffold.found import read_pipeline
from tm_cli.scaffold.includes import include_line, includes
from tm_cli.scaffold.make_steps import gate_targets
from tm_cli.scaffold.packages import remark_on_package
from tm_cli.scaffold.steps import Step
from tm_cli.scaffold.variables import key_finding, server_finding
from tm_cli.scaffold.writing import read_text
from tm_cli.settings import Settings
from tm_cli.systems.trafficmorph.profile_documents import names_document

_PLACES = (
    ".github/workflows/*.yml",
    ".github/workflows/*.yaml",
    gitlab.PATH,
    ".gitlab/*.yml",
    *make.MAKEFILES,
    "*.mk",
)


@dataclass(frozen=True, slots=True)
class Pipelines:
    """The findings, and the profile documents that gates name, relative to the directory.

    Each document comes with the server that is asked for its load, None where that is not known.
    """

    findings: list[Finding]
    named: dict[str, str | None]


def check_pipelines(cwd: Path, tree: Any, settings: Settings | None) -> Pipelines:
    """Look at every pipeline that is there."""
    findings: list[Finding] = []
    named: dict[str, str | None] = {}
    gates = 0
    paths = _paths(cwd)
    for path in paths:
        try:
            steps = read_pipeline(path, read_text(cwd, path) or "", _targets(cwd, paths))
        except (ValueError, TmError) as problem:
            findings.append(Finding.problem(path, f"cannot be read: {problem}"))
            continue
        if not steps:
            continue
        gates += sum(step.gates * step.runs + len(step.doubts) for step in steps)
        found = [finding for step in steps for finding in _step(path, step, tree, settings)]
        findings += found or [Finding.ok(path, _story(steps))]
        findings += _joined(cwd, path)
        for step in steps:
            named |= dict.fromkeys(_named(step, tree), _server(step, settings))
            findings += _variables(path, step, settings)
    if not gates:
        findings.append(
            Finding.problem("pipeline", "nothing here runs a gate, `tm runs start PROFILE --wait`")
        )
    return Pipelines(list(dict.fromkeys(findings)), named)


def _paths(cwd: Path) -> list[str]:
    found = {
        path.resolve(): path.relative_to(cwd).as_posix()
        for pattern in _PLACES
        for path in sorted(cwd.glob(pattern))
        if path.is_file()
    }
    return list(found.values())  # a disk that ignores case finds one makefile under two names


def _targets(cwd: Path, paths: Sequence[str]) -> frozenset[str]:
    """The targets of make that run a gate."""
    texts = []
    for path in paths:
        if not path.endswith((".yml", ".yaml")):
            try:
                texts.append(read_text(cwd, path) or "")
            except TmError:
                continue  # said where the makefile itself is looked at
    return gate_targets(texts)


def _story(steps: list[Step]) -> str:
    gates, calls = sum(step.gates for step in steps), sum(len(step.calls) for step in steps)
    plural = "" if gates == 1 else "s"
    return f"{gates} gate{plural}; {calls} command{'' if calls == 1 else 's'} of tm, all known"


def _step(path: str, step: Step, tree: Any, settings: Settings | None) -> Iterator[Finding]:
    what = f"{path}: {step.place}"
    for call in step.calls:
        said = f"`{'make' if call.is_make else 'tm'} {' '.join(call.words)}`"
        if problem := complaint(tree, call):
            yield Finding.problem(what, f"{said} is not taken: {problem}")
        elif call.is_gate:
            if call.lost:
                yield Finding(call.lost.status, what, f"{said}: {call.lost.message}")
            if call.is_of_runs:
                for wrong in _values(call, step, settings):
                    yield Finding.problem(what, f"{said} {wrong}")
    if step.inputs is not None:
        named = step.environ.get("TM_FAIL_ON") or (settings and settings.value("fail_on"))
        action = action_call(step.inputs, usual="" if named else "FAIL")
        for wrong in _values(action, step, settings):
            yield Finding.problem(what, f"the action {wrong}")
    yield from (doubt.at(what) for doubt in step.doubts)
    if step.gates:
        yield from (remark.at(what) for remark in step.remarks)


def _values(call: Call, step: Step, settings: Settings | None) -> Iterator[str]:
    """Say what is wrong with the values of a gate on runs."""
    for wrong in wrong_values(call, step.environ):
        yield f"is not taken: {wrong}"
    if remark := verdict_remark(call, step.environ, settings):
        yield remark


def _named(step: Step, tree: Any) -> set[str]:
    """The profile documents of gates, as far as they stand in the line."""
    subjects: list[str] = (step.inputs or {}).get("profile", "").split()
    for call in step.calls:
        if call.is_gate and call.is_of_runs and not call.is_open:
            try:
                node, rest = leaf(tree, call.words)
                profile = node.make_context("tm", rest, obj=None).params.get("profile") or ()
            except (typer.TyperException, KeyError):
                continue
            subjects += [profile] if isinstance(profile, str) else profile
    return {
        str(PurePosixPath(step.directory) / name)
        for name in subjects
        if names_document(name) and "$" not in name
    }


def _joined(cwd: Path, path: str) -> Iterator[Finding]:
    """A file that others have to include."""
    if path.startswith(".gitlab/"):
        others = [gitlab.PATH, *(other for other in _paths(cwd) if other.startswith(".gitlab/"))]
    elif path.endswith(".mk"):
        others = [other for other in _paths(cwd) if other in make.MAKEFILES or other[-3:] == ".mk"]
    else:
        return
    if not any(includes(read_text(cwd, other) or "", path) for other in others):
        what = gitlab.PATH if path.startswith(".gitlab/") else make.PATH
        yield Finding.problem(what, f"does not include {path}; add: {include_line(path)}")


def _server(step: Step, settings: Settings | None) -> str | None:
    server = (step.inputs or {}).get("base-url") or step.environ.get("TM_BASE_URL")
    if not server and settings is not None:
        server = settings.value("base_url")
    return server or None


def _variables(path: str, step: Step, settings: Settings | None) -> Iterator[Finding]:
    if step.inputs is None and not any(call.is_gate and call.is_of_runs for call in step.calls):
        return
    environ = dict(step.environ)
    if "api-key" in (step.inputs or {}):
        environ["TM_API_KEY"] = (step.inputs or {})["api-key"]
    server = _server(step, settings)
    if remark := remark_on_package(step, server):
        yield remark.at(f"{path}: {step.place}")
    for finding in (server_finding(path, server), key_finding(path, server, environ)):
        if finding is not None:
            yield finding
