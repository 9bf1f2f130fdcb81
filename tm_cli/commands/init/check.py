"""`tm init --check`: settings, profiles and pipelines, and where a pipeline gets server and key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from tm_cli.backends.trafficmorph.profile_documents import SUFFIXES, names_document, read_document
from tm_cli.cli.session import CommandContext
from tm_cli.commands.shared.report_sinks import Format
from tm_cli.errors import ConfigurationError, TmError
from tm_cli.gate.live_limits import parse_live_limit
from tm_cli.gate.target_metrics import parse_condition
from tm_cli.settings import DEFINITIONS, Settings, load_settings
from tm_cli.settings.definitions import split_checks
from tm_cli.settings.files import misspelt_variables
from tm_cli.setup.answers import System, is_address, is_ignored, is_out_of_reach, read_yaml
from tm_cli.setup.branches import read_branches
from tm_cli.setup.check.gate_commands import Call, find_calls, read_call
from tm_cli.setup.check.model import Job, Remark, table
from tm_cli.setup.check.model import problem as wrong
from tm_cli.setup.check.pipelines import (
    Makefile,
    action_words,
    github_jobs,
    gitlab_jobs,
    read_makefile,
    targets_that_need,
)
from tm_cli.setup.check.shell_script import is_available, is_open
from tm_cli.setup.pipelines import GITLAB_PATH, MAKEFILE, MAKEFILES, include_line, includes
from tm_cli.setup.plan import read_text
from tm_cli.values.check_result import (
    CheckResult,
    Status,
    ok,
    problem,
    problem_from,
    skipped,
    warning,
)
from tm_cli.values.text import sanitize
from tm_cli.values.urls import LOCAL
from tm_cli.values.verdict import Verdict, format_fail_on, parse_fail_on, parse_warn_on

_EXPRESSION = re.compile(r"\$\{\{\s*(secrets|vars)\.(\w+)[^}]*\}\}")
_VARIABLE = re.compile(r"\$[({]?(\w+)[)}]?")


def plain_key(path: str, environ: Mapping[str, str]) -> Iterator[CheckResult]:
    """Look for an API key that is not a reference to a secret."""
    for system in System:
        variable = f"{system.prefix}_API_KEY"
        key = environ.get(variable)
        if key is not None and not _EXPRESSION.search(key) and not _VARIABLE.fullmatch(key):
            yield problem(variable, f"{path} holds a key in plain text", "revoke that key")


def server_and_key(
    path: str, server: str | None, environ: Mapping[str, str]
) -> Iterator[CheckResult]:
    """Say what is missing for a gate on runs to find its server, and to get a key for it."""
    is_gitlab = ".gitlab" in path
    if not server and is_gitlab:
        yield warning("TM_BASE_URL", f"{path} names no server: a CI/CD variable, or `local`")
    elif not server and path.endswith((".yml", ".yaml")):
        text = f"{path} names no server, and in CI tm chooses none: add it, or `local`"
        yield problem("TM_BASE_URL", text)
    found = _EXPRESSION.search(server or "")
    if found and "||" not in found[0]:
        yield warning(found[2], f"{path} takes the server's address from {_source(found)}")
    if server != LOCAL:
        yield from missing_key(path, server, environ, System.RUNS)


def missing_key(
    path: str, server: str | None, environ: Mapping[str, str], system: System
) -> Iterator[CheckResult]:
    """Say what is missing for a gate to get a key for its server."""
    variable = f"{system.prefix}_API_KEY"
    key = environ.get(variable)
    if environ.get(f"{variable}_FILE"):
        return
    found = _EXPRESSION.search(key or "")
    if found and found[1] == "vars":
        yield problem(found[2], f"{path} takes the key from a variable; use a secret")
    elif found:
        yield warning(found[2], f"{path} takes the key from {_source(found)}")
    elif server and key is None and ".github/" in path:
        text = f"{path} passes no key on: {variable}: ${{{{ secrets.{variable} }}}}"
        yield problem(variable, text)
    elif server and key is None and ".gitlab" in path:
        yield warning(variable, f"{path} needs a masked CI/CD variable of the project")


def _source(found: re.Match[str]) -> str:
    kind = "secret" if found[1] == "secrets" else "variable"
    return f"the {kind} {found[2]} of the repository"


_PLACES = (
    ".github/workflows/*.yml",
    ".github/workflows/*.yaml",
    GITLAB_PATH,
    ".gitlab/*.yml",
    *MAKEFILES,
    "*.mk",
)
_NO_USER = ".tm/no-user"
"""No user's settings count: the set-up has to work for everybody."""


