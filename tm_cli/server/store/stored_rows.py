"""Checks history rows as they are read: damaged values are left out and named, the rest is kept.

A value that cannot be read must not take the list of all runs with it, nor pass for a measurement.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, Strict, TypeAdapter

from tm_cli.server.judge.thresholds import Thresholds
from tm_cli.server.runs.progress import RunOutcome
from tm_cli.server.runs.results import (
    JudgedCounts,
    LatencySeries,
    Quantiles,
    Series,
    SideResults,
    StepResults,
)
from tm_cli.server.validation import (
    MAX_COUNT,
    Count,
    Counts,
    Finite,
    Measure,
    Text,
    read_time,
    refuse_constant,
)

StoredRow = Mapping[str, Any]
"""The columns of a row by name, and under `damaged` the names of those that cannot be read."""

_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)


def checked(row: sqlite3.Row) -> StoredRow:
    """The row with neutral values for what is damaged; such a row has no verdict.

    Series are only shown, and addresses only compared: without them a verdict still stands, but
    nothing is compared with the run.
    """
    values: dict[str, Any] = {}
    damaged = []
    for column, value in zip(row.keys(), row, strict=True):
        try:
            _CHECKS[column].validate_python(value)
            values[column] = value
        except _UNREADABLE:
            values[column] = _COLUMNS[column][1]
            damaged.append(column)
    if set(damaged) - _SERIES:
        values |= {"auto_verdict": None, "auto_verdict_reasons": _reasons(damaged)}
        values |= {"auto_compare_snapshot": None}
    return values | {"damaged": tuple(damaged)}


def damage(row: StoredRow) -> str:
    return f"its row in the history is damaged ({', '.join(row['damaged'])})"


def _reasons(damaged: list[str]) -> str:
    return json.dumps([f"no verdict: this row of the history is damaged ({', '.join(damaged)})"])


_JSON = json.JSONDecoder(parse_constant=refuse_constant)
_SHORT = 1000


def _json(kind: Any) -> Any:
    """The type of a text that holds JSON of another type."""
    adapter: TypeAdapter[Any] = TypeAdapter(kind)

    def check(text: str) -> str:
        adapter.validate_python(_JSON.decode(text))
        return text

    # tags, thresholds and the like repeat in many rows
    check_short = lru_cache(maxsize=1000)(check)
    return Annotated[
        Text,
        AfterValidator(lambda text: check_short(text) if len(text) <= _SHORT else check(text)),
    ]


def _check_time(text: str) -> str:
    read_time(text)
    return text


def _check_gate(document: dict[str, Any]) -> dict[str, Any]:
    Thresholds().changed(document)
    return document


_Time = Annotated[Text, AfterValidator(_check_time)]
_Column = tuple[Any, Any]
_COUNT: _Column = (Count, 0)
_MEASURE: _Column = (Measure, 0.0)
_TEXT: _Column = (Text, "")
_TIME: _Column = (_Time, None)
_FLAG: _Column = (Count, 1)
_MAYBE_ID: _Column = (Count | None, None)
_TEXTS = _json(list[Text])

_SERIES = {
    "rps_series",
    "latency_series",
    "against",
    "addresses",
    "bodies",
    "repeated",
    "cpu_pressure",
}

_COLUMNS: dict[str, _Column] = {
    "id": _COUNT,
    "run_id": (Text, "(damaged)"),
    "outcome": (Annotated[Text, AfterValidator(RunOutcome)], RunOutcome.ABORTED.value),
    "created_at": _TIME,
    "finished_at": _TIME,
    "started_at": _TIME,
    "duration_seconds": _COUNT,
    "duration": _MEASURE,
    "loop": _COUNT,
    "planned": _COUNT,
    "sent": _COUNT,
    "shortfall": (Annotated[int, Strict(), Field(ge=-MAX_COUNT, le=MAX_COUNT)], 0),
    "total_requests": _COUNT,
    "total_errors": _COUNT,
    "avg_rps": _MEASURE,
    "peak_rps": _MEASURE,
    "success_rate": (Finite | None, None),
    "response_codes": (_json(Counts), "{}"),
    "latency_quantiles": (_json(Quantiles), "{}"),
    "rps_series": (_json(Series), "[]"),
    "latency_series": (_json(LatencySeries), "[]"),
    "generator_saturated": _FLAG,
    "downstream_saturated": _FLAG,
    "flaky_dispatch": _FLAG,
    "auto_verdict": (Literal["PASS", "WARN", "FAIL", "NO_BASELINE"] | None, None),
    "auto_verdict_reasons": (_TEXTS | None, None),
    "auto_compare_snapshot": (_json(dict[str, Any]) | None, None),
    "auto_compare_baseline_run_id": _MAYBE_ID,
    "against": (_json(SideResults) | None, None),
    "notes": (_TEXTS, "[]"),
    "addresses": (_json(Counts), "{}"),
    "bodies": (_json(Counts), "{}"),
    "repeated": _COUNT,
    "judged": (_json(JudgedCounts) | None, None),
    "cpu_pressure": (Measure | None, None),
    "steps": (_json(dict[Text, StepResults]), "{}"),
    "script_stats": (_json(dict[str, Any]) | None, None),
    "secondary_stats": (_json(dict[str, Any]) | None, None),
    "profile_id": _COUNT,
    "profile_name": _TEXT,
    "target_url": _TEXT,
    "region": _TEXT,
    "tags": (_TEXTS, "[]"),
    "triggered_by": (
        Literal["api", "manual", "scheduled"],
        "manual",
    ),  # no gate takes it for its own
    "fingerprint": _TEXT,
    "traits": (_json(dict[str, Text]), "{}"),
    "against_url": (Text | None, None),
    "gate": (_json(Annotated[dict[str, Any], AfterValidator(_check_gate)]), "{}"),
    "wish": (Literal["asked", "pinned"] | None, None),
    "wished_id": _MAYBE_ID,
    "warmup": _MEASURE,
}
"""The type of each column, and its value when it is damaged."""

_CHECKS: dict[str, TypeAdapter[Any]] = {
    name: TypeAdapter(kind) for name, (kind, _) in _COLUMNS.items()
}
