"""The target of a gate on this machine: its service, and what is recorded of it during a run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tm_cli.backends.trafficmorph.profile_documents import names_document, read_document
from tm_cli.cli.options import read_abort_if, with_assert_setting
from tm_cli.cli.session import CommandContext
from tm_cli.commands.shared.follow import FollowedRun
from tm_cli.errors import ConfigurationError, TmError, UsageError
from tm_cli.gate.backend import Backend
from tm_cli.gate.policy import Gate
from tm_cli.gate.target_metrics import OF_THE_PROCESS, MetricCheck, check_metric_name
from tm_cli.runtime.subprocesses import IS_WINDOWS, find_program, last_lines, split_command
from tm_cli.runtime.trusted_files import prepare_data_dir
from tm_cli.target.service import (
    LARGEST_LOG,
    READY_WAIT,
    Place,
    Service,
    environment,
    open_log,
    require_free,
)
from tm_cli.values.api_key import KEY_VARIABLES
from tm_cli.values.durations import format_duration
from tm_cli.values.load.placeholders import MissingValue, fill
from tm_cli.values.text import sanitize
from tm_cli.values.urls import check_http_url, is_loopback

if TYPE_CHECKING:
    from tm_cli.api.prometheus import PrometheusQuery
    from tm_cli.cli.options import GateOptions, StartOptions, TargetOptions
    from tm_cli.target.observed_runs import ObservedRuns
    from tm_cli.target.process_usage import Usage

_OF_A_SHELL = {"&&", "||", "|", ";", "&", ">", ">>", "<", "2>&1"}

Runs = Sequence[FollowedRun[Backend]]


@dataclass(frozen=True, slots=True)
class TargetRequest:
    """What flags and documents ask for; `words` are the command of the service."""

    session: CommandContext
    words: Sequence[str] | str | None = None
    log: Path | None = None
    pid: int | None = None
    wait: float = READY_WAIT
    queries: tuple[PrometheusQuery, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics of the user's own."""
        return tuple(query.name for query in self.queries)

    @contextmanager
    def prepare(self, gate: Gate, runs: Runs) -> Iterator[Runs]:
        """Have the service run, and metrics recorded, while the runs that this yields are followed.

        Raises TargetUntestable when the service does not get ready, and UsageError for conditions
        on what cannot be recorded.
        """
        names = {check.name for check in gate.checks if isinstance(check, MetricCheck)}
        needs_usage = not names.isdisjoint(OF_THE_PROCESS)
        wants_usage = needs_usage or self.words is not None or self.pid is not None
        if not wants_usage and not self.queries:
            yield runs
            return
        from tm_cli.target.observed_runs import ObservedRuns
        from tm_cli.target.recording import Recording
        from tm_cli.target.sampler import Sampler

        with ExitStack() as stack:
            service = None
            if self.words is not None:
                service = stack.enter_context(self._serving(self.words, runs))
            usage = None
            if wants_usage:
                usage = self._usage(runs, service, is_needed=needs_usage)
            sampler = Sampler(Recording())
            stack.callback(sampler.stop)
            sampler.start(usage, self.queries)
            observed = [ObservedRuns(run.runs, sampler.recording, service) for run in runs]
            if service is not None:
                stack.callback(self._stop_runs, observed)
            yield [
                replace(run, runs=new, watched=True)
                for run, new in zip(runs, observed, strict=True)
            ]

    @contextmanager
    def _serving(self, words: Sequence[str] | str, runs: Runs) -> Iterator[Service]:
        session = self.session
        places = list(dict.fromkeys(Place.of(run.target) for run in runs if run.target))
        require_free(places)
        log = self._open_log()
        service = self._start(words, log)
        try:
            name = shlex.split(words)[0] if isinstance(words, str) else words[0]
            session.note(
                f"tm: started {sanitize(name)}, its log is {sanitize(self._relative(log))}"
            )
            began = session.context.clock.monotonic()
            service.await_places(places, self.wait, session.context.clock)
            took = format_duration(round(session.context.clock.monotonic() - began, 1))
            session.note(f"tm: it listens at {', '.join(map(str, places))} after {took}")
            yield service
        except TmError:
            self._show_log(log)
            raise
        else:
            if service.has_ended:
                self._show_log(log)
        finally:
            service.end()

    def _start(self, words: Sequence[str] | str, log: Path) -> Service:
        context = self.session.context
        try:
            process = context.serve(
                words,
                environment(context.environ),
                directory=context.cwd,
                output=log,
                log_limit=LARGEST_LOG,
            )
        except OSError as problem:
            raise UsageError(f"--serve: it cannot be run: {problem.strerror}") from None
        return Service(process, log, named=self._relative(log))

    def _open_log(self) -> Path:
        context = self.session.context
        try:
            if self.log is not None:
                self.log.write_bytes(b"")
                return self.log
            directory = self.session.settings.find_data_dir(context.cwd)
            prepare_data_dir(directory, context.environ)
            return open_log(directory, f"{context.clock.now().astimezone():%Y%m%d-%H%M%S}")
        except OSError as problem:
            place = problem.filename or self.log
            raise UsageError(
                f"--serve: cannot write its log {sanitize(place)}: {problem.strerror}",
                hint="name another file with --serve-log",
            ) from None

    def _relative(self, log: Path) -> str:
        with suppress(ValueError):
            return str(log.relative_to(self.session.context.cwd))
        return str(log)

    def _show_log(self, log: Path) -> None:
        for line in last_lines(log):
            self.session.terminal.write_line(f"  | {line}")

    def _usage(self, runs: Runs, service: Service | None, *, is_needed: bool) -> Usage | None:
        """Return what is measured: the service, a process, or what listens at the target's port."""
        from tm_cli.target.process_usage import NotRecorded, usage_of

        urls = [url for run in runs if (url := run.target) and Place.of(url) and is_loopback(url)]
        ports = {Place.of(url).port for url in urls}
        port = next(iter(ports)) if len(ports) == 1 else None
        if service is None and self.pid is None and (port is None or len(urls) != len(runs)):
            raise UsageError(
                "conditions on target.cpu, target.memory and target.restarts need --serve or "
                "--target-pid, or a single target on this machine"
            )
        pid = self.pid if service is None else service.process.pid
        try:
            return usage_of(pid, supervised=service is not None and not IS_WINDOWS, port=port)
        except NotRecorded as problem:
            if is_needed or self.pid is not None:
                raise UsageError(f"the target cannot be measured: {problem}") from None
            self.session.note(f"tm: the target is not measured: {problem}")
            return None

    def _stop_runs(self, observed: Sequence[ObservedRuns]) -> None:
        """Stop what would go on without its target, as after --wait-timeout."""
        for runs in observed:
            if (run := runs.stop_if_active()) is not None:
                name = f"run {sanitize(run.run_id)}" if run.run_id else "the run"
                self.session.terminal.write_line(
                    f"tm: {name} was stopped, because its service ends with tm (--serve)"
                )