def check_setup(session: CommandContext) -> int:
    """Print the results; CONFIGURATION where something cannot work or was not checked, else OK."""
    cwd = session.context.cwd
    results: list[CheckResult] = []
    settings = _settings(session, results)
    pipelines = PipelineCheck(cwd, session.tree, settings)
    of_pipelines = pipelines.results()
    if pipelines.systems and System.RUNS not in pipelines.systems:
        return _emit(session, [*results, *of_pipelines])  # no profiles, no embedded server
    return _emit(
        session, [*results, *_profiles(cwd, pipelines.named), *of_pipelines, _ignored(cwd)]
    )


def _emit(session: CommandContext, results: list[CheckResult]) -> int:
    from tm_cli.render.check_results import result_data, results_table

    data = {"checks": [result_data(item) for item in results]}
    statuses = [result.status for result in results]
    error = None
    if count := statuses.count(Status.PROBLEM):
        error = ConfigurationError(f"the set-up has {count} problem{_s(count)}")
    elif Status.SKIPPED in statuses:  # a check that was not made is not an ok
        error = ConfigurationError("not all of the set-up was checked")
    return session.emit(data, lambda: results_table(session.terminal, results), error=error)


@dataclass(slots=True)
class PipelineCheck:
    """Checks every pipeline below a directory.

    `tree` is the command tree of tm. `systems` collects those that are gated on, and `named` the
    profile documents of gates, each with the server that is asked for its load, None where that is
    not known.
    """

    cwd: Path
    tree: Any
    settings: Settings | None
    named: dict[str, str | None] = field(default_factory=dict)
    systems: set[System] = field(default_factory=set)

    def results(self) -> list[CheckResult]:
        """Return what is found in all pipelines."""
        results: list[CheckResult] = []
        pipelines = dict(self._pipelines(results))
        jobs = {
            path: list(read.jobs()) if isinstance(read, Makefile) else read
            for path, read in pipelines.items()
        }
        for path, own in jobs.items():
            results += [found for job in own for found in plain_key(path, job.variables)]
        if not is_available():
            return [*results, _without_parser(list(jobs))]
        targets = self._targets([read for read in pipelines.values() if isinstance(read, Makefile)])
        gates = 0
        for path, own in jobs.items():
            count, found = self._check(path, own, targets)
            gates += count
            results += found
        if not gates:
            text = "nothing here runs a gate, `tm runs start PROFILE --wait`"
            results.append(problem("pipeline", text))
        return [item for number, item in enumerate(results) if item not in results[:number]]

    def _pipelines(self, results: list[CheckResult]) -> Iterator[tuple[str, list[Job] | Makefile]]:
        for path in _paths(self.cwd):
            try:
                yield path, self._read(path, read_text(self.cwd, path) or "")
            except (ValueError, TmError) as error:
                line = getattr(error, "line", None)
                where = f", line {line}" if line else ""
                results.append(problem(path, f"cannot be read{where}: {sanitize(error)}"))

    def _read(self, path: str, text: str) -> list[Job] | Makefile:
        if not path.endswith((".yml", ".yaml")):
            return read_makefile(text)
        document = table(read_yaml(text))
        try:
            if ".github/" in path:
                return list(github_jobs(document, read_branches(self.cwd)))
            return list(gitlab_jobs(document))
        except RecursionError:
            raise ValueError("it is nested too deeply") from None

    def _targets(self, makefiles: list[Makefile]) -> set[str]:
        """The targets of make that run a gate."""
        found = {
            job.name
            for makefile in makefiles
            for job in makefile.jobs()
            if any(call.is_gate for script in job.scripts for call in find_calls(script, self.tree))
        }
        return targets_that_need(found, makefiles)

    def _check(
        self, path: str, jobs: list[Job], targets: set[str]
    ) -> tuple[int, list[CheckResult]]:
        """Return how many gates run in a pipeline, or may, and what is found in it."""
        found: list[CheckResult] = []
        further: list[CheckResult] = []
        commands = gates = running = 0
        for job in jobs:
            calls = [
                call for script in job.scripts for call in find_calls(script, self.tree, targets)
            ]
            commands += len(calls)
            calls += [] if job.inputs is None else [self._action(job)]
            own = [call for call in calls if call.is_gate]
            gates += len(own)
            running += job.runs * len(own) + sum(call.is_mention for call in calls)
            found += self._check_job(f"{path}: {job.name}", job, calls)
            if any(call.is_of_runs for call in own):
                server = self._server(job)
                further += server_and_key(path, server, job.variables)
                self.named |= dict.fromkeys(_documents(job, own), server)
            for system in self._note_systems(own):
                further += missing_key(path, system.prefix, job.variables, system)
        if not commands + gates:
            return 0, []
        names = f"{gates} gate{_s(gates)}; {commands} command{_s(commands)} of tm, all known"
        return running, [*(found or [ok(path, names)]), *self._included(path), *further]

    def _check_job(self, place: str, job: Job, calls: list[Call]) -> Iterator[CheckResult]:
        for call in calls:
            if call.refused:
                yield problem(place, f"`{call.line}` is not taken: {call.refused}")
                continue
            for remark in call.remarks:
                yield CheckResult(place, remark.status, f"`{call.line}`: {remark.text}")
            if call.is_gate and call.path:
                for text in self._wrong_values(call, job.environ):
                    yield problem(place, f"`{call.line}` {text}")
                for remark in self._check_verdicts(call, job):
                    yield CheckResult(place, remark.status, f"`{call.line}` {remark.text}")
        if not any(call.is_gate for call in calls):
            return
        for remark in job.remarks:
            yield CheckResult(place, remark.status, remark.text)
        for source in misspelt_variables(job.environ):
            yield problem(place, source.message, source.hint)

    def _note_systems(self, gates: list[Call]) -> Iterator[System]:
        """Note what is gated on; return the systems that have a server of their vendor."""
        found = {System.RUNS if call.is_of_runs else call.path[0] for call in gates if call.path}
        systems = {System(name) for name in found if name in list(System)}
        self.systems |= systems
        yield from sorted(systems - {System.RUNS})

    def _action(self, job: Job) -> Call:
        """The command that the GitHub action runs, as far as its values matter here."""
        named = job.environ.get("TM_FAIL_ON") or self._setting("fail_on")
        return read_call(self.tree, action_words(job.inputs or {}, has_fail_on=bool(named)))

    def _setting(self, name: str) -> Any:
        return self.settings.value(name) if self.settings is not None else None

    def _effective(self, name: str, call: Call, environ: Mapping[str, str]) -> Any:
        """The value of a flag, else of the variable, else of the setting."""
        given = call.options.get("checks" if name == "assert" else name)
        return given or environ.get(DEFINITIONS[name].variable) or self._setting(name)

    def _server(self, job: Job) -> str | None:
        server = (job.inputs or {}).get("base-url") or job.environ.get("TM_BASE_URL")
        return server or self._setting("base_url") or None

    def _wrong_values(self, call: Call, environ: Mapping[str, str]) -> Iterator[str]:
        """Say which values this version refuses."""
        for flag, read, value in _values(call):
            if not is_open(value) and (reason := _reason(read, value)):
                yield f"is not taken: {flag} {value!r}: {reason}"
        for definition in DEFINITIONS.values():
            value = environ.get(definition.variable, "")
            read = _CONDITIONS.get(definition.name, definition.read)
            plain = value and not is_open(value) and not definition.secret
            if plain and (reason := _reason(read, value)):
                yield f"is not taken: {definition.variable}: {reason}"

    def _verdicts(self, call: Call, job: Job, name: str) -> frozenset[Verdict] | None:
        """The verdicts of `fail_on` or `warn_on`; None where the check cannot know them."""
        text = self._effective(name, call, job.environ) or ""
        if is_open(text) or (text and _reason(parse_fail_on, text)):
            return None
        return parse_fail_on(text) if text else frozenset()

    def _check_verdicts(self, call: Call, job: Job) -> Iterator[Remark]:
        """Say where FAIL passes, where the lists overlap, and what the settings add."""
        fail_on, warn_on = (self._verdicts(call, job, name) for name in ("fail_on", "warn_on"))
        if fail_on is None or warn_on is None:
            return
        if not fail_on and call.path[0] == "runs":  # the others have a default
            if not self._effective("assert", call, job.environ):
                yield wrong("passes whatever the verdict is: add --fail-on")
        elif fail_on and Verdict.FAIL not in fail_on:
            yield wrong("lets FAIL pass: add it to --fail-on")
        if both := (fail_on or frozenset({Verdict.FAIL})) & warn_on:
            yield wrong(f"is not taken: --warn-on and --fail-on both name {format_fail_on(both)}")
        is_wanted = "NO_BASELINE" in (self._setting("fail_on") or "")
        has_baseline = call.path[0] != System.JOBS
        if is_wanted and has_baseline and Verdict.NO_BASELINE not in fail_on | warn_on:
            text = "leaves out NO_BASELINE, on which the settings fail"
            yield Remark(Status.WARNING, text)

    def _included(self, path: str) -> Iterator[CheckResult]:
        """A file that another one has to include."""
        paths = _paths(self.cwd)
        if path.startswith(".gitlab/"):
            others = [
                GITLAB_PATH,
                *(other for other in paths if other.startswith(".gitlab/")),
            ]
        elif path.endswith(".mk"):
            others = [other for other in paths if other in MAKEFILES or other[-3:] == ".mk"]
        else:
            return
        if not any(includes(read_text(self.cwd, other) or "", path) for other in others):
            check = GITLAB_PATH if path.startswith(".gitlab/") else MAKEFILE
            yield problem(check, f"does not include {path}; add: {include_line(path)}")


