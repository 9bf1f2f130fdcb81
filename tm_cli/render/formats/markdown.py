"""The outcome as Markdown: a file, a step summary, a comment on a pull request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tm_cli.exit_codes import ExitCode
from tm_cli.gate.events import Decided, RunAttempt
from tm_cli.gate.model import Result, Step, TimeSeries, known_points, not_judged
from tm_cli.gate.outcome import GateOutcome, Record, warns
from tm_cli.gate.policy import Gate
from tm_cli.gate.target_metrics import sparkline
from tm_cli.render.comparisons import compared_rows, escaped, markdown_table
from tm_cli.render.steps import HEAD, step_cells
from tm_cli.render.summary import (
    MARKS,
    basis_text,
    earlier_text,
    outcome_word,
    response_codes,
    target_cells,
    verdict_word,
)
from tm_cli.render.tables import codes, percent, rate
from tm_cli.values.text import as_number, sanitize
from tm_cli.values.verdict import format_fail_on

MOST_SUBJECTS = 100
MOST_REASONS = 30
MOST_NOTES = 30
MOST_STEPS = 50

POINTS = 60
"""Points of a line; more are not visible at the width of a comment."""

_BLUE, _GREY = "#0969da", "#8c959f"
_SIZE = '"width": 800, "height": 260'
_CHARTED = {"rps": "requests/s", "p95": "p95 in ms"}

Points = Sequence[tuple[float, float]]


def markdown(outcome: GateOutcome, *, limit: int | None = None, footer: str = "") -> str:
    """Return the outcome in at most `limit` bytes; `footer` is Markdown already.

    No text of a server is obeyed: no markup, no link, no mention.
    """
    records = outcome.reported
    sections = [Section("the overview", 0, _overview(outcome))] if len(records) > 1 else []
    for record in records:
        sections += _sections(record, outcome.gate, several=len(records) > 1)
    return joined([*sections, Section("links", 1, footer)], limit)


def _overview(outcome: GateOutcome) -> str:
    """Return one line for each of several subjects, the worst of which decides."""
    code, records = outcome.exit_code, outcome.reported
    lines = [
        f"## {len(records)} runs: {code.name}",
        "",
        f"Exit code {int(code)}: the worst outcome decides.",
        "",
        "| Run | Outcome | Verdict |",
        "|---|---|---|",
    ]
    lines += [
        f"| {escaped(record.subject)} | {_strong(outcome_word(record.end))}"
        f"{' (warning)' if warns(record.end, outcome.gate) else ''} "
        f"| {escaped(verdict_word(record.end))} |"
        for record in records[:MOST_SUBJECTS]
    ]
    if (more := len(records) - MOST_SUBJECTS) > 0:
        lines += ["", f"and {more} more runs"]
    return "\n".join(lines)


def _sections(record: Record, gate: Gate, *, several: bool) -> list[Section]:
    end = record.end
    head = Section("what was decided", 1 if several else 0, _head(record, gate))
    checks = Section("checks", 2, _checks(end))
    details = Section("details", 4, _details(record))
    if end.result is None:
        return [head, checks, details]
    return [
        head,
        Section("reasons", 2, _reasons(end.result)),
        checks,
        Section("tables of metrics", 3, _table(end.result, end)),
        Section("steps", 4, _steps(end.result.steps)),
        Section("metrics of the target", 3, _target(end.result)),
        Section("charts", 5, _charts(end.result, end.baseline)),
        details,
    ]


def _head(record: Record, gate: Gate) -> str:
    decision = record.end.decision
    code = decision.exit_code
    lines = [
        f"### {escaped(outcome_word(record.end))}: {escaped(record.subject)}",
        "",
        f"Exit code {int(code)} (`{code.name}`): {escaped(decision.message)}",
    ]
    if warns(record.end, gate):
        listed = format_fail_on(gate.warn_on)
        lines += ["", f"**Warning:** this passes, because the gate only warns on {listed}."]
    if decision.hint and decision.exit_code is not ExitCode.OK:
        lines += ["", f"Hint: {escaped(decision.hint)}"]
    return "\n".join(lines)


def _reasons(result: Result) -> str:
    shown = [f"- {escaped(reason)}" for reason in result.reasons[:MOST_REASONS]]
    if (more := len(result.reasons) - MOST_REASONS) > 0:
        shown.append(f"- and {more} more")
    return "\n".join(shown)


def _checks(end: Decided) -> str:
    lines = [f"- {MARKS[item.passed]}: {escaped(item.reason)}" for item in end.decision.checks]
    return "\n".join(["Checks:", "", *lines]) if lines else ""


def _table(result: Result, end: Decided) -> str:
    items = compared_rows(result, end.baseline)
    return markdown_table(items, names=(result.basis.other.capitalize(), "Now")) if items else ""


def _steps(steps: Sequence[Step]) -> str:
    if not steps:
        return ""
    lines = [[title.capitalize() for title in HEAD], ["---", *["---:"] * (len(HEAD) - 2), "---"]]
    for step in steps[:MOST_STEPS]:
        *cells, verdict = step_cells(step)
        mark = _strong(verdict) if verdict in {"WARN", "FAIL"} else escaped(verdict)
        lines.append([*map(escaped, cells), mark])
    rows = ["| " + " | ".join(line) + " |" for line in lines]
    more = len(steps) - MOST_STEPS
    return "\n".join([*rows, *(["", f"and {more} more steps"] if more > 0 else [])])


def _target(result: Result) -> str:
    rows = [
        f"| {' | '.join([*(escaped(text) for text in target_cells(metric)), sparkline(metric)])} |"
        for _, metric in sorted(result.target_metrics.items())
    ]
    head = ["| Target | Mean | p95 | Max | Last | Course |", "|---|---:|---:|---:|---:|---|"]
    return "\n".join([*head, *rows]) if rows else ""


def _strong(text: str) -> str:
    return escaped(text) if text == "PASS" else f"**{escaped(text)}**"


def _details(record: Record) -> str:
    """Return a block that opens on demand; empty when it would have no lines."""
    end = record.end
    lines = [*_identity(record, end), *_measured(end.result)]
    lines += [f"repeats {_earlier(attempt)}" for attempt in end.earlier]
    if not lines:
        return ""
    shown = "\n".join(f"- {line}" for line in lines)
    return f"<details>\n<summary>Details</summary>\n\n{shown}\n\n</details>"


def _identity(record: Record, end: Decided) -> list[str]:
    lines = []
    if end.run is not None and end.run.run_id:
        row = end.result.facts.get("id") if end.result else None
        is_apart = row is not None and row != end.run.run_id
        history = f" (history {escaped(str(row))})" if is_apart else ""
        lines.append(f"run `{_code(end.run.run_id)}`{history}")
    if record.status:
        lines.append(f"last status {escaped(record.status)}")
    if end.result and (text := basis_text(end.result.basis)):
        lines.append(escaped(text))
    return lines


def _measured(result: Result | None) -> list[str]:
    if result is None:
        return []
    metrics, lines = result.metrics, []
    total, errors = metrics.get("totalRequests"), metrics.get("totalErrors")
    if isinstance(total, int):
        failed = f"{errors:,}" if isinstance(errors, int) else "-"
        lines.append(
            f"{total:,} requests, {failed} errors "
            f"(success {percent(as_number(metrics.get('successRate')))}), "
            f"{rate(as_number(metrics.get('avgRps')))} requests/s on average"
        )
    if counts := response_codes(result.facts):
        lines.append(f"responses {escaped(codes(counts))}")
    return lines + [f"note: {escaped(note)}" for note in result.notes[:MOST_NOTES]]


def _earlier(attempt: RunAttempt) -> str:
    run_id = attempt.run.run_id if attempt.run else None
    return (f"run `{_code(run_id)}`" if run_id else "a run") + escaped(earlier_text(attempt))


def _code(text: str) -> str:
    """A text inside a code span, which no backtick may end."""
    return sanitize(text).replace("`", "'").replace("<", "‹").replace("|", "¦")


def _charts(result: Result, baseline: Result | None) -> str:
    """Return Mermaid charts of rate and p95, the run in blue over the other one in grey.

    GitHub and GitLab draw them. Empty without a series.
    """
    series, other = result.series, baseline.series if baseline else ()
    charts = [_chart(series, other, name) for name in _CHARTED]
    if not any(charts):
        return ""
    is_compared = any(known_points(other, name) for name in _CHARTED)
    legend = f", grey: {result.basis.other}" if is_compared else ""
    warmup = as_number(result.facts.get("warmupSeconds"))
    cold = f"; {not_judged(warmup)}" if warmup else ""
    below = f"Blue: this run{legend}; seconds of the run{cold}."
    return "\n\n".join([*filter(None, charts), below])


def _chart(series: TimeSeries, other: TimeSeries, name: str) -> str:
    ours, theirs = known_points(series, name), known_points(other, name)
    if len(ours) < 2:
        return ""
    begin = min(points[0][0] for points in (ours, theirs) if points)
    end = max(points[-1][0] for points in (ours, theirs) if points)
    if end <= begin:
        return ""
    count = min(POINTS, max(len(ours), len(theirs)))
    grid = [begin + (end - begin) * n / (count - 1) for n in range(count)]
    drawn = [points for points in (theirs, ours) if len(points) > 1]  # ours on top
    lines = [_values(points, grid) for points in drawn]
    colors = ", ".join([_GREY, _BLUE][-len(lines) :])
    top = max(max(line) for line in lines) or 1.0
    return "\n".join(
        [
            "```mermaid",
            _style(colors),
            "xychart-beta",
            f'  title "{_CHARTED[name]}"',
            f"  x-axis {_plain(begin)} --> {_plain(end)}",
            f"  y-axis 0 --> {_plain(top * 1.05)}",
            *(f"  line [{', '.join(map(_plain, line))}]" for line in lines),
            "```",
        ]
    )


def _style(colors: str) -> str:
    palette = f'"themeVariables": {{"xyChart": {{"plotColorPalette": "{colors}"}}}}'
    return f'%%{{init: {{"xyChart": {{{_SIZE}}}, {palette}}}}}%%'


def _values(points: Points, grid: Sequence[float]) -> list[float]:
    """Give each place of the grid the highest value near it, else one between its neighbours."""
    half = (grid[1] - grid[0]) / 2
    found, at = [], 0
    for t in grid:
        near = []
        while at < len(points) and points[at][0] <= t + half:
            near.append(points[at][1])
            at += 1
        found.append(max(near) if near else _between(points, at, t))
    return found


def _between(points: Points, at: int, t: float) -> float:
    """The value at `t` between the points before and after it, which `at` is the later one of."""
    if at == 0:
        return points[0][1]
    if at >= len(points):
        return points[-1][1]
    (t0, before), (t1, after) = points[at - 1], points[at]
    return before + (after - before) * (t - t0) / (t1 - t0) if t1 > t0 else after


def _plain(value: float) -> str:
    """A number as the charts read it: no exponent."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page; `rank` 0 is never left out, and a higher one goes first."""

    name: str
    rank: int
    text: str


