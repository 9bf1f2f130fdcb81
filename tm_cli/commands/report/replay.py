"""Evaluates, explains, shows and converts saved reports, JSON or HTML."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from tm_cli.api import strict_json
from tm_cli.cli.options import read_checks
from tm_cli.cli.session import CommandContext
from tm_cli.commands.shared.follow import print_outcome
from tm_cli.commands.shared.report_sinks import Report, Reports, read_reports
from tm_cli.errors import ConfigurationError, OutputError, TmError, UsageError
from tm_cli.gate.outcome import GateOutcome, replay
from tm_cli.gate.policy import Gate
from tm_cli.render.html.markup import DATA_ELEMENT
from tm_cli.render.summary import explanation, run_summary
from tm_cli.report.reader import InvalidReport, read_report
from tm_cli.report.writer import as_document
from tm_cli.values.text import sanitize
from tm_cli.values.verdict import parse_fail_on

LARGEST = 256 * 1024 * 1024
"""Bytes; a run of two days has a hundredth of it."""


def evaluate(
    session: CommandContext,
    file: str,
    *,
    fail_on: str | None,
    checks: Sequence[str] | None,
    reports: Sequence[str],
) -> int:
    """Re-evaluate a report by its gate, which flags change; return the exit code."""
    path = session.context.cwd / file
    written = _reports(session, reports, path)
    saved = load(path)
    gate = _changed(saved, fail_on, checks)
    with Reports(written, now=session.context.clock.now).covering() as places:
        places.begin()
        again = replace(replay(saved, gate), made_at=session.context.clock.now())
    if again.error is not None:
        raise again.error
    code = Reports(written).finish(again)
    print_outcome(session, replace(again, exit_code=code))
    return int(code)


def _changed(saved: GateOutcome, fail_on: str | None, checks: Sequence[str] | None) -> Gate:
    """Return the gate of the report, in which each flag replaces its part."""
    gate = saved.gate
    if fail_on is not None:
        try:
            gate = replace(gate, fail_on=parse_fail_on(fail_on))
        except ValueError as problem:
            raise UsageError(f"--fail-on: {problem}") from None
    if checks:
        gate = replace(gate, checks=read_checks(list(checks)))
    if not gate.is_set and saved.error is None:
        raise UsageError(
            "the report was made without a gate, and no gate is given",
            hint="give --fail-on or --assert",
        )
    return gate


def _reports(session: CommandContext, flags: Sequence[str], source: Path) -> tuple[Report, ...]:
    """Return the reports to write, none of them over the file that is read."""
    reports = read_reports(flags, session.context.cwd, session.terminal)
    for report in reports:
        if same_file(report.path, source):
            raise UsageError(
                f"--report: {report.path} is the report that is read",
                hint="a crash would destroy it: name another file",
            )
    return reports


def explain(session: CommandContext, file: str) -> int:
    outcome = load(session.context.cwd / file)
    sentence, details = explanation(outcome)
    data = {
        "exit_code": int(outcome.exit_code),
        "exit_name": outcome.exit_code.name,
        "explanation": sentence,
        "details": details,
    }
    return session.emit(data, lambda: "\n".join([sentence, *(f"  {line}" for line in details)]))


def show(session: CommandContext, file: str) -> int:
    outcome = load(session.context.cwd / file)
    return session.emit(as_document(outcome), lambda: _summary(session, outcome))


def _summary(session: CommandContext, outcome: GateOutcome) -> str:
    lines = []
    for record in outcome.reported:
        end = record.end
        if end.run is not None:
            lines.append(run_summary(session.terminal, end))
        decision = f"{record.subject}: {end.decision.message}"
        lines.append(f"{sanitize(decision)} (exit {int(end.decision.exit_code)})")
    return "\n".join(lines)


def render(session: CommandContext, file: str, flags: Sequence[str]) -> int:
    """Write a saved report in other formats; raises OutputError."""
    path = session.context.cwd / file
    reports = _reports(session, flags, path)
    outcome = load(path)
    for report in reports:
        try:
            report.write(outcome)
        except OSError as problem:
            raise OutputError(f"cannot write {report.path}: {problem.strerror}") from None
    written = [str(report.path) for report in reports]
    return session.emit(
        {"written": written}, lambda: "\n".join(f"wrote {name}" for name in written)
    )


def load(path: Path) -> GateOutcome:
    """Read a report; raises ConfigurationError for a file that is not one."""
    try:
        return read_report(strict_json.parse(_document(_text(path))))
    except (InvalidReport, ValueError) as problem:
        raise _unusable(path, sanitize(problem)) from None


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise _unusable(path, "it is too large")
        return path.read_text(encoding="utf-8-sig")
    except OSError as problem:
        raise ConfigurationError(
            f"cannot read the report {path}: {problem.strerror}",
            hint="`--report json=FILE` writes one",
        ) from None


def _unusable(path: Path, problem: str) -> TmError:
    return ConfigurationError(
        f"{path} is not a usable report: {problem}",
        hint="name a file that `--report json=FILE` or `--report html=FILE` has written",
    )


def _document(text: str) -> str:
    """Return the JSON text: the whole file, or what an HTML page embeds."""
    if not text.lstrip().startswith("<"):
        return text
    page = _Page()
    page.feed(text)
    page.close()
    if len(page.found) != 1:
        raise InvalidReport(f"expected one report in the page, found {len(page.found)}")
    return page.found[0]


class _Page(HTMLParser):
    """Collects the contents of the elements that hold a report."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.found: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = dict(attrs)
        if (
            tag == "script"
            and own.get("id") == DATA_ELEMENT
            and own.get("type") == "application/json"
        ):
            self._inside = True
            self.found.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.found[-1] += data


def same_file(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)  # `resolve` raises for a loop