def _paths(cwd: Path) -> list[str]:
    found = {
        path.resolve(): path.relative_to(cwd).as_posix()
        for pattern in _PLACES
        for path in sorted(cwd.glob(pattern))
        if path.is_file()
    }
    return list(found.values())  # a disk that ignores case finds one makefile under two names


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _without_parser(paths: list[str]) -> CheckResult:
    """The only result for scripts where the parser is missing; it is not an ok."""
    return skipped(
        "pipelines",
        f"not checked: whether {', '.join(paths) or 'a pipeline'} runs a gate, and fails with it",
        "pip install 'tm-cli[check]'",
    )


def _documents(job: Job, gates: list[Call]) -> Iterator[str]:
    """The profile documents of gates on runs, relative to the repository."""
    for call in gates:
        options = call.options if call.is_of_runs else {}
        profile = options.get("profile") or options.get("target") or ()
        for name in [profile] if isinstance(profile, str) else profile:
            if names_document(name) and not is_open(name) and not is_address(name):
                yield str(PurePosixPath(job.directory) / name)


def _values(call: Call) -> Iterator[tuple[str, Any, str]]:
    """The options with values that tm itself reads: flag, reader and text."""
    readers: dict[str, tuple[str, Any]] = {
        "fail_on": ("--fail-on", parse_fail_on),
        "warn_on": ("--warn-on", parse_warn_on),
        "checks": ("--assert", parse_condition),
        "abort_if": ("--abort-if", parse_live_limit),
        "report": ("--report", _read_report),
    }
    for definition in DEFINITIONS.values():
        if not definition.own_prefix and definition.flag and not definition.secret:
            readers.setdefault(definition.name, (definition.flag, definition.read))
    if not call.is_of_runs:
        del readers["checks"], readers["abort_if"]  # those of a job have fields of their own
    for name, (flag, read) in readers.items():
        given = [] if call.options.get(name) is None else call.options[name]
        for value in [given] if isinstance(given, str) else list(given):
            yield flag, read, value


