"""`tm init --check`: whether a set-up can work, a line for each thing looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tm_cli.commands.session import Session
from tm_cli.commands.setup_pipelines import check_pipelines
from tm_cli.errors import ConfigurationError, TmError
from tm_cli.exit_codes import ExitCode
from tm_cli.scaffold.answers import is_out_of_reach
from tm_cli.scaffold.documents import is_ignored
from tm_cli.scaffold.findings import Finding, Status
from tm_cli.settings import DEFINITIONS, Settings, load_settings
from tm_cli.systems.trafficmorph.profile_documents import SUFFIXES, read_document
from tm_cli.text import clean

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
    from tm_cli.render.machine import error_document, to_json
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
