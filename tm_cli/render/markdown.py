"""The outcome as Markdown: a file, a step summary, a comment on a pull request."""

from __future__ import annotations

from tm_cli.exit_codes import ExitCode
from tm_cli.gate.events import Decided
from tm_cli.gate.evidence import Result
from tm_cli.gate.record import Evidence, Record
from tm_cli.render.comparisons import escaped, markdown_table
from tm_cli.render.markdown_details import details
from tm_cli.render.mermaid import course_charts
from tm_cli.render.outcome_words import outcome_word, plain_comparisons, verdict_word
from tm_cli.render.sections import Section, joined

MOST_REASONS = 30
MOST_SUBJECTS = 100

_MARKS = {True: "passed", False: "failed", None: "not measured"}


def markdown(evidence: Evidence, *, limit: int | None = None, footer: str = "") -> str:
    """Return the outcome in at most `limit` bytes; `footer` is Markdown already.

    No text of a server is obeyed: no markup, no link, no mention.
    """
    told = evidence.told
    sections = [*_overview(evidence)] if len(told) > 1 else []
    for record in told:
        sections += _sections(record, several=len(told) > 1)
    return joined([*sections, Section("links", 1, footer)], limit)


def _overview(evidence: Evidence) -> list[Section]:
    """One line for each of several subjects, the worst of which decides."""
    code = evidence.exit_code
    lines = [
        f"## {len(evidence.told)} runs: {code.name}",
        "",
        f"Exit code {int(code)}: the worst outcome decides.",
        "",
        "| Run | Outcome | Verdict |",
        "|---|---|---|",
    ]
    lines += [
        f"| {escaped(record.subject)} | {_strong(outcome_word(record.end))} "
        f"| {escaped(verdict_word(record.end))} |"
        for record in evidence.told[:MOST_SUBJECTS]
    ]
    if (more := len(evidence.told) - MOST_SUBJECTS) > 0:
        lines += ["", f"and {more} more runs"]
    return [Section("the overview", 0, "\n".join(lines))]


def _sections(record: Record, *, several: bool) -> list[Section]:
    end = record.end
    result = end.result
    parts = [Section("what was decided", 1 if several else 0, _head(record))]
    if result is not None:
        parts.append(Section("reasons", 2, _reasons(result)))
    if checks := _checks(end):
        parts.append(Section("checks", 2, checks))
    if result is not None:
        parts.append(Section("tables of metrics", 3, _table(result, end)))
        charts = course_charts(
            result.course,
            end.baseline.course if end.baseline else (),
            other_name=result.basis.other,
        )
        parts.append(Section("charts", 5, charts))
    parts.append(Section("details", 4, details(record)))
    return parts


def _head(record: Record) -> str:
    decision = record.end.decision
    code = decision.exit_code
    lines = [
        f"### {escaped(outcome_word(record.end))}: {escaped(record.subject)}",
        "",
        f"Exit code {int(code)} (`{code.name}`): {escaped(decision.message)}",
    ]
    if decision.hint and decision.exit_code is not ExitCode.OK:
        lines += ["", f"Hint: {escaped(decision.hint)}"]
    return "\n".join(lines)


def _reasons(result: Result) -> str:
    shown = [f"- {escaped(reason)}" for reason in result.reasons[:MOST_REASONS]]
    if (more := len(result.reasons) - MOST_REASONS) > 0:
        shown.append(f"- and {more} more")
    return "\n".join(shown)


def _checks(end: Decided) -> str:
    lines = [f"- {_MARKS[item.passed]}: {escaped(item.reason)}" for item in end.decision.checks]
    return "\n".join(["Checks:", "", *lines]) if lines else ""


def _table(result: Result, end: Decided) -> str:
    """Every comparison that is worth a row; without any, the metrics beside the baseline's."""
    compared = [item for item in result.comparisons if item.is_worth_a_row]
    shown = compared or plain_comparisons(result, end.baseline)
    other = result.basis.other.capitalize()
    return markdown_table(shown, names=(other, "Now")) if shown else ""


def _strong(text: str) -> str:
    return escaped(text) if text == "PASS" else f"**{escaped(text)}**"
