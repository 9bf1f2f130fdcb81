"""`--report FORMAT=FILE`: written as undecided first, replaced by the outcome at the end.

Whoever reads a report after a crash, a kill or a cancelled job must not find an old pass in it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tm_cli.device_paths import find_device
from tm_cli.errors import UsageError
from tm_cli.gate.events import Event
from tm_cli.gate.record import Evidence
from tm_cli.terminal import Terminal
from tm_cli.whole_files import write_whole


class Format(StrEnum):
    """The formats of a report."""

    JSON = "json"
    JUNIT = "junit"
    MARKDOWN = "markdown"
    HTML = "html"
    CSV = "csv"
    DOTENV = "dotenv"
    METRICS = "metrics"


WITHOUT_BASELINE = frozenset({Format.JUNIT, Format.DOTENV})
"""Formats that show nothing of the run that ours was compared with."""


def rendered(form: Format, evidence: Evidence) -> str:
    """Return the evidence in one format."""
    match form:
        case Format.JSON:
            from tm_cli.render.machine import to_json
            from tm_cli.report.writer import report_document

            return to_json(report_document(evidence)) + "\n"
        case Format.JUNIT:
            from tm_cli.render.junit import junit_report

            return junit_report(evidence)
        case Format.MARKDOWN:
            from tm_cli.render.markdown import markdown

            return markdown(evidence)
        case Format.HTML:
            from tm_cli.render.html import html
            from tm_cli.report.writer import report_document

            return html(evidence, report_document(evidence))
        case Format.CSV:
            from tm_cli.render.series_csv import series_csv

            return series_csv(evidence)
        case Format.DOTENV:
            from tm_cli.render.gitlab import dotenv

            return dotenv(evidence)
        case Format.METRICS:
            from tm_cli.render.openmetrics import openmetrics

            return openmetrics(evidence)


@dataclass(frozen=True, slots=True)
class Report:
    """A file and its format."""

    format: Format
    path: Path
    terminal: Terminal

    @property
    def wants_baseline(self) -> bool:
        """Whether this format shows the baseline run."""
        return self.format not in WITHOUT_BASELINE

    def begin(self, undecided: Evidence) -> None:
        """Take the place of an older report; raises UsageError when that cannot be."""
        try:
            if (device := find_device(self.path)) is not None:
                device.check()  # it has no older report, and its reader wants one document
            else:
                self.write(undecided)
        except OSError as problem:
            raise UsageError(f"--report: cannot write {self.path}: {problem.strerror}") from None

    def note(self, position: int, event: Event) -> None:
        """A file tells the end only."""

    def finish(self, evidence: Evidence) -> bool:
        """Write the outcome."""
        try:
            self.write(evidence)
        except OSError as problem:
            self.terminal.note(f"tm: cannot write {self.path}: {problem.strerror}")
            return False
        return True

    def write(self, evidence: Evidence) -> None:
        """Replace the file in one step, so that nobody reads half of it; raises OSError."""
        write_whole(self.path, rendered(self.format, evidence))


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
        formats = ", ".join(Format)
        raise UsageError(f"--report: {flag!r} is not FORMAT=FILE; the formats are {formats}")
    path = cwd / file
    if path.is_dir():
        raise UsageError(f"--report: {file} is a directory")
    return Report(Format(name.lower()), path, terminal)
