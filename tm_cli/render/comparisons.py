"""Comparisons as a table for terminals and logs, and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tm_cli.gate.checks import measure
from tm_cli.gate.model import WITHIN_RUNS, Comparison, Result
from tm_cli.render.tables import columns, fitting, hidden_columns, milliseconds, percent, rate
from tm_cli.runtime.terminal import Terminal
from tm_cli.values.text import as_number, sanitize

if TYPE_CHECKING:
    from rich.text import Text

STYLES = {"PASS": "green", "WARN": "yellow", "FAIL": "bold red", "NO_BASELINE": "cyan"}

_VERDICT = 7
_LEAST_FIRST = (5, 4, 6)
"""Columns that a narrow table does without: p-values, intervals, limits."""

_CHANGE_UNITS = {"%": " pt", "": ""}
"""What a change is counted in, by the unit of the metric; percent for all others."""

_SPECIAL = re.compile(r"([\\`*_\[\]#|~$])")
_LINKS = re.compile(
    r"(@|:(?=//)|www(?=\.)|\bGH-(?=\d)|[#!%~$](?=\d)|&amp;(?=\d))",
    re.IGNORECASE,
)
"""What GitHub and GitLab make links of, the references to their own objects included."""


_MEASURED = (
    ("p50", "p50", "ms"),
    ("p95", "p95", "ms"),
    ("p99", "p99", "ms"),
    ("errors", "errors", "%"),
    ("rps", "throughput", "/s"),
    ("requests", "requests", "requests"),
)


def verdict_cell(word: str) -> Text:
    """Return a verdict in its colour, or another word for a run without one."""
    from rich.text import Text

    return Text(sanitize(word), style=STYLES.get(word, "dim"))


def compared_rows(result: Result, baseline: Result | None) -> list[Comparison]:
    """Return the comparisons that people want to see; without any, metrics next to the baseline's.

    The latter is for servers that compare nothing.
    """
    return [item for item in result.comparisons if item.is_worth_a_row] or [
        Comparison(name, unit, value, before, change=_change_of(value, before, unit))
        for metric, name, unit in _MEASURED
        if (value := measure(metric, result.metrics)) is not None
        for before in [measure(metric, baseline.metrics if baseline else {})]
    ]


def _change_of(value: float, before: float | None, unit: str) -> float | None:
    if before is None:
        return None
    if unit == "%":
        return value - before
    return (value - before) * 100 / before if before else None


def comparison_table(
    terminal: Terminal, items: Sequence[Comparison], *, names: tuple[str, str], indent: int = 0
) -> str:
    """Return a row for each comparison; `names` head the two columns of values.

    A narrow terminal gets fewer columns, which are named below the table; a pipe gets all.
    """
    from rich.text import Text

    head = ("METRIC", *names, "CHANGE", "95 % INTERVAL", "P", "WARN / FAIL", "VERDICT")
    cells = [comparison_cells(item) for item in items]
    known = known_columns(cells, keep=3)
    room = terminal.width - indent if terminal.out_is_terminal else None
    widths = [max(len(row[n]) for row in (head, *cells)) for n in range(len(head))]
    used = fitting(known, widths, room, _LEAST_FIRST)
    styles = [STYLES.get(item.verdict or "", "") for item in items]
    rows = [
        [Text(row[n], style=style if n == _VERDICT else "") for n in used]
        for row, style in zip(cells, styles, strict=True)
    ]
    table = columns(terminal, [head[n] for n in used], rows, indent=indent)
    left_out = ", ".join(head[n] for n in known if n not in used)
    hidden = hidden_columns(left_out) if left_out else ""
    below = "; ".join(text for text in (_legend(items), hidden) if text)
    return f"{table}\n{' ' * indent}{below}" if below else table


def comparison_markdown(
    items: Sequence[Comparison], *, title: str, names: tuple[str, str], notes: Sequence[str] = ()
) -> str:
    """Return a heading and a table for a comment on a pull request; no text of it is obeyed."""
    head = ("Metric", *names, "Change", "95 % interval", "p", "WARN / FAIL", "Verdict")
    cells = [comparison_cells(item) for item in items]
    table = _markdown_rows(head, items, cells, range(len(head)))
    text = [f"### {escaped(title)}", "", *(f"{escaped(note)}\n" for note in notes), *table]
    return "\n".join([*text, "", escaped(_legend(items))]).rstrip("\n")


def markdown_table(items: Sequence[Comparison], *, names: tuple[str, str]) -> str:
    """Return the rows of a report: `names` head the columns of the other run and of ours.

    Columns of which nothing is known are left out.
    """
    head = ("Metric", *names, "Change", "95 % interval", "Limit (WARN / FAIL)", "Verdict")
    cells = []
    for item in items:
        metric, value, baseline, change, interval, _, limits, verdict = comparison_cells(item)
        cells.append((metric, baseline, value, change, interval, limits, verdict))
    table = "\n".join(_markdown_rows(head, items, cells, known_columns(cells, keep=3)))
    legend = escaped(_legend(items))
    return f"{table}\n\n{legend}" if legend else table


def _markdown_rows(
    head: Sequence[str],
    items: Sequence[Comparison],
    cells: Sequence[Sequence[str]],
    used: Sequence[int],
) -> list[str]:
    last = len(head) - 1
    rows = [[escaped(head[n]) for n in used]]
    rows.append(["---" if n in (0, last) else "---:" for n in used])
    for item, row in zip(items, cells, strict=True):
        texts = [escaped(row[n]) for n in used]
        if last in used and item.verdict in {"WARN", "FAIL"}:
            texts[-1] = f"**{texts[-1]}**"
        rows.append(texts)
    return ["| " + " | ".join(row) + " |" for row in rows]


def known_columns(rows: Sequence[Sequence[object]], *, keep: int) -> list[int]:
    """Return the first `keep` columns and those after them in which something is known."""
    count = len(rows[0]) if rows else keep
    return [n for n in range(count) if n < keep or any(row[n] != "-" for row in rows)]


def escaped(text: str) -> str:
    """Return `text` as Markdown that shows it as it is: no markup, no link, no mention."""
    shown = sanitize(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _LINKS.sub(r"\1<!-- -->", _SPECIAL.sub(r"\\\1", shown))


def _legend(items: Sequence[Comparison]) -> str:
    """Explain the marks that are there."""
    marks = {
        noise_text(items): any(item.significant for item in items),
        "pt: percentage points": any(_unit(item) == " pt" for item in items if item.change),
    }
    return "; ".join(text for text, is_there in marks.items() if is_there)


def noise_text(items: Sequence[Comparison]) -> str:
    """What the asterisk means; buckets of one run know nothing of how much runs differ."""
    is_within = any(item.metric.endswith(WITHIN_RUNS) for item in items)
    return "* larger than the noise" + (" within the runs" if is_within else "")


_NAMED = {"reference", "limit"}
"""What is said of a metric that is compared with something else than the baseline."""


def comparison_cells(item: Comparison) -> tuple[str, ...]:
    """Return metric, value, baseline, change, interval, p, limits and verdict; "-" is unknown."""
    name = f"{item.metric} ({item.than})" if item.than in _NAMED else item.metric
    mark = " *" if item.significant else ""
    return (
        sanitize(name),
        _value(item.value, item.unit),
        _value(item.baseline, item.unit),
        _change(item) + mark,
        _interval(item),
        "-"
        if item.p_value is None
        else f"{item.p_value:.3f}"
        if item.p_value >= 0.001
        else "<0.001",
        _limits(item),
        sanitize(item.verdict or "-"),
    )


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    match unit:
        case "ms":
            return milliseconds(value)
        case "%":
            return percent(value)
        case "/s":
            return f"{rate(value)}/s"
    return f"{value:,.6g}" + (f" {sanitize(unit)}" if unit and unit != "requests" else "")


def _change(item: Comparison) -> str:
    return "-" if item.change is None else _signed(item.change) + _unit(item)


def _interval(item: Comparison) -> str:
    if item.ci_low is None or item.ci_high is None:
        return "-"
    return f"{_signed(item.ci_low)} to {_signed(item.ci_high)}"


def _limits(item: Comparison) -> str:
    if item.warn is None and item.fail is None:
        return "-"
    unit = f" {item.unit}" if item.is_limit else ""
    pair = (("-" if limit is None else f"{limit:g}{unit}") for limit in (item.warn, item.fail))
    return " / ".join(pair)


def _unit(item: Comparison) -> str:
    return _CHANGE_UNITS.get(item.unit, " %")


def _signed(change: float) -> str:
    shown = f"{change:+.2f}" if abs(change) < 1 else f"{change:+,.1f}"
    return "0.00" if shown in {"+0.00", "-0.00"} else shown


def plain_numbers(result: Result | None) -> list[Comparison]:
    """Return what was compared, and every other scalar metric; each name once."""
    if result is None:
        return []
    metrics = [
        Comparison(name, value=value)
        for name, value in result.metrics.items()
        if as_number(value) is not None
    ]
    found: dict[str, Comparison] = {}
    for item in (*result.comparisons, *metrics):
        found.setdefault(item.metric, item)
    return list(found.values())
