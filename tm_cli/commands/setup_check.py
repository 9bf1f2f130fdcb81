"""`tm init --check`: whether a set-up can work, a line per check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tm_cli.commands.session import Session
from tm_cli.commands.setup_pipelines import PipelineCheck
from tm_cli.diagnosis.finding import CheckResult, Status, ok, problem, problem_from
from tm_cli.errors import ConfigurationError, TmError
from tm_cli.exit_codes import ExitCode
from tm_cli.scaffold.answers import is_out_of_reach
from tm_cli.scaffold.documents import is_ignored
from tm_cli.settings import DEFINITIONS, Settings, load_settings
from tm_cli.systems.trafficmorph.profile_documents import SUFFIXES, read_document

_NO_USER = ".tm/no-user"
"""No user's settings count: the set-up has to work for everybody."""


def check_setup(session: Session) -> int:
    """Print the results; CONFIGURATION where something cannot work or was not checked, else OK."""
    cwd = session.context.cwd
    results: list[CheckResult] = []
    settings = _settings(session, results)
    pipelines = PipelineCheck(cwd, session.tree, settings)
    of_pipelines = pipelines.results()
    return _emit(
        session, [*results, *_profiles(cwd, pipelines.named), *of_pipelines, _ignored(cwd)]
    )


def _emit(session: Session, results: list[CheckResult]) -> int:
    from tm_cli.render.diagnosis import result_data, results_table
    from tm_cli.render.machine import error_document, to_json

    data = {"checks": [result_data(item) for item in results]}
    error = _error(results)
    if error is None:
        return session.emit(data, lambda: results_table(session.terminal, results))
    if session.wants_json:
        session.terminal.result(to_json(error_document(error, data)))
    else:
        session.terminal.result(results_table(session.terminal, results))
    session.terminal.note(f"tm: {error.message}")
    return int(ExitCode.CONFIGURATION)


def _error(results: list[CheckResult]) -> ConfigurationError | None:
    """A check that was not made is not an ok."""
    statuses = [result.status for result in results]
    problems, skipped = statuses.count(Status.PROBLEM), statuses.count(Status.SKIPPED)
    if problems:
        return ConfigurationError(f"the set-up has {problems} problem{'s' if problems > 1 else ''}")
    if skipped:
        return ConfigurationError("not all of the set-up was checked")
    return None


def _settings(session: Session, results: list[CheckResult]) -> Settings | None:
    """Read the project's settings, each of them."""
    cwd, owners = session.context.cwd, session.context.environ
    try:
        settings = load_settings({}, {}, cwd=cwd, user_dir=cwd / _NO_USER, owners=owners)
        for name in DEFINITIONS:
            _ = settings[name]
        verdicts = settings.value("fail_on")
    except TmError as error:
        results.append(problem_from("tm.toml", error))
        return None
    results += (
        problem(_short(cwd, file.path), file.message, file.hint) for file in settings.ignored
    )
    if settings.ignored:
        return settings
    if settings.project is None:
        results.append(problem("tm.toml", "there is none; `tm init` writes one"))
    else:
        text = f"fails on {verdicts}" if verdicts else "names no fail_on"
        results.append(ok(_short(cwd, settings.project.path), text))
    return settings


def _profiles(cwd: Path, named: Mapping[str, str | None]) -> Iterator[CheckResult]:
    """The documents that pipelines name, with their servers, and those at the top."""
    servers = {Path(name): server for name, server in named.items()}
    paths = servers.keys() | {
        path.relative_to(cwd) for path in cwd.iterdir() if _looks_like_a_profile(path)
    }
    if not paths:
        yield problem("profiles", "there is no profile document; `tm init` writes one")
    for path in sorted(paths):
        try:
            document = read_document(cwd / path)
        except ConfigurationError as error:
            yield problem_from(path.as_posix(), error)
        else:
            yield _target(path, document, servers.get(path))


def _target(path: Path, document: Mapping[str, Any], server: str | None) -> CheckResult:
    url = str(document.get("endpointUrl") or document.get("targetUrl") or "")
    try:
        lost = server is not None and "$" not in server and is_out_of_reach(url, server)
    except ValueError:
        lost = False  # the server says what is wrong with it
    if lost:
        text = f"its target is this machine, and the server at {server} would load its own"
        return problem(path.as_posix(), text)
    return ok(path.as_posix(), f"profile {document['name']!r}")


def _looks_like_a_profile(path: Path) -> bool:
    if path.suffix.lower() not in SUFFIXES or not path.is_file() or path.stat().st_size > 1_000_000:
        return False
    text = path.read_bytes()
    return b"points" in text and (b"endpointUrl" in text or b"targetUrl" in text)


def _ignored(cwd: Path) -> CheckResult:
    for directory in (cwd, *cwd.parents):
        path = directory / ".gitignore"
        if path.is_file() and is_ignored(path.read_text(encoding="utf-8", errors="replace")):
            return ok(_short(cwd, path), "leaves .tm/ out")
        if (directory / ".git").exists():
            break
    return problem(".gitignore", "does not leave .tm/ out: add the line .tm/")


def _short(cwd: Path, path: Path) -> str:
    return path.relative_to(cwd).as_posix() if path.is_relative_to(cwd) else str(path)
