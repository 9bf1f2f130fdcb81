"""Reads the flags and variables of gates in pipelines as tm itself would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import typer

from tm_cli.backends.trafficmorph.profile_documents import SUFFIXES, names_document, read_document
from tm_cli.cli.session import Session
from tm_cli.commands.shared.report_sinks import Format
from tm_cli.errors import ConfigurationError, TmError
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.checks import parse_check
from tm_cli.gate.verdict import Verdict, parse_fail_on
from tm_cli.settings import DEFINITIONS, Settings, load_settings
from tm_cli.setup import gitlab, makefile
from tm_cli.setup.answers import is_out_of_reach
from tm_cli.setup.check.gate_commands import Call, Step, is_open
from tm_cli.setup.check.gitlab import include_line, includes
from tm_cli.setup.check.makefile import gate_targets
from tm_cli.setup.check.model import Finding, Status
from tm_cli.setup.check.requirements import key_finding, remark_on_package, server_finding
from tm_cli.setup.check.scripts import read_pipeline
from tm_cli.setup.documents import is_ignored
from tm_cli.setup.plan import read_text
from tm_cli.values.text import clean

_VERDICTS = ("--fail-on", "--fail-on-verdict")
_OF_ACTION = ("wait-timeout", "verdict-timeout", "poll-interval", "timeout", "on-interrupt")


def complaint(tree: Any, call: Call) -> str | None:
    """Say why the program would not take the command line; None when it would."""
    if call.is_make:
        return None
    try:
        node, rest = leaf(tree, call.words)
        if call.is_open or {"-h", "--help", "--version"} & set(call.words):
            return _unknown_flag(node, rest)
        node.make_context("tm", list(rest), obj=None)
    except typer.TyperException as problem:
        return problem.format_message()
    except KeyError as problem:
        return f"there is no command {problem}"
    return None


def leaf(tree: Any, words: tuple[str, ...]) -> tuple[Any, list[str]]:
    """Return the command that the words name, and the rest of them; KeyError for an unknown one."""
    call = Call(words)
    node, rest = tree, list(call.path)
    leading = list(words[: len(words) - len(rest)])
    while hasattr(node, "commands") and rest and not rest[0].startswith("-"):
        node = node.commands[rest.pop(0)]
    return node, leading + rest


def _unknown_flag(node: Any, words: list[str]) -> str | None:
    known = {"-h", "--help"}
    for option in node.params:
        known |= {*option.opts, *option.secondary_opts}
    given = (word.partition("=")[0] for word in words if word.startswith("--"))
    return next((f"there is no option {flag}" for flag in given if flag not in known), None)


def action_call(inputs: Mapping[str, str], *, usual: str) -> Call:
    """Return the command that the GitHub action runs, as far as its values matter here.

    `usual` are the verdicts that it adds where its input names none, "" for none.
    """
    words = ["runs", "start", "--wait"]
    words += [f"--{name}={inputs[name]}" for name in _OF_ACTION if inputs.get(name)]
    for check in inputs.get("assert", "").splitlines():
        words += ["--assert", check] if check.strip() else []
    if (verdicts := inputs.get("fail-on") or usual) not in {"", "none"}:
        words.append(f"--fail-on={verdicts}")
    return Call(tuple(words))


def flag_values(call: Call) -> Iterator[tuple[str, str]]:
    """The flags of a call, each with its value; an open value is passed over."""
    for word, following in zip(call.words, (*call.words[1:], ""), strict=True):
        flag, sign, value = word.partition("=")
        if flag.startswith("--") and not is_open(value if sign else following):
            yield flag, value if sign else following


def wrong_values(call: Call, environ: Mapping[str, str]) -> Iterator[str]:
    """Say which values of a gate on runs this version refuses, each with the reason."""
    for flag, value in flag_values(call):
        if problem := _problem_of_flag(flag, value):
            yield f"{flag} {value!r}: {problem}"
    for definition in DEFINITIONS.values():
        text = environ.get(definition.variable, "")
        plain = bool(text) and not is_open(text) and not definition.secret
        if plain and (problem := _problem(definition.read, text)):
            yield f"{definition.variable}: {problem}"


def _problem_of_flag(flag: str, value: str) -> str | None:
    if flag in _VERDICTS:
        return _problem(parse_fail_on, value)
    if flag == "--assert":
        return _problem(parse_check, value)
    if flag == "--report":
        form, sign, path = value.partition("=")
        if form.lower() not in set(Format) or not sign or not path.strip():
            return f"write FORMAT=FILE, with one of {', '.join(Format)}"
    for definition in DEFINITIONS.values():
        if not definition.own_prefix and definition.flag == flag and not definition.secret:
            return _problem(definition.read, value)
    return None


def _problem(read: Any, text: str) -> str | None:
    try:
        read(text)
    except (ValueError, TmError) as problem:
        return clean(problem)
    return None


def verdict_remark(call: Call, environ: Mapping[str, str], settings: Settings | None) -> str | None:
    """Say when a gate on runs lets FAIL through; its own flag goes before variable and file."""
    flags = {word.partition("=")[0] for word in call.words}
    text: str | None = None
    if flags & set(_VERDICTS):
        text = next((value for flag, value in flag_values(call) if flag in _VERDICTS), None)
        if not text:
            return None  # a variable stands there, or what is refused anyway
    else:
        from_files = settings.value("fail_on") if settings is not None else None
        text = environ.get("TM_FAIL_ON") or from_files
    if not text:
        return None if "--assert" in flags else "passes whatever the verdict is: add --fail-on"
    if is_open(text) or _problem(parse_fail_on, text):
        return None
    return None if Verdict.FAIL in parse_fail_on(text) else "lets FAIL pass: add it to --fail-on"


_PLACES = (
    ".github/workflows/*.yml",
    ".github/workflows/*.yaml",
    gitlab.PATH,
    ".gitlab/*.yml",
    *makefile.MAKEFILES,
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
        others = [
            other for other in _paths(cwd) if other in makefile.MAKEFILES or other[-3:] == ".mk"
        ]
    else:
        return
    if not any(includes(read_text(cwd, other) or "", path) for other in others):
        what = gitlab.PATH if path.startswith(".gitlab/") else makefile.PATH
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


_NOBODY = ".tm/nobody"
"""No user's settings count: the set-up has to work for everybody."""


