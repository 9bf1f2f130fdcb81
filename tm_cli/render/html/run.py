"""The sections of a page: the overview of all runs, and one section per run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tm_cli.exit_codes import ExitCode
from tm_cli.gate.checks import ConditionResult
from tm_cli.gate.events import RunAttempt
from tm_cli.gate.model import Comparison, Result, Step
from tm_cli.gate.outcome import GateOutcome, Record
from tm_cli.gate.policy import Gate
from tm_cli.gate.target_metrics import sparkline
from tm_cli.render.comparisons import (
    compared_rows,
    comparison_cells,
    known_columns,
    noise_text,
)
from tm_cli.render.html.charts import charts
from tm_cli.render.html.markup import (
    Child,
    Markup,
    colour_of,
    element,
    joined,
    prose,
    table,
    verdict_mark,
)
from tm_cli.render.steps import HEAD, step_cells
from tm_cli.render.summary import (
    NO_VERDICT,
    baseline_name,
    explanation,
    failed_checks,
    leading,
    outcome_word,
    response_codes,
    target_cells,
    verdict_word,
)
from tm_cli.render.tables import milliseconds, percent, rate
from tm_cli.values.text import as_number
from tm_cli.values.verdict import GATED

_VERDICTS = frozenset({ExitCode.FAIL, ExitCode.WARN, ExitCode.NO_BASELINE})


def overview(outcome: GateOutcome) -> Markup:
    """Return the outcome, what its exit code means and what the gate asked for."""
    records = outcome.reported
    word, kind = _outcome(outcome)
    subject = records[0].subject if len(records) == 1 else f"{len(records)} runs"
    sentence, _ = explanation(outcome)
    return element(
        "section",
        element("h1", verdict_mark(word, kind), " ", element("span", subject)),
        element("p", sentence, class_="lede"),
        element("dl", *_code(outcome), *_gate(outcome)),
        _runs(outcome) if len(records) > 1 else None,
        id="outcome",
        class_=f"outcome {colour_of(kind)}",
    )


def _outcome(outcome: GateOutcome) -> tuple[str, str]:
    """Return the word for the whole and the verdict whose colour it has.

    Several runs without a gate are not green.
    """
    code = outcome.exit_code
    if code is ExitCode.OK and len(outcome.reported) == 1:
        end = outcome.reported[0].end
        return outcome_word(end), _kind(code, end.result)
    if code is ExitCode.OK and outcome.gate.is_set:
        return code.name, "PASS"
    return code.name, _kind(code, None)


def outcome_mark(record: Record) -> Markup:
    """Return the word for the outcome of one run in the colour of what it means."""
    end = record.end
    return verdict_mark(outcome_word(end), _kind(end.decision.exit_code, end.result))


def attempt_mark(attempt: RunAttempt) -> Markup:
    """Return the name of the exit code that one run of several would have had."""
    code = attempt.decision.exit_code
    return verdict_mark(code.name, _kind(code, attempt.result))


def _kind(code: ExitCode, result: Result | None) -> str:
    """Return the verdict whose colour fits: for OK the verdict of the run, if it is known."""
    if code is ExitCode.OK:
        return result.verdict if result and result.verdict else "unknown"
    return code.name if code in _VERDICTS else "unknown"


def _code(outcome: GateOutcome) -> list[Markup]:
    code = outcome.exit_code
    rows = [
        element("dt", "Exit code"),
        element("dd", f"{int(code)} ({code.name}): ", prose(code.meaning)),
    ]
    if code is not ExitCode.OK:
        hint = leading(outcome).end.decision.hint or code.advice
        rows += [element("dt", "Next"), element("dd", prose(hint))]
    return rows


def _gate(outcome: GateOutcome) -> list[Markup]:
    if outcome.error is not None:
        return []
    return [element("dt", "Gate"), element("dd", _gate_text(outcome.gate))]


def _gate_text(gate: Gate) -> str:
    if not gate.is_set:
        return "none; the verdict only informs"
    lists = {"fails on": gate.fail_on, "warns on": gate.warn_on}
    parts = [
        f"{what} {', '.join(verdict for verdict in GATED if verdict in listed)}"
        for what, listed in lists.items()
        if listed
    ]
    parts += [f"needs {text}" for text in gate.requirements]
    if gate.confirm:
        times = "once" if gate.confirm == 1 else f"up to {gate.confirm} times"
        parts.append(f"repeats a failing run {times}")
    return "; ".join(parts)


def _runs(outcome: GateOutcome) -> Markup:
    rows = [
        (
            element("a", record.subject, href=f"#run-{n}"),
            outcome_mark(record),
            verdict_word(record.end),
            str(int(record.end.decision.exit_code)),
            "stopped; it does not count" if record.end.abandoned else record.end.decision.message,
        )
        for n, record in enumerate(outcome.reported)
    ]
    head = ("Run", "Outcome", "Verdict", "Exit code", "Why")
    return table("All runs; the worst outcome decides", head, rows, words={1, 2, 4})


MOST_METRICS = 40
MOST_SENTENCES = 50

_PASSED = {True: ("passed", "PASS"), False: ("failed", "FAIL"), None: ("not measured", "unknown")}
_METRICS = {
    "totalRequests": "requests",
    "totalErrors": "errors",
    "successRate": "success",
    "avgRps": "requests/s on average",
    "peakRps": "requests/s at the peak",
}
_FACTS = {"targetUrl": "Target", "region": "Region"}
_TIMES = {"startedAt": "Started", "finishedAt": "Finished"}


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
        parts.append(_steps(result.steps))
    parts.append(_checks(decision.checks))
    if result is not None:
        parts.append(charts(record, position))
        parts.append(_numbers(result, end.baseline))
        parts.append(_target(result))
        parts.append(_sentences("Notes", result.notes))
    parts.append(_earlier(end.earlier))
    parts.append(_titled("About this run", _facts_table(record)))
    return element("section", *parts, id=f"run-{position}", class_="run")


def _numbers(result: Result, baseline: Result | None) -> Markup:
    """Return totals and response codes, side by side where there is room."""
    both = (
        _titled("Measured", _measured_table(result, baseline)),
        _titled("Responses", _codes_table(result, baseline)),
    )
    return element("div", *(element("div", part) for part in both if part), class_="pair")


def _target(result: Result) -> Markup | None:
    """Return what was recorded of the target on the machine of the gate."""
    if not result.target_metrics:
        return None
    rows = [
        (*target_cells(metric), sparkline(metric))
        for _, metric in sorted(result.target_metrics.items())
    ]
    head = ("Metric", "Mean", "p95", "Max", "Last", "Course")
    return _titled("Target", table("What was recorded of the target", head, rows, words={5}))


def _heading(record: Record, *, several: bool) -> Markup:
    """Return a heading; of a single run, which the page names, one for screen readers."""
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
    """Return every comparison; without any, the metrics next to the baseline's."""
    shown = compared_rows(result, record.end.baseline)
    others = [item for item in result.comparisons if not item.is_worth_a_row]
    if not shown and not others:
        return None
    other = result.basis.other
    grid = _comparisons(f"This run and its {other}", shown, other) if shown else None
    more = f"{len(others)} more that need no {other}, all PASS"
    folded = element("details", element("summary", more), _comparisons(more, others, other))
    return _titled("Comparison", joined([grid, folded if others else None]))