def read_gate(
    session: CommandContext,
    profiles: Sequence[str],
    gate: GateOptions,
    start: StartOptions,
    target: TargetOptions,
    *,
    checks: list[str] | None,
    abort_if: list[str] | None,
    confirm: int,
) -> tuple[TargetRequest, Gate]:
    """Return what is asked of the target, and the gate, whose checks may be on its metrics.

    Raises UsageError and ConfigurationError.
    """
    wait = start.wait_for_target
    request = _read_target(session, target, profiles, wait_for_target=wait)
    return request, gate.read(
        session,
        checks=with_assert_setting(session, checks, request.names),
        metrics=request.names,
        abort_if=read_abort_if(session, abort_if),
        confirm=confirm,
    )


def _read_target(
    session: CommandContext,
    options: TargetOptions,
    profiles: Sequence[str],
    *,
    wait_for_target: str | None,
) -> TargetRequest:
    """Return what flags and documents ask for; raises UsageError and ConfigurationError."""
    words = None if options.serve is None else _read_command(session, options.serve)
    if options.serve_log is not None and words is None:
        raise UsageError("--serve-log needs --serve")
    if options.target_pid is not None and words is not None:
        raise UsageError(
            "--target-pid and --serve contradict each other",
            hint="the processes of the service are recorded",
        )
    log = None if options.serve_log is None else session.context.cwd / options.serve_log
    if log is not None and (log.is_dir() or not log.parent.is_dir()):
        raise UsageError(f"--serve-log: {sanitize(log)} is no place for a file")
    wait = session.setting("wait_for_target", wait_for_target)
    return TargetRequest(
        session,
        words,
        log,
        options.target_pid,
        READY_WAIT if wait is None else wait,
        _read_queries(session, options, profiles),
    )


