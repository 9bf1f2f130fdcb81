"""`--report FORMAT=FILE`: written as undecided first, replaced by the outcome at the end.

Whoever reads a report after a crash, a kill or a cancelled job must not find an old pass in it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tm_cli.commands.outcome import as_document
from tm_cli.errors import TmError, UsageError
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.record import Evidence, Record
from tm_cli.render.junit import junit
from tm_cli.render.machine import error_document, to_json
from tm_cli.terminal import Terminal


class Format(StrEnum):
    """The formats of a report."""

    JSON = "json"
    JUNIT = "junit"


_UNDECIDED = TmError("tm did not come to its end", code="undecided")
_UNDECIDED.exit_code = ExitCode.UNDECIDED


@dataclass(frozen=True, slots=True)
class Report:
    """A file and its format."""

    format: Format
    path: Path

    def write(self, evidence: Evidence) -> None:
        """Write the outcome; raises OSError."""
        if self.format is Format.JUNIT:
            self._replace(junit(evidence.records))
        else:
            self._replace(to_json(as_document(evidence)) + "\n")

    def write_error(self, error: TmError) -> None:
        """Write that nothing was decided, and why; raises OSError."""
        if self.format is Format.JUNIT:
            self._replace(junit([Record("tm", "tm")]))
        else:
            self._replace(to_json(error_document(error)) + "\n")

    def _replace(self, text: str) -> None:
        """Replace the file in one step, so that nobody reads half of it."""
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}.new")
        try:
            with draft.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except BaseException:  # a signal, too, must not leave the draft behind
            with suppress(OSError):
                draft.unlink()
            raise


@dataclass(frozen=True, slots=True)
class Reports:
    """All reports of one wait."""

    reports: tuple[Report, ...] = ()

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Write every report as undecided; an error that ends the wait goes into them.

        Raises UsageError, before anything is sent, when a file cannot be written.
        """
        for report in self.reports:
            try:
                report.write_error(_UNDECIDED)
            except OSError as problem:
                raise UsageError(
                    f"--report: cannot write {report.path}: {problem.strerror}"
                ) from None
        try:
            yield
        except TmError as error:
            for report in self.reports:
                with suppress(OSError):
                    report.write_error(error)
            raise

    @property
    def want_baseline(self) -> bool:
        """Whether a report shows the baseline run beside ours."""
        return False

    def finish(self, evidence: Evidence, terminal: Terminal) -> ExitCode:
        """Write the outcome into every report; one that is lost turns OK into OUTPUT."""
        code = evidence.exit_code
        for report in self.reports:
            try:
                report.write(evidence)
            except OSError as problem:
                terminal.note(f"tm: cannot write {report.path}: {problem.strerror}")
                code = ExitCode.OUTPUT if code is ExitCode.OK else code
        return code


def read_reports(flags: Sequence[str], cwd: Path) -> Reports:
    """Return the reports that `FORMAT=FILE` flags ask for; raises UsageError."""
    reports = tuple(_report(flag, cwd) for flag in flags)
    files = [report.path.parent.resolve() / report.path.name for report in reports]
    for position, report in enumerate(reports):
        if files[position] in files[:position]:
            raise UsageError(
                f"--report: {report.path} is named twice",
                hint="the second report would replace the first: give each a file of its own",
            )
    return Reports(reports)


def _report(flag: str, cwd: Path) -> Report:
    name, separator, file = flag.partition("=")
    formats = " and ".join(item.value for item in Format)
    if not separator or name.lower() not in list(Format) or not file.strip():
        raise UsageError(f"--report: {flag!r} is not FORMAT=FILE; the formats are {formats}")
    path = cwd / file
    if path.is_dir():
        raise UsageError(f"--report: {file} is a directory")
    return Report(Format(name.lower()), path)