def joined(sections: Sequence[Section], limit: int | None = None) -> str:
    """Return all sections in order, in at most `limit` bytes of UTF-8.

    What does not fit is left out by rank, the last section first, and is named at the end.
    """
    kept = [section for section in sections if section.text]
    if limit is None:
        return _text(kept)
    left_out: list[str] = []
    for place in sorted(range(len(kept)), key=lambda place: (-kept[place].rank, -place)):
        section = kept[place]
        if section.rank == 0 or _size(_text(kept) + _note(left_out)) <= limit:
            break
        kept[place] = Section(section.name, section.rank, "")
        left_out = [*left_out, section.name] if section.name not in left_out else left_out
    return _cut(_text(kept), _note(left_out), limit)


def _text(sections: Sequence[Section]) -> str:
    return "\n\n".join(section.text for section in sections if section.text) + "\n"


def _note(left_out: Sequence[str]) -> str:
    if not left_out:
        return ""
    return f"\nLeft out, because the platform takes no more: {', '.join(left_out)}.\n"


def _cut(text: str, note: str, limit: int) -> str:
    """Cut whole lines where even the most important is too much."""
    if _size(text + note) <= limit:
        return text + note
    note = note or _note(["the rest"])
    lines, used = [], _size(note)
    for line in text.splitlines(keepends=True):
        used += _size(line)
        if used > limit:
            break
        lines.append(line)
    return "".join(lines) + note


def _size(text: str) -> int:
    return len(text.encode())