def check_setup(session: Session) -> int:
    """Print what was found; CONFIGURATION when something cannot work, else OK."""
    cwd = session.context.cwd
    findings: list[Finding] = []
    settings = _settings(session, findings)
    pipelines = check_pipelines(cwd, session.tree, settings)
    findings += _profiles(cwd, pipelines.named)
    findings += pipelines.findings
    findings.append(_ignored(cwd))
    return _emit(session, findings)


def _emit(session: Session, findings: list[Finding]) -> int:
    from tm_cli.render.formats.json_document import error_document, to_json
    from tm_cli.render.tables import columns

    data = {"checks": [finding.data for finding in findings]}
    rows = [(str(finding.status), finding.what, finding.message) for finding in findings]
    broken = sum(finding.status is Status.PROBLEM for finding in findings)
    head = ("STATUS", "WHAT", "FOUND")
    if not broken:
        return session.emit(data, lambda: columns(session.terminal, head, rows))
    error = ConfigurationError(f"the set-up has {broken} problem{'s' if broken > 1 else ''}")
    if session.wants_json:
        session.terminal.result(to_json(error_document(error, data)))
    else:
        session.terminal.result(columns(session.terminal, head, rows))
    session.terminal.note(f"tm: {error.message}")
    return int(ExitCode.CONFIGURATION)


def _settings(session: Session, findings: list[Finding]) -> Settings | None:
    """Read the project's settings, each of them."""
    cwd, owners = session.context.cwd, session.context.environ
    try:
        settings = load_settings({}, {}, cwd=cwd, user_dir=cwd / _NOBODY, owners=owners)
        for name in DEFINITIONS:
            _ = settings[name]
        verdicts = settings.value("fail_on")
    except TmError as problem:
        findings.append(Finding.problem("tm.toml", problem.message))
        return None
    for file in settings.ignored:
        message = f"{clean(file.message)}; {file.hint}"
        findings.append(Finding.problem(_short(cwd, file.path), message))
    if settings.ignored:
        return settings
    if settings.project is None:
        findings.append(Finding.problem("tm.toml", "there is none; `tm init` writes one"))
    else:
        said = f"fails on {verdicts}" if verdicts else "names no fail_on"
        findings.append(Finding.ok(_short(cwd, settings.project.path), said))
    return settings


def _profiles(cwd: Path, named: Mapping[str, str | None]) -> Iterator[Finding]:
    """The documents that pipelines name, with their servers, and those at the top."""
    servers = {Path(name): server for name, server in named.items()}
    paths = servers.keys() | {
        path.relative_to(cwd) for path in cwd.iterdir() if _looks_like_a_profile(path)
    }
    if not paths:
        yield Finding.problem("profiles", "there is no profile document; `tm init` writes one")
    for path in sorted(paths):
        try:
            document = read_document(cwd / path)
        except ConfigurationError as problem:
            yield Finding.problem(path.as_posix(), problem.message)
        else:
            yield _target(path, document, servers.get(path))


def _target(path: Path, document: Mapping[str, Any], server: str | None) -> Finding:
    url = str(document.get("endpointUrl") or document.get("targetUrl") or "")
    try:
        lost = server is not None and "$" not in server and is_out_of_reach(url, server)
    except ValueError:
        lost = False  # the server says what is wrong with it
    if lost:
        said = f"its target is this machine, and the server at {server} would load its own"
        return Finding.problem(path.as_posix(), said)
    return Finding.ok(path.as_posix(), f"profile {document['name']!r}")


def _looks_like_a_profile(path: Path) -> bool:
    if path.suffix.lower() not in SUFFIXES or not path.is_file() or path.stat().st_size > 1_000_000:
        return False
    text = path.read_bytes()
    return b"points" in text and (b"endpointUrl" in text or b"targetUrl" in text)


def _ignored(cwd: Path) -> Finding:
    for directory in (cwd, *cwd.parents):
        path = directory / ".gitignore"
        if path.is_file() and is_ignored(path.read_text(encoding="utf-8", errors="replace")):
            return Finding.ok(_short(cwd, path), "leaves .tm/ out")
        if (directory / ".git").exists():
            break
    return Finding.problem(".gitignore", "does not leave .tm/ out: add the line .tm/")


def _short(cwd: Path, path: Path) -> str:
    return path.relative_to(cwd).as_posix() if path.is_relative_to(cwd) else str(path)