def _read_report(text: str) -> None:
    form, sign, path = text.partition("=")
    if form.lower() not in set(Format) or not sign or not path.strip():
        raise ValueError(f"write FORMAT=FILE, with one of {', '.join(Format)}")


def _read_conditions(parse: Callable[[str], object], text: str) -> None:
    for condition in split_checks(text):
        parse(condition)


_CONDITIONS = {
    "assert": partial(_read_conditions, parse_condition),
    "abort_if": partial(_read_conditions, parse_live_limit),
}
"""How the settings are read whose meaning is known to the gate alone."""


def _in_both(fail_on: str | None, warn_on: str | None) -> str:
    """The verdicts that two settings name, which a gate refuses; empty where one is not known."""
    if not fail_on or not warn_on or is_open(fail_on) or is_open(warn_on):
        return ""
    with suppress(ValueError):
        return format_fail_on(parse_fail_on(fail_on) & parse_warn_on(warn_on))
    return ""


def _reason(read: Any, text: str) -> str | None:
    try:
        read(text)
    except (ValueError, TmError) as error:
        return sanitize(error)
    return None


def _settings(session: CommandContext, results: list[CheckResult]) -> Settings | None:
    """Read the project's settings, each of them."""
    cwd, owners = session.context.cwd, session.context.environ
    try:
        settings = load_settings({}, {}, cwd=cwd, user_dir=cwd / _NO_USER, owners=owners)
        for name in DEFINITIONS:
            _ = settings[name]
        verdicts = settings.value("fail_on")
        for name, read in _CONDITIONS.items():
            if reason := _reason(read, settings.value(name) or ""):
                results.append(problem("tm.toml", f"{name}: {reason}"))
                return None
    except TmError as error:
        results.append(problem_from("tm.toml", error))
        return None
    if both := _in_both(verdicts, settings.value("warn_on")):
        results.append(problem("tm.toml", f"fail_on and warn_on both name {both}"))
        return settings
    results += (
        problem(_short(cwd, Path(source.place)), source.message, source.hint)
        for source in settings.ignored
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
    is_hidden = path.name.startswith(".")  # such as a schema
    if is_hidden or path.suffix.lower() not in SUFFIXES or not path.is_file():
        return False
    if path.stat().st_size > 1_000_000:
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
