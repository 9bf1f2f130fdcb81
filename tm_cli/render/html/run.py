"""One run on the page, the most telling first."""

from __future__ import annotations

from collections.abc import Sequence

from tm_cli.gate.checks import CheckResult
from tm_cli.gate.comparison import Comparison
from tm_cli.gate.events import Attempt
from tm_cli.gate.evidence import Result
from tm_cli.gate.record import Record
from tm_cli.render.comparisons import comparison_cells
from tm_cli.render.html.charts import charts
from tm_cli.render.html.facts import codes_table, facts_table, measured_table
from tm_cli.render.html.markup import Child, Markup, element, joined, prose
from tm_cli.render.html.overview import attempt_mark, outcome_mark
from tm_cli.render.html.table import table, verdict_mark, without_empty
from tm_cli.render.outcome_words import plain_comparisons

MOST_SENTENCES = 50

_PASSED = {True: ("passed", "PASS"), False: ("failed", "FAIL"), None: ("not measured", "unknown")}


def run_section(record: Record, position: int, *, several: bool) -> Markup:
    """Return everything about one subject; `position` is its place among the records."""
    end = record.end
    result, decision = end.result, end.decision
    parts: list[Child] = [_heading(record, several=several)]
    if several or result is None:
        parts.append(element("p", prose(decision.message)))
        parts.append(element("p", "Next: ", prose(decision.hint)) if decision.hint else None)
    if result is not None:
        parts += [_sentences("Reasons", result.reasons), _compared(record, result)]
    parts.append(_checks(decision.checks))
    if result is not None:
        parts.append(charts(record, position))
        parts.append(_numbers(result, end.baseline))
        parts.append(_sentences("Notes", result.notes))
    parts.append(_earlier(end.earlier))
    parts.append(_titled("About this run", facts_table(record)))
    return element("section", *parts, id=f"run-{position}", class_="run")


def _numbers(result: Result, baseline: Result | None) -> Markup:
    """Totals and response codes, beside each other where there is room."""
    both = (
        _titled("Measured", measured_table(result, baseline)),
        _titled("Responses", codes_table(result, baseline)),
    )
    return element("div", *(element("div", part) for part in both if part), class_="pair")


def _heading(record: Record, *, several: bool) -> Markup:
    """Where there is one run, the heading of the page names it; this one is for screen readers."""
    if not several:
        return element("h2", "The run", class_="unseen")
    return element("h2", outcome_mark(record), " ", element("span", record.subject))


def _titled(title: str, content: Markup) -> Markup | None:
    return joined([element("h3", title), content]) if content else None


def _sentences(title: str, sentences: tuple[str, ...]) -> Markup | None:
    if not sentences:
        return None
    items = [element("li", sentence) for sentence in sentences[:MOST_SENTENCES]]
    if (more := len(sentences) - MOST_SENTENCES) > 0:
        items.append(element("li", f"and {more} more"))
    return _titled(title, element("ul", *items))


def _compared(record: Record, result: Result) -> Markup | None:
    """Every comparison; without any, the metrics beside those of the baseline."""
    compared = [item for item in result.comparisons if item.is_worth_a_row]
    others = [item for item in result.comparisons if not item.is_worth_a_row]
    shown = compared or plain_comparisons(result, record.end.baseline)
    if not shown and not others:
        return None
    other = result.basis.other
    grid = _comparisons(f"This run beside its {other}", shown, other) if shown else None
    more = f"{len(others)} more that need no {other}, all PASS"
    folded = element("details", element("summary", more), _comparisons(more, others, other))
    return _titled("Comparison", joined([grid, folded if others else None]))


def _comparisons(caption: str, items: Sequence[Comparison], other: str) -> Markup:
    rows: list[list[Child]] = []
    for item in items:
        metric, value, before, change, interval, p_value, limits, verdict = comparison_cells(item)
        mark = verdict if verdict == "-" else verdict_mark(verdict)
        rows.append([metric, before, value, change, interval, p_value, limits, mark])
    head, rows = without_empty(
        (
            "Metric", other.capitalize(), "Now", "Change", "95 % interval", "p",
            "Limit (WARN / FAIL)", "Verdict",
        ),
        rows,
        keep=3,
    )  # fmt: skip
    note = "* the change is larger than the noise" if any(i.significant for i in items) else None
    words = {head.index("Verdict")} if "Verdict" in head else set()
    return table(caption, head, rows, words=words, note=note)


def _checks(checks: tuple[CheckResult, ...]) -> Markup | None:
    if not checks:
        return None
    rows = [
        (element("code", item.check.text), verdict_mark(*_PASSED[item.passed]), item.reason)
        for item in checks
    ]
    head = ("Check", "Outcome", "Measured")
    return _titled("Checks", table("Conditions beside the verdict", head, rows, words={1, 2}))


def _earlier(attempts: tuple[Attempt, ...]) -> Markup | None:
    """The runs that this one was to confirm."""
    if not attempts:
        return None
    rows = [
        (
            attempt.run.run_id or "without id" if attempt.run else "without id",
            verdict_mark((attempt.result.verdict_text if attempt.result else None) or "NO VERDICT"),
            attempt_mark(attempt),
            "; ".join(_why(attempt)),
        )
        for attempt in attempts
    ]
    head = ("Run", "Verdict", "Outcome", "Why")
    caption = "Runs before this one, which --confirm repeated"
    return _titled("Earlier runs", table(caption, head, rows, words={1, 2, 3}))


def _why(attempt: Attempt) -> list[str]:
    failed = [item.reason for item in attempt.decision.checks if item.passed is False]
    reasons = list(attempt.result.reasons) if attempt.result else []
    return reasons + failed or [attempt.decision.message]
