"""What a run rests on and how it was, folded away below its outcome in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tm_cli.exit_codes import ExitCode
from tm_cli.gate.events import Attempt, Decided
from tm_cli.gate.model import Basis, Course, Result
from tm_cli.gate.outcome import Evidence, Record
from tm_cli.render.comparisons import escaped, markdown_table
from tm_cli.render.summary import outcome_word, plain_comparisons, verdict_word
from tm_cli.render.tables import age, codes, percent, rate

MOST_NOTES = 30


def details(record: Record) -> str:
    """Return a block that opens on demand; empty when there is nothing to tell."""
    end = record.end
    lines = [*_names(record, end), *_measured(end.result), *_repeats(end)]
    if not lines:
        return ""
    shown = "\n".join(f"- {line}" for line in lines)
    return f"<details>\n<summary>Details</summary>\n\n{shown}\n\n</details>"


def _names(record: Record, end: Decided) -> list[str]:
    lines = []
    if end.run is not None and end.run.run_id:
        number = end.result.facts.get("id") if end.result else None
        is_apart = number is not None and number != end.run.run_id
        history = f" (history {escaped(str(number))})" if is_apart else ""
        lines.append(f"run `{_code(end.run.run_id)}`{history}")
    if record.status:
        lines.append(f"last status {escaped(record.status)}")
    return lines + (_basis(end.result.basis) if end.result else [])


def _basis(basis: Basis) -> list[str]:
    if basis.against is not None:
        return [f"compared with {escaped(basis.against)}, which was under the same load"]
    if basis.baseline is None:
        return []
    older = f", {age(basis.age)} older" if basis.age is not None else ""
    choice = f" ({escaped(basis.choice)})" if basis.choice else ""
    reference = (
        "" if basis.reference is None else f"; reference run {escaped(str(basis.reference))}"
    )
    return [f"baseline run {escaped(str(basis.baseline))}{older}{choice}{reference}"]


def _measured(result: Result | None) -> list[str]:
    if result is None:
        return []
    metrics, lines = result.metrics, []
    total, errors = metrics.get("totalRequests"), metrics.get("totalErrors")
    if isinstance(total, int):
        failed = f"{errors:,}" if isinstance(errors, int) else "-"
        lines.append(
            f"{total:,} requests, {failed} errors "
            f"(success {percent(_number(metrics.get('successRate')))}), "
            f"{rate(_number(metrics.get('avgRps')))} requests/s on average"
        )
    counts = result.facts.get("responseCodes")
    if isinstance(counts, Mapping):
        known = {str(key): count for key, count in counts.items() if type(count) is int}
        lines += [f"responses {escaped(codes(known))}"] if known else []
    return lines + [f"note: {escaped(note)}" for note in result.notes[:MOST_NOTES]]


def _repeats(end: Decided) -> list[str]:
    return [f"repeats {_earlier(attempt)}" for attempt in end.earlier]


def _earlier(attempt: Attempt) -> str:
    verdict = attempt.result.verdict_text if attempt.result else None
    name = f"run `{_code(attempt.run.run_id)}`" if attempt.run and attempt.run.run_id else "a run"
    failed = [item.reason for item in attempt.decision.checks if item.passed is False]
    checks = f"; it failed {escaped('; '.join(failed))}" if failed else ""
    return f"{name}, whose verdict was {escaped(verdict or 'missing')}{checks}"


def _code(text: str) -> str:
    """A text inside a code span, which no backtick may end."""
    from tm_cli.values.text import clean

    return clean(text).replace("`", "'").replace("<", "‹").replace("|", "¦")


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


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


POINTS = 60
"""Points of a line; more cannot be told apart at the width of a comment."""

_OURS, _THEIRS = "#0969da", "#8c959f"
_SIZE = '"width": 800, "height": 260'
_NAMES = {"rps": "requests/s", "p95": "p95 in ms"}


def course_charts(course: Course, other: Course, *, other_name: str) -> str:
    """Return charts of rate and p95, ours in blue over the other run in grey; empty without any."""
    charts = [_chart(course, other, name) for name in _NAMES]
    if not any(charts):
        return ""
    drawn_beside = f", grey: {other_name}" if _line(other, "rps") or _line(other, "p95") else ""
    return "\n\n".join(
        [*filter(None, charts), f"Blue: this run{drawn_beside}; seconds of the run."]
    )


def _chart(course: Course, other: Course, name: str) -> str:
    ours, theirs = _line(course, name), _line(other, name)
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
    colors = ", ".join([_THEIRS, _OURS][-len(lines) :])
    top = max(max(line) for line in lines) or 1.0
    return "\n".join(
        [
            "```mermaid",
            _style(colors),
            "xychart-beta",
            f'  title "{_NAMES[name]}"',
            f"  x-axis {_plain(begin)} --> {_plain(end)}",
            f"  y-axis 0 --> {_plain(top * 1.05)}",
            *(f"  line [{', '.join(map(_plain, line))}]" for line in lines),
            "```",
        ]
    )


def _style(colors: str) -> str:
    palette = f'"themeVariables": {{"xyChart": {{"plotColorPalette": "{colors}"}}}}'
    return f'%%{{init: {{"xyChart": {{{_SIZE}}}, {palette}}}}}%%'


Points = Sequence[tuple[float, float]]


def _line(course: Course, name: str) -> Points:
    return [(moment.t, value) for moment in course if (value := getattr(moment, name)) is not None]


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
