"""Comparisons as a table for terminals and logs, and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tm_cli.gate.model import Comparison, Result
from tm_cli.render.tables import columns, fitting, milliseconds, percent, rate
from tm_cli.runtime.terminal import Terminal
from tm_cli.values.text import clean

STYLES = {"PASS": "green", "WARN": "yellow", "FAIL": "bold red", "NO_BASELINE": "cyan"}

_VERDICT = 7
_LEAST_FIRST = (5, 4, 6)
"""Columns that a narrow table does without: p-values, intervals, limits."""

_CHANGE_UNITS = {"%": " pt", "": ""}
"""What a change is counted in, by the unit of the metric; percent for all others."""

_SPECIAL = re.compile(r"([\\`*_\[\]#|~$])")
_LINKS = re.compile(r"(@|:(?=//)|www(?=\.))", re.IGNORECASE)


def comparison_table(
    terminal: Terminal, items: Sequence[Comparison], *, names: tuple[str, str], indent: int = 0
) -> str:
    """Return a row for each comparison; `names` head the two columns of values.

    A terminal that is too narrow gets fewer columns, and is told which; a pipe gets all.
    """
    from rich.text import Text

    head = ("METRIC", *names, "CHANGE", "95 % INTERVAL", "P", "WARN / FAIL", "VERDICT")
    cells = [comparison_cells(item) for item in items]
    said = [n for n in range(len(head)) if n < 3 or any(row[n] != "-" for row in cells)]
    room = terminal.width - indent if terminal.out_is_terminal else None
    widths = [max(len(row[n]) for row in (head, *cells)) for n in range(len(head))]
    used = fitting(said, widths, room, _LEAST_FIRST)
    styles = [STYLES.get(item.verdict or "", "") for item in items]
    rows = [
        [Text(row[n], style=style if n == _VERDICT else "") for n in used]
        for row, style in zip(cells, styles, strict=True)
    ]
    table = columns(terminal, [head[n] for n in used], rows, indent=indent)
    left_out = ", ".join(head[n] for n in said if n not in used)
    legend = [_legend(items), f"a wider terminal shows {left_out}" if left_out else ""]
    below = "; ".join(text for text in legend if text)
    return f"{table}\n{' ' * indent}{below}" if below else table


def comparison_markdown(
    items: Sequence[Comparison], *, title: str, names: tuple[str, str], notes: Sequence[str] = ()
) -> str:
    """Return a heading and a table for a comment on a pull request; no text of it is obeyed."""
    head = ("Metric", *names, "Change", "95 % interval", "p", "WARN / FAIL", "Verdict")
    lines = [f"### {escaped(title)}", ""]
    lines += [f"{escaped(note)}\n" for note in notes]
    lines += ["| " + " | ".join(map(escaped, head)) + " |", "|---|" + "---:|" * 6 + "---|"]
    for item in items:
        cells = [escaped(cell) for cell in comparison_cells(item)]
        if item.verdict in {"WARN", "FAIL"}:
            cells[-1] = f"**{cells[-1]}**"
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", escaped(_legend(items))]).rstrip("\n")


def markdown_table(items: Sequence[Comparison], *, names: tuple[str, str]) -> str:
    """Return the rows of a report: `names` head the columns of the other run and of ours.

    Columns of which nothing is known are left out.
    """
    head = ("Metric", *names, "Change", "95 % interval", "Limit (WARN / FAIL)", "Verdict")
    rows = [_report_row(item) for item in items]
    used = [n for n in range(len(head)) if n < 3 or any(row[n] != "-" for row in rows)]
    rule = ["---" if n in (0, len(head) - 1) else "---:" for n in used]
    lines = [[escaped(head[n]) for n in used], rule, *([row[n] for n in used] for row in rows)]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    legend = escaped(_legend(items))
    return f"{table}\n\n{legend}" if legend else table


def _report_row(item: Comparison) -> list[str]:
    metric, value, baseline, change, interval, _, limits, verdict = map(
        escaped, comparison_cells(item)
    )
    bold = item.verdict in {"WARN", "FAIL"}
    return [
        metric, baseline, value, change, interval, limits, f"**{verdict}**" if bold else verdict,
    ]  # fmt: skip


def escaped(text: str) -> str:
    """Return `text` as Markdown that shows it as it is: no markup, no link, no mention."""
    shown = clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _LINKS.sub(r"\1<!-- -->", _SPECIAL.sub(r"\\\1", shown))


def _legend(items: Sequence[Comparison]) -> str:
    """Explain the marks that are there."""
    marks = {
        "* larger than the noise": any(item.significant for item in items),
        "pt: percentage points": any(_unit(item) == " pt" for item in items if item.change),
    }
    return "; ".join(text for text, is_there in marks.items() if is_there)


def comparison_cells(item: Comparison) -> tuple[str, ...]:
    """Return metric, value, baseline, change, interval, p, limits and verdict; "-" is unknown."""
    name = f"{item.metric} (reference)" if item.than == "reference" else item.metric
    mark = " *" if item.significant else ""
    return (
        clean(name),
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
        clean(item.verdict or "-"),
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
    return f"{value:,.6g}" + (f" {clean(unit)}" if unit and unit != "requests" else "")


def _change(item: Comparison) -> str:
    return "-" if item.change is None else _signed(item.change) + _unit(item)


def _interval(item: Comparison) -> str:
    if item.ci_low is None or item.ci_high is None:
        return "-"
    return f"{_signed(item.ci_low)} to {_signed(item.ci_high)}"


def _limits(item: Comparison) -> str:
    if item.warn is None and item.fail is None:
        return "-"
    pair = (("-" if limit is None else f"{limit:g}") for limit in (item.warn, item.fail))
    return " / ".join(pair)


def _unit(item: Comparison) -> str:
    return _CHANGE_UNITS.get(item.unit, " %")


def _signed(change: float) -> str:
    shown = f"{change:+.2f}" if abs(change) < 1 else f"{change:+,.1f}"
    return "0.00" if shown in {"+0.00", "-0.00"} else shown


def plain_numbers(result: Result | None) -> list[Comparison]:
    """Return what was compared, and every other metric that is one number; each name once."""
    found: dict[str, Comparison] = {}
    for item in (*result.comparisons, *_metrics(result)) if result else ():
        found.setdefault(item.metric, item)
    return list(found.values())


def _metrics(result: Result) -> list[Comparison]:
    return [
        Comparison(name, value=value)
        for name, value in result.metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
