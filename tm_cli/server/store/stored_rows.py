"""History rows as they are read: what is damaged is left out and named, and the rest is kept.

A value that cannot be read must not take the list of all runs with it, nor pass for a measurement.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

from tm_cli.server.judge.thresholds import Limits
from tm_cli.server.numbers import count, counts, finite, maybe_measure, measure, refuse_constant
from tm_cli.server.runs.run import Outcome
from tm_cli.server.timestamps import read_time

StoredRow = Mapping[str, Any]
"""The columns of a row by name, and under `damaged` the names of those that cannot be read."""

_VERDICTS = ("PASS", "WARN", "FAIL", "NO_BASELINE")
_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)


def checked(row: sqlite3.Row) -> StoredRow:
    """The row with neutral values for what is damaged; such a row has no verdict.

    Series are only shown, and addresses only compared: without them a verdict still stands, but
    nothing is compared any more.
    """
    values: dict[str, Any] = {}
    damaged = []
    for column, value in zip(row.keys(), row, strict=True):
        check, neutral = _COLUMNS[column]
        try:
            check(value)
            values[column] = value
        except _UNREADABLE:
            values[column] = neutral
            damaged.append(column)
    if set(damaged) - _SERIES:
        values |= {"auto_verdict": None, "auto_verdict_reasons": _reasons(damaged)}
        values |= {"auto_compare_snapshot": None}
    return values | {"damaged": tuple(damaged)}


def damage(row: StoredRow) -> str:
    """What is damaged, in words."""
    return f"its row in the history is damaged ({', '.join(row['damaged'])})"


def _reasons(damaged: list[str]) -> str:
    return json.dumps([f"no verdict: this row of the history is damaged ({', '.join(damaged)})"])


def _text(value: object) -> None:
    if not isinstance(value, str):
        raise TypeError("it is not a text")


def _whole(value: Any) -> None:
    count(abs(value))


def _one_of(texts: tuple[str, ...], value: object) -> None:
    if value not in texts:
        raise ValueError("this value is unknown")


def _time(value: object) -> None:
    _text(value)
    read_time(str(value))


def _optional(check: Callable[[Any], object], value: object) -> None:
    if value is not None:
        check(value)


def _json(check: Callable[[Any], object], value: object) -> None:
    if not isinstance(value, str):
        raise TypeError("it is not a text")
    if len(value) <= _SHORT:
        _check_short(check, value)
    else:
        check(_JSON.decode(value))


@lru_cache(maxsize=1000)
def _check_short(check: Callable[[Any], object], text: str) -> None:
    """Tags, limits and the like are the same in many rows."""
    check(_JSON.decode(text))


_JSON = json.JSONDecoder(parse_constant=refuse_constant)
_SHORT = 1000


def _names(value: Any) -> None:
    if not isinstance(value, list):
        raise TypeError("it is not a list")
    for item in value:
        _text(item)
        item.encode()  # a lone surrogate fails here


def _texts_by_name(value: Any) -> None:
    for text in value.values():
        _text(text)


def _measures_by_name(value: Any) -> None:
    for number in value.values():
        measure(number)


def _series(value: Any) -> None:
    if not isinstance(value, list):
        raise TypeError("it is not a list")
    for point in value:
        for number in point.values():
            maybe_measure(number)


def _latencies(value: Any) -> None:
    _series(value)
    for point in value:
        _ = point["p50"], point["p95"], point["p99"]


def _gate(value: Any) -> None:
    Limits().changed(value)


def _object(value: Any) -> None:
    if not isinstance(value, dict):
        raise TypeError("it is not an object")


def _other_side(value: Any) -> None:
    for key in ("planned", "sent", "totalRequests", "totalErrors"):
        count(value[key])
    counts(value["responseCodes"])
    counts(value.get("addresses", {}))
    _measures_by_name(value["latencyQuantiles"])
    _series(value["rpsSeries"])
    _latencies(value["latencySeries"])
    for key in ("avgRps", "peakRps"):
        measure(value[key])
    _optional(finite, value["successRate"])


_Column = tuple[Callable[[Any], object], Any]
_COUNT: _Column = (count, 0)
_MEASURE: _Column = (measure, 0.0)
_TEXT: _Column = (_text, "")
_TIME: _Column = (_time, None)
_FLAG: _Column = (count, 1)
_MAYBE_ID: _Column = (partial(_optional, count), None)

_SERIES = {"rps_series", "latency_series", "against", "addresses"}

_COLUMNS: dict[str, _Column] = {
    "id": _COUNT,
    "run_id": (_text, "(damaged)"),
    "outcome": (partial(_one_of, tuple(Outcome)), Outcome.ABORTED.value),
    "created_at": _TIME,
    "finished_at": _TIME,
    "started_at": _TIME,
    "duration_seconds": _COUNT,
    "duration": _MEASURE,
    "loop": (count, 0),
    "planned": _COUNT,
    "sent": _COUNT,
    "shortfall": (_whole, 0),
    "total_requests": _COUNT,
    "total_errors": _COUNT,
    "avg_rps": _MEASURE,
    "peak_rps": _MEASURE,
    "success_rate": (partial(_optional, finite), None),
    "response_codes": (partial(_json, counts), "{}"),
    "latency_quantiles": (partial(_json, _measures_by_name), "{}"),
    "rps_series": (partial(_json, _series), "[]"),
    "latency_series": (partial(_json, _latencies), "[]"),
    "generator_saturated": _FLAG,
    "downstream_saturated": _FLAG,
    "flaky_dispatch": _FLAG,
    "auto_verdict": (partial(_optional, partial(_one_of, _VERDICTS)), None),
    "auto_verdict_reasons": (partial(_optional, partial(_json, _names)), None),
    "auto_compare_snapshot": (partial(_optional, partial(_json, _object)), None),
    "auto_compare_baseline_run_id": _MAYBE_ID,
    "against": (partial(_optional, partial(_json, _other_side)), None),
    "notes": (partial(_json, _names), "[]"),
    "addresses": (partial(_json, counts), "{}"),
    "profile_id": _COUNT,
    "profile_name": _TEXT,
    "target_url": _TEXT,
    "region": _TEXT,
    "tags": (partial(_json, _names), "[]"),
    "triggered_by": _TEXT,
    "fingerprint": _TEXT,
    "traits": (partial(_json, _texts_by_name), "{}"),
    "against_url": (partial(_optional, _text), None),
    "gate": (partial(_json, _gate), "{}"),
    "wish": (partial(_optional, partial(_one_of, ("asked", "pinned"))), None),
    "wished_id": _MAYBE_ID,
}
"""How each column is checked, and what stands for it when it is damaged."""