def _read_command(session: CommandContext, text: str) -> Sequence[str] | str:
    """Return the words of the command; on Windows the text, which the program itself splits."""
    try:
        words = split_command(text)
    except ValueError as problem:
        raise UsageError(f"--serve: {problem}", hint="e.g. './start.sh --port 8080'") from None
    environ, shell = session.context.environ, f"--serve {shlex.quote(f'sh -c {shlex.quote(text)}')}"
    if marks := [word for word in words if word in _OF_A_SHELL]:
        raise UsageError(
            f"--serve: no shell reads the command, so {marks[0]} is an argument", hint=shell
        )
    name = words[0]
    place = session.context.cwd / name if {"/", "\\"} & {*name} else name
    if find_program(str(place), environ) is None:
        hint = shell if "=" in name or "$" in name else "a name in PATH, or a path such as ./serve"
        raise UsageError(f"--serve: {sanitize(name)} cannot be found, or is no program", hint=hint)
    return text if IS_WINDOWS else words


def _read_queries(
    session: CommandContext, options: TargetOptions, profiles: Sequence[str]
) -> tuple[PrometheusQuery, ...]:
    """Return the queries of the documents and those of the flags, which replace them by name."""
    asked: dict[str, dict[str, Any]] = {}
    for profile in profiles:
        asked |= _documented(session.context.cwd / profile) if names_document(profile) else {}
    for text in options.metric or ():
        name, separator, query = text.partition("=")
        if not separator or not query.strip():
            raise UsageError(f"--metric: expected NAME=QUERY instead of {sanitize(text)!r}")
        asked[name.strip()] = {"query": query.strip()}
    if options.prometheus is not None and not asked:
        raise UsageError("--prometheus needs --metric, or metrics in the profile document")
    return tuple(_query(session, name, entry, options.prometheus) for name, entry in asked.items())


def _documented(path: Path) -> dict[str, dict[str, Any]]:
    with suppress(TmError):  # whatever is wrong with the document is said when it is needed
        found: dict[str, dict[str, Any]] = read_document(path).get("metrics") or {}
        return found
    return {}


def _query(
    session: CommandContext, name: str, entry: Mapping[str, Any], prometheus: str | None
) -> PrometheusQuery:
    from tm_cli.api.prometheus import PrometheusQuery

    environ = session.context.environ
    try:
        check_metric_name(name)
    except ValueError as problem:
        raise UsageError(f"--metric: {problem}") from None
    url = entry.get("prometheus") or prometheus
    if url is None:
        raise UsageError(
            f"the metric {name} names no Prometheus server", hint="--prometheus URL names one"
        )
    url = _with_variables(url, environ).rstrip("/")
    try:
        check_http_url(_USER.sub("//", url), credentials="")
    except ValueError as problem:
        raise UsageError(f"the Prometheus server of {name}: {sanitize(problem)}") from None
    if "?" in url:
        raise UsageError(f"the Prometheus server of {name}: its URL has a query string")
    headers = {
        key: _with_variables(value, environ) for key, value in (entry.get("headers") or {}).items()
    }
    if any(char in value for value in headers.values() for char in "\r\n\0"):
        raise UsageError(f"the headers of {name} hold a line break")
    ca_file = session.settings.value("ca_file")
    return PrometheusQuery(name, url, entry["query"], headers, ca_file)


_USER = re.compile(r"//[^/@]*@")


def _with_variables(text: str, environ: Mapping[str, str]) -> str:
    """Fill in `${NAME}`, but no key of tm; raises ConfigurationError for one without a value."""
    try:
        return fill(text, {k: v for k, v in environ.items() if k not in KEY_VARIABLES})
    except MissingValue as problem:
        raise ConfigurationError(
            f"the variable {problem.name} is not set", hint="a metric of the target needs it"
        ) from None
