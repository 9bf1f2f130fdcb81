"""Looks at pipelines: whether their commands exist, gate, and get a server and a key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import typer

from tm_cli.errors import TmError
from tm_cli.scaffold import gitlab, make
from tm_cli.scaffold.findings import Finding
from tm_cli.scaffold.found import Step, read_pipeline
from tm_cli.scaffold.shell import Call
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


def check_pipelines(
    cwd: Path, tree: Any, settings: Settings | None
) -> tuple[list[Finding], set[str]]:
    """Return the findings, and the profile documents that gates name, relative to `cwd`."""
    findings: list[Finding] = []
    named: set[str] = set()
    gates = 0
    for path in _paths(cwd):
        try:
            steps = read_pipeline(path, read_text(cwd, path) or "")
        except (ValueError, TmError) as problem:
            findings.append(Finding.problem(path, f"cannot be read: {problem}"))
            continue
        if not steps:
            continue
        gates += sum(_gates(step) for step in steps)
        found = [finding for step in steps for finding in _step(path, step, tree, settings)]
        findings += found or [Finding.ok(path, _story(steps))]
        findings += _joined(cwd, path)
        for step in steps:
            named |= _named(step, tree)
            findings += _variables(path, step, settings)
    if not gates:
        findings.append(
            Finding.problem("pipeline", "nothing here runs a gate, `tm runs start PROFILE --wait`")
        )
    return findings, named


def _paths(cwd: Path) -> list[str]:
    found = {
        path.resolve(): path.relative_to(cwd).as_posix()
        for pattern in _PLACES
        for path in sorted(cwd.glob(pattern))
        if path.is_file()
    }
    return list(found.values())  # a disk that ignores case finds one makefile under two names


def _gates(step: Step) -> int:
    return sum(call.is_gate for call in step.calls) + (step.inputs is not None)


def _story(steps: list[Step]) -> str:
    gates, calls = sum(map(_gates, steps)), sum(len(step.calls) for step in steps)
    plural = "" if gates == 1 else "s"
    return f"{gates} gate{plural}; {calls} command{'' if calls == 1 else 's'} of tm, all known"


def _step(path: str, step: Step, tree: Any, settings: Settings | None) -> Iterator[Finding]:
    what = f"{path}: {step.place}"
    for call in step.calls:
        said = f"`tm {' '.join(call.words)}`"
        if complaint := _complaint(tree, call):
            yield Finding.problem(what, f"{said} is not taken: {complaint}")
        elif call.is_gate:
            if call.lost:
                yield Finding.problem(what, f"{said}: {call.lost}")
            if not _fails_on_something(call, step, settings):
                yield Finding.problem(what, f"{said} passes whatever the verdict is: add --fail-on")
    if step.forgiven and _gates(step):
        yield Finding.problem(what, step.forgiven)


def _fails_on_something(call: Call, step: Step, settings: Settings | None) -> bool:
    flags = {word.partition("=")[0] for word in call.words}
    if flags & {"--fail-on", "--fail-on-verdict", "--assert"} or step.environ.get("TM_FAIL_ON"):
        return True
    if not call.is_of_runs:  # other systems have options of their own for it
        return True
    return settings is not None and settings.value("fail_on") is not None


def _complaint(tree: Any, call: Call) -> str | None:
    """Say why the program would not take the command line; None when it would."""
    try:
        node, rest = _leaf(tree, call.words)
        if call.is_open or {"-h", "--help", "--version"} & set(call.words):
            return _unknown_flag(node, rest)
        node.make_context("tm", list(rest), obj=None)
    except typer.TyperException as problem:
        return problem.format_message()
    except KeyError as problem:
        return f"there is no command {problem}"
    return None


def _leaf(tree: Any, words: tuple[str, ...]) -> tuple[Any, list[str]]:
    node, rest = tree, list(words)
    while hasattr(node, "commands") and rest and not rest[0].startswith("-"):
        node = node.commands[rest.pop(0)]
    return node, rest


def _unknown_flag(node: Any, words: list[str]) -> str | None:
    known = {"-h", "--help", *(flag for option in node.params for flag in option.opts)}
    given = (word.partition("=")[0] for word in words if word.startswith("-"))
    return next((f"there is no option {flag}" for flag in given if flag not in known), None)


def _named(step: Step, tree: Any) -> set[str]:
    """The profile documents of gates, as far as they stand in the line."""
    subjects: list[str] = (step.inputs or {}).get("profile", "").split()
    for call in step.calls:
        if call.is_gate and call.is_of_runs and not call.is_open:
            try:
                node, rest = _leaf(tree, call.words)
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
    if path == gitlab.INCLUDED and gitlab.INCLUDED not in (read_text(cwd, gitlab.PATH) or ""):
        yield Finding.problem(gitlab.PATH, f"does not include {path}")
    makefiles = [read_text(cwd, name) or "" for name in make.MAKEFILES]
    if path == make.INCLUDED and not any(path in text for text in makefiles):
        yield Finding.problem("Makefile", f"does not include {path}")


def _variables(path: str, step: Step, settings: Settings | None) -> Iterator[Finding]:
    if step.inputs is None and not any(call.is_gate and call.is_of_runs for call in step.calls):
        return
    environ = dict(step.environ)
    inputs = step.inputs or {}
    for variable, name in (("TM_BASE_URL", "base-url"), ("TM_API_KEY", "api-key")):
        if name in inputs:
            environ[variable] = inputs[name]
    server = environ.get("TM_BASE_URL")
    if not server and settings is not None:
        server = settings.value("base_url")
    for finding in (server_finding(path, server), key_finding(path, server, environ)):
        if finding is not None:
            yield finding