def _comparisons(caption: str, items: Sequence[Comparison], other: str) -> Markup:
    head = (
        "Metric", other.capitalize(), "Now", "Change", "95 % interval", "p", "Limit (WARN / FAIL)",
        "Verdict",
    )  # fmt: skip
    rows: list[list[Child]] = []
    for item in items:
        metric, value, before, change, interval, p_value, limits, verdict = comparison_cells(item)
        mark = verdict if verdict == "-" else verdict_mark(verdict)
        rows.append([metric, before, value, change, interval, p_value, limits, mark])
    used = known_columns(rows, keep=3)
    words = {used.index(7)} if 7 in used else set()
    note = noise_text(items) if any(item.significant for item in items) else None
    return table(
        caption,
        [head[n] for n in used],
        [[row[n] for n in used] for row in rows],
        words=words,
        note=note,
    )


def _steps(steps: Sequence[Step]) -> Markup | None:
    if not steps:
        return None
    rows: list[list[Child]] = []
    for step in steps:
        *cells, verdict = step_cells(step)
        rows.append([*cells, verdict if verdict == "-" else verdict_mark(verdict)])
    head = [title.capitalize() for title in HEAD]
    return _titled("Steps", table("Steps, the worst first", head, rows, words={len(HEAD) - 1}))


def _checks(checks: tuple[ConditionResult, ...]) -> Markup | None:
    if not checks:
        return None
    rows = [
        (element("code", item.check.text), verdict_mark(*_PASSED[item.passed]), item.reason)
        for item in checks
    ]
    head = ("Check", "Outcome", "Measured")
    return _titled("Checks", table("Conditions on metrics", head, rows, words={1, 2}))


def _earlier(attempts: tuple[RunAttempt, ...]) -> Markup | None:
    """Return the runs that this one was to confirm."""
    if not attempts:
        return None
    rows = [
        (
            attempt.run.run_id or "without id" if attempt.run else "without id",
            verdict_mark((attempt.result.verdict_text if attempt.result else None) or NO_VERDICT),
            attempt_mark(attempt),
            "; ".join(_why(attempt)),
        )
        for attempt in attempts
    ]
    head = ("Run", "Verdict", "Outcome", "Why")
    caption = "Runs before this one, which --confirm repeated"
    return _titled("Earlier runs", table(caption, head, rows, words={1, 2, 3}))


