"""`tm history trend`: one metric of a profile, run by run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tm_cli.api.trafficmorph import HistoryRow
from tm_cli.cli.session import CommandContext
from tm_cli.commands.history.changes import (
    FEWEST,
    Change,
    History,
    changes_data,
    draw_metric,
    find_in_history,
    levels_of,
    metric_label,
    run_data,
    title_of,
)
from tm_cli.commands.history.comparable import metric_of
from tm_cli.commands.history.list import unjudged
from tm_cli.commands.shared.ci_platforms import tagged_branch, tagged_commit
from tm_cli.commands.shared.profile_argument import ProfileRef
from tm_cli.render.comparisons import verdict_cell
from tm_cli.render.tables import columns, instant

_LEAST = ("RUN", "BRANCH", "COMMIT")

Known = Sequence[tuple[HistoryRow, float]]
"""Runs and their values, oldest first."""


def show_trend(
    session: CommandContext,
    profile: ProfileRef,
    metric: str,
    *,
    most: int,
    filters: Mapping[str, Any],
) -> int:
    """Print the newest comparable runs of a profile, and where their level changed."""
    history = find_in_history(session, profile, (metric,), most=most, filters=filters)
    known = [(row, value) for row in history.runs if (value := metric_of(metric, row)) is not None]
    if 0 < len(known) < FEWEST:
        session.note(f"tm: changes are looked for from about {FEWEST} runs on")
    return session.emit(
        _data(history, metric, known), lambda: _shown(session, history, metric, known)
    )


def _data(history: History, metric: str, known: Known) -> dict[str, Any]:
    levels = levels_of(metric, known, history.changes) if known else []
    found = changes_data(history)
    runs = [
        {
            **run_data(row),
            "branch": tagged_branch(row.tags),
            "verdict": row.auto_verdict,
            "value": value,
            "level": round(level, 3),
        }
        for (row, value), level in zip(known, levels, strict=True)
    ]
    return {
        "profile_id": history.profile.profile_id,
        "metric": metric,
        "unit": "%" if metric == "errors" else "ms",
        "runs": runs,
        "left_out": found["left_out"],
        "changes": found["changes"],
    }


def _shown(session: CommandContext, history: History, metric: str, known: Known) -> str:
    title = title_of(history)
    if not known:
        return title
    drawn = draw_metric(session.terminal, metric, history.runs, history.changes)
    changes = {change.since.id: change for change in history.changes}
    rows = [
        _cells(metric, row, value, changes.get(row.id), before)
        for (row, value), before in zip(known, [None, *(value for _, value in known)], strict=False)
    ]
    head = (
        "ID",
        "STARTED",
        "VERDICT",
        metric.upper(),
        "CHANGE",
        "SINCE",
        "COMMIT",
        "BRANCH",
        "RUN",
    )
    used = [n for n, name in enumerate(head) if n < 5 or any(row[n] for row in rows)]
    names = [head[n] for n in used]
    table = columns(
        session.terminal,
        names,
        [[row[n] for n in used] for row in reversed(rows)],
        least=[name for name in _LEAST if name in names],
    )
    return f"{title}\n{drawn}\n\n{table}"


def _cells(
    metric: str, row: HistoryRow, value: float, change: Change | None, before: float | None
) -> tuple[object, ...]:
    """Return a row; `before` is the value of the run before it."""
    return (
        row.id,
        instant(row.started_at),
        verdict_cell(row.auto_verdict or unjudged(row)),
        metric_label(metric, value),
        _difference(metric, value, before),
        f"{change.kind} {change.shift:+.1f}{' pt' if metric == 'errors' else ' %'}"
        if change
        else "",
        (tagged_commit(row.tags) or "")[:10],
        tagged_branch(row.tags),
        row.run_id,
    )


def _difference(metric: str, value: float, before: float | None) -> str | None:
    if metric == "errors":
        return None if before is None else f"{value - before:+.2f} pt"
    return None if not before else f"{100 * (value / before - 1):+,.1f} %"
