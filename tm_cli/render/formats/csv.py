"""The time series of every run and its baseline as CSV; without any, its numbers; and its steps."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

from tm_cli.gate.model import Comparison, Sample, TimeSeries
from tm_cli.gate.outcome import GateOutcome, Record
from tm_cli.render.comparisons import plain_numbers
from tm_cli.render.steps import step_numbers
from tm_cli.render.summary import verdict_word
from tm_cli.values.text import sanitize

_MEASURED = {
    "rps": "rps",
    "planned": "planned_rps",
    "bad": "errors_percent",
    "p50": "p50_ms",
    "p95": "p95_ms",
    "p99": "p99_ms",
}
_ABOUT = ("subject", "run_id", "outcome", "verdict", "seconds")
_NUMBER = ("metric", "unit", "value", "baseline", "change", "metric_verdict")
HEAD = (
    *_ABOUT,
    *_MEASURED.values(),
    *(f"baseline_{name}" for name in _MEASURED.values()),
    *_NUMBER,
)

_FORMULA = ("=", "+", "-", "@")


def series_csv(outcome: GateOutcome) -> str:
    """Return a row for each sample of each run; a run without series has one for each number.

    Texts that a spreadsheet would take for a formula get an apostrophe in front.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(HEAD)
    for record in outcome.reported:
        writer.writerows(_rows(record))
    return buffer.getvalue()


def _rows(record: Record) -> Iterator[list[str]]:
    end = record.end
    about = [
        harmless(record.subject),
        harmless(end.run.run_id or "" if end.run else ""),
        end.decision.exit_code.name,
        harmless(verdict_word(end)),
    ]
    ours = _by_time(end.result.series if end.result else ())
    theirs = _by_time(end.baseline.series if end.baseline else ())
    for t in sorted(set(ours) | set(theirs)):
        samples = (*_values(ours.get(t)), *_values(theirs.get(t)))
        yield [*about, _plain(t), *samples, *_NO_NUMBER]
    none = ["", *_values(None), *_values(None)]
    steps = [_number(item) for item in step_numbers(end.result.steps)] if end.result else []
    if not ours and not theirs:
        numbers = [_number(item) for item in plain_numbers(end.result)]
        yield from ([*about, *none, *number] for number in numbers or [_NO_NUMBER])
    yield from ([*about, *none, *number] for number in steps)


_NO_NUMBER = [""] * len(_NUMBER)


def _number(item: Comparison) -> list[str]:
    values = (_plain(item.value), _plain(item.baseline), _plain(item.change))
    return [harmless(item.metric), harmless(item.unit), *values, harmless(item.verdict or "")]


def _by_time(series: TimeSeries) -> dict[float, Sample]:
    return {sample.t: sample for sample in series}


def _values(sample: Sample | None) -> list[str]:
    return [_plain(_measured(sample, name) if sample else None) for name in _MEASURED]


def _measured(sample: Sample, name: str) -> float | None:
    value: float | None = getattr(sample, name)
    return value * 100 if name == "bad" and value is not None else value


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}".rstrip("0").rstrip(".")


_LONGEST_CELL = 32_767
"""Characters, as many as spreadsheets take."""


def csv_line(cells: Sequence[Any]) -> str:
    """Return a row with its line break: numbers as they are, texts harmless, lists and objects as
    JSON.
    """
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(map(_cell, cells))
    return buffer.getvalue()


def _cell(value: Any) -> Any:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    shown = value if isinstance(value, str) else json.dumps(value)
    return harmless(shown, longest=_LONGEST_CELL)


def harmless(text: str, **limits: int) -> str:
    """Return a cell that spreadsheets do not evaluate."""
    shown = sanitize(text, **limits)
    first = unicodedata.normalize("NFKC", shown[:1])  # some take fullwidth signs for these
    return f"'{shown}" if first.startswith(_FORMULA) else shown
