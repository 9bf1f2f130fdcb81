"""Where a gate reports to in addition to the terminal: files, and the CI platform."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from tm_cli.cli.session import CommandContext
from tm_cli.errors import TmError, UsageError
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.events import Event
from tm_cli.gate.outcome import GateOutcome
from tm_cli.gate.policy import Gate
from tm_cli.runtime.device_paths import find_device
from tm_cli.runtime.files import write_atomic
from tm_cli.runtime.terminal import Terminal

_UNDECIDED = TmError("tm was terminated before it finished", code="undecided")
_UNDECIDED.exit_code = ExitCode.UNDECIDED


def _now() -> datetime:
    return datetime.now(UTC)


class Sink(Protocol):
    """One place that a gate reports to."""

    @property
    def wants_baseline(self) -> bool:
        """Whether it shows the baseline run as well."""
        ...

    def begin(self, undecided: GateOutcome) -> None:
        """Report that nothing is decided, before anything is sent; raises UsageError."""
        ...

    def note(self, position: int, event: Event) -> None:
        """Take an event of the subject at `position`; one may come twice."""
        ...

    def finish(self, evidence: GateOutcome) -> bool:
        """Report the outcome; False when something that was asked for is lost."""
        ...


@dataclass(slots=True)
class Reports:
    """All places where one call reports; `now` is the wall clock."""

    sinks: tuple[Sink, ...] = ()
    now: Callable[[], datetime] = _now
    _has_begun: bool = field(default=False, init=False)
    _is_open: bool = field(default=False, init=False)

    def begin(self) -> None:
        """Report everywhere that nothing is decided.

        Raises UsageError, before anything is sent, when a file cannot be written.
        """
        self._has_begun = True
        for sink in self.sinks:
            sink.begin(self._error(_UNDECIDED))
        self._is_open = True

    @contextmanager
    def covering(self) -> Iterator[Reports]:
        """Report an error that ends the call, also one before the wait began.

        An older report must not stay where a call has ended in an error.
        """
        try:
            yield self
        except TmError as error:
            if not self._has_begun:
                with suppress(TmError):
                    self.begin()
            if self._is_open:
                for sink in self.sinks:
                    sink.finish(self._error(error))
            raise

    @property
    def want_baseline(self) -> bool:
        """Whether any of them shows the baseline run."""
        return any(sink.wants_baseline for sink in self.sinks)

    def note(self, position: int, event: Event) -> None:
        for sink in self.sinks:
            sink.note(position, event)

    def finish(self, evidence: GateOutcome) -> ExitCode:
        """Report the outcome everywhere; what is lost turns OK into OUTPUT, for later sinks too."""
        for sink in self.sinks:
            if not sink.finish(evidence) and evidence.exit_code is ExitCode.OK:
                evidence = replace(evidence, exit_code=ExitCode.OUTPUT)
        return evidence.exit_code

    def _error(self, error: TmError) -> GateOutcome:
        return GateOutcome((), Gate(), error.exit_code, self.now(), error)


class Format(StrEnum):
    JSON = "json"
    JUNIT = "junit"
    MARKDOWN = "markdown"
    HTML = "html"
    CSV = "csv"
    DOTENV = "dotenv"
    METRICS = "metrics"


_SUFFIXES = {
    ".json": Format.JSON,
    ".xml": Format.JUNIT,
    ".md": Format.MARKDOWN,
    ".html": Format.HTML,
    ".csv": Format.CSV,
    ".env": Format.DOTENV,
}

WITHOUT_BASELINE = frozenset({Format.JUNIT, Format.DOTENV})
"""Formats that show nothing of the baseline run."""


def rendered(form: Format, evidence: GateOutcome) -> str:
    match form:
        case Format.JSON:
            from tm_cli.render.formats.json_document import to_json
            from tm_cli.report.writer import report_document

            return to_json(report_document(evidence)) + "\n"
        case Format.JUNIT:
            from tm_cli.render.formats.junit import junit_report

            return junit_report(evidence)
        case Format.MARKDOWN:
            from tm_cli.render.formats.markdown import markdown

            return markdown(evidence)
        case Format.HTML:
            from tm_cli.render.html import html
            from tm_cli.report.writer import report_document

            return html(evidence, report_document(evidence))
        case Format.CSV:
            from tm_cli.render.formats.csv import series_csv

            return series_csv(evidence)
        case Format.DOTENV:
            from tm_cli.render.formats.ci_log import dotenv

            return dotenv(evidence)
        case Format.METRICS:
            from tm_cli.render.formats.openmetrics import openmetrics

            return openmetrics(evidence)


@dataclass(frozen=True, slots=True)
class Report:
    """A file and its format."""

    format: Format
    path: Path
    terminal: Terminal

    @property
    def wants_baseline(self) -> bool:
        return self.format not in WITHOUT_BASELINE

    def begin(self, undecided: GateOutcome) -> None:
        """Take the place of an older report; raises UsageError when that cannot be."""
        try:
            if (device := find_device(self.path)) is not None:
                device.check()  # it has no older report, and its reader wants one document
            else:
                self.write(undecided)
        except OSError as problem:
            raise UsageError(f"--report: cannot write {self.path}: {problem.strerror}") from None

    def note(self, position: int, event: Event) -> None:
        """A file shows the end only."""

    def finish(self, evidence: GateOutcome) -> bool:
        try:
            self.write(evidence)
        except OSError as problem:
            self.terminal.write_line(f"tm: cannot write {self.path}: {problem.strerror}")
            return False
        return True

    def write(self, evidence: GateOutcome) -> None:
        """Replace the file in one step, so that no reader finds half of it; raises OSError."""
        write_atomic(self.path, rendered(self.format, evidence))


def read_reports(flags: Sequence[str], cwd: Path, terminal: Terminal) -> tuple[Report, ...]:
    """Return the reports that `FORMAT=FILE` flags ask for; raises UsageError."""
    reports = tuple(_report(flag, cwd, terminal) for flag in flags)
    files = [(os.path.realpath(item.path.parent), item.path.name) for item in reports]
    for position, report in enumerate(reports):
        if files[position] in files[:position]:
            raise UsageError(
                f"--report: {report.path} is named twice",
                hint="the second report would replace the first: give each a file of its own",
            )
    return reports


def _report(flag: str, cwd: Path, terminal: Terminal) -> Report:
    name, separator, file = flag.partition("=")
    if not separator or name.lower() not in list(Format) or not file.strip():
        form = _SUFFIXES.get(Path(flag).suffix.lower())
        formats = ", ".join(Format)
        raise UsageError(
            f"--report: expected FORMAT=FILE instead of {flag!r}",
            hint=f"--report {form.value}={flag}" if form else f"the formats are {formats}",
        )
    path = cwd / file
    if path.is_dir():
        raise UsageError(f"--report: {file} is a directory")
    return Report(Format(name.lower()), path, terminal)


def read_sinks(
    session: CommandContext, flags: Sequence[str], *, github: bool | None, gitlab: bool | None
) -> Reports:
    """Return the places for one call; None leaves a platform to its environment.

    Raises UsageError for a bad report. Files come first: one that is lost changes the exit code
    that the platform shows.
    """
    environ, clock = session.context.environ, session.context.clock
    reports = read_reports(flags, session.context.cwd, session.terminal)
    on_github = environ.get("GITHUB_ACTIONS") == "true" if github is None else github
    on_gitlab = environ.get("GITLAB_CI") == "true" if gitlab is None else gitlab
    sinks: list[Sink] = list(reports)
    if on_github:
        sinks.append(_github(session, reports))
    if on_gitlab:
        from tm_cli.commands.shared.ci_platforms import GitLab

        sinks.append(GitLab(session.terminal, clock))
    return Reports(tuple(sinks), now=clock.now)


def _github(session: CommandContext, reports: Sequence[Report]) -> Sink:
    from tm_cli.commands.shared.ci_platforms import GitHub

    return GitHub(
        session.terminal,
        session.context.make_token(),
        output=_file(session, "GITHUB_OUTPUT"),
        summary=step_summary(session) if session.settings.value("github_summary") else None,
        annotates=session.settings.value("github_annotations"),
        reports=[(report.format, report.path) for report in reports],
    )


def step_summary(session: CommandContext) -> Path | None:
    """The file that the runner takes a summary from; None where it named none."""
    return _file(session, "GITHUB_STEP_SUMMARY")


def _file(session: CommandContext, variable: str) -> Path | None:
    name = session.context.environ.get(variable)
    return session.context.cwd / name if name else None
