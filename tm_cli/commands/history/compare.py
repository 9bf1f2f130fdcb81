"""`tm history compare`: two finished runs, compared by the server or by tm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tm_cli.api.errors import HttpError
from tm_cli.api.trafficmorph import HistoryRow, RunComparison
from tm_cli.backends.trafficmorph.results import (
    compare_rows,
    newer_first,
    read_comparisons,
    read_contract_comparison,
    read_steps,
)
from tm_cli.cli.options import ComparisonFormat as Format
from tm_cli.cli.session import CommandContext
from tm_cli.commands.history.find import find_history_id
from tm_cli.commands.history.show import get_ended_run
from tm_cli.errors import TmError, UsageError
from tm_cli.gate.model import Comparison
from tm_cli.render.comparisons import comparison_markdown, comparison_table
from tm_cli.render.steps import worst_comparisons
from tm_cli.render.tables import instant
from tm_cli.report.writer import comparison_data
from tm_cli.values.text import sanitize


@dataclass(frozen=True, slots=True)
class Compared:
    """Two runs, the newer one first, and how they differ; `data` is what JSON output has."""

    newer: HistoryRow
    older: HistoryRow
    items: Sequence[Comparison]
    data: dict[str, Any]


def read_format(chosen: Format, *, wants_json: bool) -> Format:
    """Return the format that --format and --json ask for; raises UsageError."""
    if wants_json and chosen is Format.MARKDOWN:
        raise UsageError("--json and --format markdown contradict each other")
    return Format.JSON if wants_json else chosen


def find_both(session: CommandContext, first: str, second: str | None) -> tuple[int, int]:
    """Return the history ids of two runs; without the second one, that of the first's baseline."""
    one = find_history_id(session, first)
    if second is not None:
        return one, find_history_id(session, second)
    baseline = get_ended_run(session.client, one).auto_compare_baseline_run_id
    if baseline is None:
        raise TmError(
            f"run {one} was compared with no baseline",
            hint=f"name the other run: tm history compare {one} ID",
            code="not_comparable",
        )
    return one, baseline


def compare(session: CommandContext, first: int, second: int, chosen: Format) -> int:
    """Compare two runs and print it."""
    if first == second:
        raise UsageError(f"run {first} is compared with itself", hint="name two runs")
    found = _by_server(session, first, second) or _by_tm(session, first, second)
    return session.emit(
        found.data, lambda: _shown(session, found, chosen), as_json=chosen is Format.JSON
    )


def _by_server(session: CommandContext, first: int, second: int) -> Compared | None:
    """Let the server compare; None when it does not do that, or lacks a run."""
    try:
        answer = session.client.compare_runs(first, second)
    except HttpError as error:
        if error.status == 400:  # it says why, but not in words that name the runs
            ended_runs(session, first, second)
        if error.status != 404:
            raise
        return None
    if answer.not_comparable:
        session.terminal.write_line(
            f"tm: the runs have {sanitize(answer.not_comparable)}, so no limits are applied to them"
        )
    sides = answer.run_a or HistoryRow(id=first), answer.run_b or HistoryRow(id=second)
    return Compared(*sides, _items(answer), {"compared_by": "server", **answer.document()})


def _items(answer: RunComparison) -> Sequence[Comparison]:
    return read_comparisons(answer.document()) or read_contract_comparison(answer)


def _by_tm(session: CommandContext, first: int, second: int) -> Compared:
    """Compare what the history says of both; raises TmError for runs of two profiles."""
    rows = ended_runs(session, first, second)
    session.terminal.write_line(
        "tm: this server does not compare runs; these are plain differences, which may be noise: "
        "WARN marks more than 10 %"
    )
    newer, older = newer_first(*rows)
    items = compare_rows(newer, older)
    data = {
        "compared_by": "tm",
        "runA": _side(newer),
        "runB": _side(older),
        "comparisons": [comparison_data(item) for item in items],
    }
    return Compared(newer, older, items, data)


def ended_runs(session: CommandContext, first: int, second: int) -> tuple[HistoryRow, HistoryRow]:
    """Return both runs; raises TmError when one is not there or their profiles differ."""
    one, other = (get_ended_run(session.client, number) for number in (first, second))
    if one.profile_id != other.profile_id:
        raise TmError(
            f"runs {first} and {second} are of different profiles",
            hint="`tm history list --profile` shows the runs of one",
            code="not_comparable",
        )
    return one, other


def _side(row: HistoryRow) -> dict[str, Any]:
    names = ("id", "profileName", "startedAt", "durationSeconds", "totalRequests", "totalErrors")
    facts = row.document()
    return {name: facts.get(name) for name in (*names, "avgRps", "region", "tags")}


def _shown(session: CommandContext, found: Compared, chosen: Format) -> str:
    items = [item for item in found.items if item.is_worth_a_row]
    if not items:
        return f"{_title(found)}\n  the server named no comparison"
    names = (f"A: run {found.newer.id}", f"B: run {found.older.id}")
    if chosen is Format.MARKDOWN:
        items += worst_comparisons(read_steps(None, found.data))
        return comparison_markdown(items, title=_title(found), names=names, notes=[_times(found)])
    table = comparison_table(session.terminal, items, names=names, indent=2)
    steps = _steps_table(session, found, names)
    return f"{_title(found)}\n  {_times(found)}\n{table}{steps}"


def _steps_table(session: CommandContext, found: Compared, names: tuple[str, str]) -> str:
    """The worst steps, with the response times of both runs."""
    items = worst_comparisons(read_steps(None, found.data))
    if not items:
        return ""
    return "\n\n" + comparison_table(session.terminal, items, names=names, indent=2)


def _title(found: Compared) -> str:
    name = sanitize(found.newer.profile_name or "profile")
    return f"{name}: run {found.newer.id} compared with run {found.older.id}"


def _times(found: Compared) -> str:
    newer, older = instant(found.newer.started_at), instant(found.older.started_at)
    return f"A started {newer or 'at an unknown time'}, B {older or 'at an unknown time'}"