def _why(attempt: RunAttempt) -> list[str]:
    reasons = list(attempt.result.reasons) if attempt.result else []
    return reasons + failed_checks(attempt.decision) or [attempt.decision.message]


def _measured_table(result: Result, baseline: Result | None) -> Markup:
    """Return every number that was measured, next to that of the other run; may be empty."""
    there = baseline.metrics if baseline else {}
    ours, theirs = _values(result.metrics), _values(there)
    rows: list[tuple[Child, ...]] = [
        (_name(name), *([_shown(name, theirs.get(name))] if theirs else []), _shown(name, value))
        for name, value in list(ours.items())[:MOST_METRICS]
    ]
    if not rows:
        return joined([])
    other = [result.basis.other.capitalize()] if theirs else []
    return table("What was measured", ("Quantity", *other, "Now"), rows)


def _codes_table(result: Result, baseline: Result | None) -> Markup:
    """Return how the target answered, and how it failed to; may be empty."""
    ours, theirs = response_codes(result.facts), response_codes(baseline.facts if baseline else {})
    if not ours and not theirs:
        return joined([])
    names = sorted(ours.keys() | theirs.keys(), key=lambda name: (-ours.get(name, 0), name))
    all_ours, all_theirs = sum(ours.values()), sum(theirs.values())
    rows: list[tuple[Child, ...]] = [
        (
            name,
            *([_count(theirs.get(name, 0)), _share(theirs, name, all_theirs)] if theirs else []),
            _count(ours.get(name, 0)),
            _share(ours, name, all_ours),
        )
        for name in names
    ]
    other = result.basis.other.capitalize()
    compared = [other, f"{other}, share"] if theirs else []
    return table("Responses by code", ("Response", *compared, "Now", "Now, share"), rows)


def _facts_table(record: Record) -> Markup:
    """Return where and when the run was, and what it was compared with."""
    return element("dl", *(_pair(name, value) for name, value in _facts(record) if value))


def _facts(record: Record) -> list[tuple[str, str | None]]:
    end, result = record.end, record.end.result
    facts = result.facts if result else {}
    found: list[tuple[str, str | None]] = [
        ("System", record.system if end.run or result else None),
        ("Run", end.run.run_id if end.run else None),
        ("History", _text(facts.get("id"))),
        ("Status", record.status),
    ]
    found += [(shown, _text(facts.get(name))) for name, shown in _FACTS.items()]
    found += [(shown, _moment(facts.get(name))) for name, shown in _TIMES.items()]
    tags = facts.get("tags")
    found.append(("Tags", ", ".join(map(str, tags)) if isinstance(tags, list) else None))
    return found + (_basis(result) if result else [])


def _basis(result: Result) -> list[tuple[str, str | None]]:
    basis = result.basis
    return [
        ("Baseline", None if basis.baseline is None else baseline_name(basis)),
        ("Reference", f"run {basis.reference}" if basis.reference is not None else None),
        ("Other target", f"{basis.against}, under the same load" if basis.against else None),
    ]


def _pair(name: str, value: str | None) -> Markup:
    return joined([element("dt", name), element("dd", value)])


def _text(value: Any) -> str | None:
    return None if value is None or isinstance(value, Mapping | list) else str(value)


def _moment(value: Any) -> str | None:
    """Return a time as people read it, or as it was sent."""
    try:
        return f"{datetime.fromisoformat(value).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (TypeError, ValueError, OverflowError):
        return _text(value)


def _values(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return all that are numbers, those with a name of ours first."""
    found = {name: metrics.get(name) for name in _METRICS}
    quantiles = metrics.get("latencyQuantiles")
    found |= quantiles if isinstance(quantiles, Mapping) else {}
    found |= {name: value for name, value in metrics.items() if name not in found}
    return {
        str(name): value
        for name, found_value in found.items()
        if (value := as_number(found_value)) is not None
    }


def _name(name: str) -> str:
    return _METRICS.get(name, f"{name} response time" if _is_quantile(name) else name)


def _is_quantile(name: str) -> bool:
    return name[:1] == "p" and name[1:].replace(".", "", 1).isdigit()


def _shown(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    if _is_quantile(name):
        return milliseconds(value)
    if name == "successRate":
        return percent(value)
    return (
        rate(value) if name.endswith("Rps") else f"{value:,.6g}" if value % 1 else f"{value:,.0f}"
    )


def _count(value: int) -> str:
    return f"{value:,}"


def _share(counts: Mapping[str, int], name: str, total: int) -> str:
    return percent(counts.get(name, 0) * 100 / total) if total else "-"
