"""`tm history show`: one finished run as text and as a chart, with its baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tm_cli.api.errors import ApiError, HttpError
from tm_cli.api.trafficmorph import HistoryRow, TrafficMorphClient
from tm_cli.backends.trafficmorph.results import (
    as_result,
    read_series,
)
from tm_cli.cli.session import CommandContext
from tm_cli.commands.history.find import find_history_id
from tm_cli.errors import TmError
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.events import Decided
from tm_cli.gate.model import Result, Run, TimeSeries
from tm_cli.gate.policy import Decision
from tm_cli.render.chart import draw_series, remarkable_moments
from tm_cli.render.summary import run_summary
from tm_cli.render.tables import instant, percent
from tm_cli.values.text import as_number, sanitize

_MOST_NOTES = 50


def describe_run(session: CommandContext, row: HistoryRow) -> str:
    """Tell everything that is known of an ended run; fetches its baseline for the picture."""
    result = as_result(row)
    run = Run(row.run_id, sanitize(row.profile_name or "?"), "", None)
    shown = Decided(Decision(ExitCode.OK, ""), run, result)
    lines = [run_summary(session.terminal, shown), *_details(row), *_picture(session, row, result)]
    return "\n".join(lines)


def _details(row: HistoryRow) -> list[str]:
    details: list[tuple[str, Any]] = [
        ("started", instant(row.started_at)),
        ("finished", instant(row.finished_at)),
        ("target", row.target_url),
        ("region", row.region),
        ("tags", ", ".join(row.tags)),
        ("CPU pressure", _pressure(row.cpu_pressure)),
        ("response script", _script(row.script_stats)),
        ("requests of the script", _follow_ups(row.secondary_stats)),
        *(("script note", note) for note in _script_notes(row.script_stats)),
    ]
    return [f"  {name} {sanitize(value)}" for name, value in details if value not in (None, "")]


def _pressure(share: float | None) -> str | None:
    if share is None:
        return None
    return f"{percent(100 * share)}, the share of the time in which some task waited for a CPU"


def _script(stats: object) -> str | None:
    """How often the response script was called, and its most frequent error."""
    if not isinstance(stats, Mapping):
        return None
    text = _counted(stats, {"ok": "returned", "errors": "failed", "skipped": "left out"})
    messages = stats.get("messages")
    if not text or not isinstance(messages, Mapping) or not messages:
        return text
    most_frequent = max(messages, key=lambda text: as_number(messages[text]) or 0)
    return f"{text}; such as {most_frequent}"


def _script_notes(stats: object) -> Sequence[object]:
    """What scripts around the run have written, and what has failed."""
    notes = stats.get("notes") if isinstance(stats, Mapping) else None
    return notes[:_MOST_NOTES] if isinstance(notes, list) else []


def _follow_ups(stats: object) -> str | None:
    """What has become of the requests that the response script has asked for."""
    if not isinstance(stats, Mapping) or not any(map(as_number, stats.values())):
        return None
    return _counted(stats, {name: name for name in ("sent", "errors", "refused", "dropped")})


def _counted(stats: Mapping[str, Any], words: Mapping[str, str]) -> str | None:
    found = [f"{stats[key]:,} {word}" for key, word in words.items() if type(stats.get(key)) is int]
    return ", ".join(found) or None


def _picture(session: CommandContext, row: HistoryRow, result: Result) -> list[str]:
    series = read_series(row.document())
    if not series:
        return []
    is_ab_run = result.basis.is_ab_run
    drawn = draw_series(
        session.terminal,
        series,
        other=_other_series(session, row, result),
        other_name=result.basis.other,
        duration=row.duration_seconds,
        warmup=row.warmup_seconds or 0.0,
        draws_other_rates=is_ab_run,
    )
    notes = [f"  {line}" for line in remarkable_moments(series, row.duration_seconds)]
    return [*notes, "", drawn] if drawn else notes


def _other_series(session: CommandContext, row: HistoryRow, result: Result) -> TimeSeries:
    """The course of a duet's other side, else of the baseline run as far as it can be read."""
    if result.basis.is_ab_run:
        return read_series(row.against if isinstance(row.against, Mapping) else {})
    if not isinstance(result.basis.baseline, int):
        return ()
    try:
        baseline = session.client.get_history_item(result.basis.baseline)
    except ApiError as error:
        session.note(
            f"tm: the baseline, run {result.basis.baseline}, is not drawn: "
            f"{sanitize(error.message)}"
        )
        return ()
    return read_series(baseline.document())


_NOT_THERE = frozenset({400, 404})


def find_ended_run(session: CommandContext, text: str, *, for_change: bool = False) -> HistoryRow:
    """Return the run that `text` names in detail; raises as `find_history_id` does."""
    return get_ended_run(session.client, find_history_id(session, text, for_change=for_change))


def get_ended_run(client: TrafficMorphClient, history_id: int) -> HistoryRow:
    """Return the run in detail; raises TmError when the history has none of this id."""
    with not_found_as_error(history_id):
        return client.get_history_item(history_id)


def with_details(session: CommandContext, row: HistoryRow, *, always: bool = False) -> HistoryRow:
    """Return a row of a list in detail, where the list has no response times or `always`.

    A run that has been deleted since stays as it was listed.
    """
    if row.id is None or (row.latency_quantiles is not None and not always):
        return row
    try:
        return session.client.get_history_item(row.id)
    except HttpError as error:
        if error.status not in _NOT_THERE or not error.from_api:
            raise
        return row


@contextmanager
def not_found_as_error(history_id: int) -> Iterator[None]:
    """Turn the API's refusal of an id into an error that names it."""
    try:
        yield
    except HttpError as error:
        if error.status not in _NOT_THERE or not error.from_api:
            raise
        raise TmError(
            f"run {history_id} is not in the history",
            hint="`tm history list` shows what is there",
            code="unknown_run",
        ) from None
