"""`tm history changes`: where the numbers of a profile changed for good."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tm_cli.api.trafficmorph import HistoryRow
from tm_cli.cli.options import ComparisonFormat as Format
from tm_cli.cli.session import CommandContext
from tm_cli.commands.history.comparable import comparable_runs, metric_of, read_runs
from tm_cli.commands.shared.ci_platforms import tagged_commit
from tm_cli.commands.shared.profile_argument import ProfileRef
from tm_cli.render.chart import draw_levels
from tm_cli.render.comparisons import escaped
from tm_cli.render.tables import columns, instant, milliseconds, percent, sparkline
from tm_cli.runtime.terminal import Terminal
from tm_cli.values.change_points import find_changes
from tm_cli.values.text import count_of, sanitize

CHANCE = 0.01
"""How often a history without any change may seem to have one, all metrics together."""

FEWEST = 13
"""Runs below which no change of one of several metrics can be told from chance."""

_SHORT = 10


@dataclass(frozen=True, slots=True)
class Change:
    """A number that changed for good between the runs `last` and `first`, probably with `since`.

    Levels are medians, `shift` is in percent or, of errors, in points.
    """

    metric: str
    since: HistoryRow
    last: HistoryRow
    first: HistoryRow
    before: float
    after: float
    shift: float
    low: float | None
    high: float | None
    p_value: float

    @property
    def kind(self) -> str:
        return "regression" if self.shift > 0 else "improvement"

    @property
    def commits(self) -> str | None:
        """The commits between which it happened with 95 %, as git writes a range."""
        last, first = tagged_commit(self.last.tags), tagged_commit(self.first.tags)
        return f"{last[:_SHORT]}..{first[:_SHORT]}" if last and first and last != first else None


@dataclass(frozen=True, slots=True)
class History:
    """Comparable runs, oldest first, and how many others were left out for which reason."""

    profile: ProfileRef
    runs: Sequence[HistoryRow]
    left_out: Mapping[str, int]
    metrics: Sequence[str]
    changes: Sequence[Change]


def show_changes(session: CommandContext, history: History, form: Format) -> int:
    """Print what changed in the history."""
    if len(history.runs) < FEWEST:
        verb = "is" if len(history.runs) == 1 else "are"
        session.note(
            f"tm: {_counted(history)} {verb} too few to tell a change from chance; "
            f"it takes about {FEWEST}"
        )
    markdown = form is Format.MARKDOWN
    return session.emit(
        changes_data(history),
        lambda: _markdown(history) if markdown else _shown(session.terminal, history),
        as_json=form is Format.JSON,
    )


def find_in_history(
    session: CommandContext,
    profile: ProfileRef,
    metrics: Sequence[str],
    *,
    most: int,
    filters: Mapping[str, Any],
) -> History:
    """Read the newest runs of a profile and find what changed in those that are comparable."""
    rows = read_runs(session, profile, most, filters)
    runs, left_out = comparable_runs(rows)
    changes = [
        change for metric in metrics for change in _changes(metric, runs, CHANCE / len(metrics))
    ]
    changes.sort(key=lambda change: change.since.id or 0)
    return History(profile, runs, left_out, metrics, changes)


def _changes(metric: str, runs: Sequence[HistoryRow], chance: float) -> list[Change]:
    known = [(row, value) for row in runs if (value := metric_of(metric, row)) is not None]
    values = [value for _, value in known]
    scaled = values if metric == "errors" else [math.log(value) for value in values]
    found = find_changes(scaled, chance)
    ends = [0, *(point.index for point in found), len(values)]
    changes = []
    for number, point in enumerate(found, 1):
        before, after = (
            values[ends[number - 1] : point.index],
            values[point.index : ends[number + 1]],
        )
        runs_of = known[point.index][0], known[point.earliest - 1][0], known[point.latest][0]
        levels = statistics.median(before), statistics.median(after)
        low, high, shift = point.low, point.high, point.shift
        if metric != "errors":
            low, high, shift = _in_percent(low), _in_percent(high), 100 * math.expm1(shift)
        changes.append(Change(metric, *runs_of, *levels, shift, low, high, point.p_value))
    return changes


def _in_percent(log: float | None) -> float | None:
    return None if log is None else 100 * math.expm1(log)


def changes_data(history: History) -> dict[str, Any]:
    return {
        "profile_id": history.profile.profile_id,
        "runs": len(history.runs),
        "left_out": dict(history.left_out),
        "metrics": list(history.metrics),
        "changes": [
            {
                "metric": change.metric,
                "kind": change.kind,
                "unit": "points" if change.metric == "errors" else "%",
                "change": round(change.shift, 3),
                "ci_low": None if change.low is None else round(change.low, 3),
                "ci_high": None if change.high is None else round(change.high, 3),
                "p_value": change.p_value,
                "before": round(change.before, 3),
                "after": round(change.after, 3),
                "since_run": run_data(change.since),
                "last_run_before": run_data(change.last),
                "first_run_after": run_data(change.first),
                "commits": change.commits,
            }
            for change in history.changes
        ],
    }


def run_data(row: HistoryRow) -> dict[str, Any]:
    started = row.started_at.isoformat() if row.started_at else None
    commit = tagged_commit(row.tags)
    return {"id": row.id, "run_id": row.run_id, "started_at": started, "commit": commit}


_HEAD = ("METRIC", "CHANGE", "95 % INTERVAL", "P", "LEVELS", "SINCE RUN", "STARTED", "COMMITS")


def _shown(terminal: Terminal, history: History) -> str:
    parts = [title_of(history)]
    for metric in history.metrics:
        changes = [change for change in history.changes if change.metric == metric]
        if changes:
            parts.append(draw_metric(terminal, metric, history.runs, changes))
        else:
            found = "too few runs" if len(history.runs) < FEWEST else "no change"
            parts.append(f"  {metric}: {found}  {_line(terminal, metric, history.runs)}".rstrip())
    if history.changes:
        rows = [_cells(change) for change in history.changes]
        parts += ["", columns(terminal, _HEAD, rows, least=("P", "LEVELS", "95 % INTERVAL"))]
    return "\n".join(parts)


def _counted(history: History) -> str:
    return count_of(len(history.runs), "comparable run")


def title_of(history: History) -> str:
    left_out = [f"{count} {reason}" for reason, count in history.left_out.items()]
    more = f"; left out: {', '.join(left_out)}" if left_out else ""
    count, runs = len(history.changes), len(history.runs)
    found = count_of(count, "change") if count else "no change"
    known = f"{found} in {runs} comparable runs"
    if not count and runs < FEWEST:
        known = f"{_counted(history)}, too few to find a change"
    return f"{history.profile.name}: {known}{more}"


def _cells(change: Change) -> tuple[object, ...]:
    unit = " pt" if change.metric == "errors" else " %"
    ends = [change.low, change.high]
    interval = " to ".join(f"{end:+.1f}" for end in ends if end is not None) or None
    levels = (
        f"{metric_label(change.metric, change.before)}, {metric_label(change.metric, change.after)}"
    )
    return (
        change.metric,
        f"{change.shift:+.1f}{unit}",
        interval,
        f"{change.p_value:.4f}",
        levels,
        change.since.id,
        instant(change.since.started_at),
        change.commits,
    )


def metric_label(metric: str, value: float) -> str:
    return percent(value) if metric == "errors" else milliseconds(value)


def _line(terminal: Terminal, metric: str, runs: Sequence[HistoryRow]) -> str:
    """Return all runs as one line of bars, the newest where they do not fit."""
    values = [value for row in runs if (value := metric_of(metric, row)) is not None]
    room = max(terminal.width - 30, 10)
    encoding = getattr(terminal.out, "encoding", None) or "utf-8"
    try:
        sparkline(values).encode(encoding)
    except (LookupError, UnicodeEncodeError):
        return ""
    return sparkline(values[-room:]) if any(values) else ""


def draw_metric(
    terminal: Terminal, metric: str, runs: Sequence[HistoryRow], changes: Sequence[Change]
) -> str:
    """Draw the metric run by run, over the band of its levels; changes are marked."""
    known = [(row, value) for row in runs if (value := metric_of(metric, row)) is not None]
    starts = {change.since.id for change in changes}
    return draw_levels(
        terminal,
        metric,
        [value for _, value in known],
        levels_of(metric, known, changes),
        label=lambda value: metric_label(metric, value),
        ends=(f"run {known[0][0].id}", f"run {known[-1][0].id}"),
        marks=[n for n, (row, _) in enumerate(known) if row.id in starts],
    )


def levels_of(
    metric: str, known: Sequence[tuple[HistoryRow, float]], changes: Sequence[Change]
) -> list[float]:
    """Return the level of each run, the median between two changes."""
    own = [change for change in changes if change.metric == metric]
    starts = {change.since.id: change.after for change in own}
    level = own[0].before if own else statistics.median(value for _, value in known)
    levels = []
    for row, _ in known:
        level = starts.get(row.id, level)
        levels.append(level)
    return levels


def _markdown(history: History) -> str:
    head = ("Metric", "Change", "95 % interval", "p", "Levels", "Since run", "Started", "Commits")
    rows = [
        " | ".join("-" if cell is None else escaped(sanitize(cell)) for cell in _cells(change))
        for change in history.changes
    ]
    title = [f"### {escaped(title_of(history))}"]
    if not rows:
        return title[0]
    table = [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {row} |" for row in rows)]
    return "\n".join([*title, "", *table])
