"""Finished runs on disk."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tm_cli.runtime.clock import Clock
from tm_cli.server.runs.progress import RunOutcome
from tm_cli.server.runs.results import Results, SideResults, script_stats, secondary_stats
from tm_cli.server.store.database import Database
from tm_cli.server.store.schema import ALL_TAGS
from tm_cli.server.store.stored_rows import StoredRow, checked
from tm_cli.server.validation import MAX_COUNT, wire_time


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """Conditions that all hold; None asks for nothing. Both bounds are inclusive."""

    profile_id: int | None = None
    triggered_by: str | None = None
    region: str | None = None
    verdict: str | None = None
    tag: str | None = None
    run_id_prefix: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None

    def query(self) -> tuple[str, list[object]]:
        """Return where the ids of the rows come from, and the parameters of that."""
        terms: list[tuple[str, object | None]] = [
            ("profile_id = ?", self.profile_id),
            ("triggered_by = ?", self.triggered_by),
            ("region = ?", self.region),
            ("auto_verdict = ?", self.verdict),
            ("tag = ?", self.tag),
            (_RUN_ID, self.run_id_prefix),
            (f"{self._time} >= ?", wire_time(self.created_from) if self.created_from else None),
            (f"{self._time} <= ?", wire_time(self.created_to) if self.created_to else None),
        ]
        asked = [(sql, value) for sql, value in terms if value is not None]
        condition = " AND ".join(sql for sql, _ in asked) or "TRUE"
        # the index of tags has the order of the list, so that few rows of a tag are read
        is_more = any(value is not None for _, value in terms[:4])
        tables = "run_tags CROSS JOIN listed_runs USING (id)" if is_more else "run_tags"
        source = "listed_runs" if self.tag is None else tables
        return f"FROM {source} WHERE {condition}", [value for _, value in asked]

    @property
    def order(self) -> str:
        """Return how the ids are ordered, newest first."""
        return f"ORDER BY {self._time} DESC, id DESC"

    @property
    def _time(self) -> str:
        return "created_at" if self.tag is None else "listed_at"


_RUN_ID = (
    "id IN (SELECT history.id FROM (SELECT ? AS prefix) CROSS JOIN history"
    " WHERE run_id >= prefix AND run_id < prefix || char(0x10ffff))"
)

_JOINED = "history JOIN runs USING (run_id)"
_COMPARED = """
    id, run_id, outcome, created_at, finished_at, duration_seconds, planned, sent, shortfall,
    total_requests, total_errors, avg_rps, peak_rps, success_rate, response_codes,
    latency_quantiles, generator_saturated, downstream_saturated, flaky_dispatch,
    auto_verdict, auto_verdict_reasons, notes, addresses, bodies, repeated, judged, cpu_pressure,
    steps, script_stats, secondary_stats, profile_id, profile_name, target_url, region, tags,
    triggered_by, fingerprint, duration, loop, started_at, traits, against_url, gate, wish,
    wished_id, warmup
"""
# All but the series, which of a two-day run are megabytes. The rest is read even where it is not
# shown, so that a list and a detail agree on what is damaged.
_BRIEF = f"{_COMPARED}, auto_compare_snapshot, auto_compare_baseline_run_id"
_DIGITS = "[0-9][0-9]"
_TIME_FORM = f"{_DIGITS * 2}-{_DIGITS}-{_DIGITS}T{_DIGITS}:{_DIGITS}:{_DIGITS}.{_DIGITS * 3}Z"
_NEWEST_FIRST = "ORDER BY created_at DESC, id DESC"


_JUDGED = """
    listed_runs CROSS JOIN history USING (id) CROSS JOIN runs USING (run_id)
    WHERE listed_runs.auto_verdict IS NOT NULL AND against_url IS NULL
"""
_PASSED = "listed_runs.auto_verdict = 'PASS' AND (loop OR duration_seconds >= duration)"
_LATER_OF_THE_LOAD = f"""
    FROM {_JUDGED} AND listed_runs.profile_id = loads.profile_id
    AND fingerprint = loads.fingerprint AND listed_runs.created_at >= ?1
"""
# The run that the next one of a load would be compared with: the newest that passed, or one of the
# first. Without it, a later run that failed by it would take its place.
_EXPIRED_BASELINES = f"""
WITH expired AS (
    SELECT id, listed_runs.profile_id, fingerprint, listed_runs.auto_verdict = 'FAIL' AS failed,
           {_PASSED} AS passed
    FROM {_JUDGED} AND listed_runs.created_at < ?1
), loads AS (
    SELECT profile_id, fingerprint, MAX(CASE WHEN passed THEN id END) AS newest_passed
    FROM expired GROUP BY profile_id, fingerprint
), used AS (
    SELECT * FROM loads WHERE EXISTS (SELECT 1 {_LATER_OF_THE_LOAD})
    AND NOT EXISTS (SELECT 1 {_LATER_OF_THE_LOAD} AND {_PASSED})
), first AS (
    SELECT id, ROW_NUMBER() OVER (PARTITION BY profile_id, fingerprint, failed ORDER BY id) AS place
    FROM expired JOIN used USING (profile_id, fingerprint) WHERE newest_passed IS NULL
)
SELECT newest_passed FROM used WHERE newest_passed IS NOT NULL
UNION ALL SELECT id FROM first WHERE place <= 10
"""  # noqa: S608 - our own words


@dataclass(frozen=True, slots=True)
class Expiry:
    """What is too old, save `baselines` of loads that are still run.

    `newest` is the id of the newest row when that was found out.
    """

    before: datetime
    baselines: Sequence[int]
    newest: int


@dataclass(frozen=True, slots=True)
class HistoryFacets:
    """What the rows can be filtered by."""

    profiles: list[tuple[int, str]] = field(default_factory=list)
    regions: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class StoredVerdict:
    """A judgement as it is stored."""

    verdict: str
    reasons: Sequence[str]
    snapshot: dict[str, Any]
    baseline_id: int | None


class HistoryStore:
    """Rows are added once, judged at most once, and deleted on request or when they are too old."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(
        self,
        run_id: str,
        outcome: RunOutcome,
        results: Results,
        *,
        finished_at: datetime,
        reasons: Sequence[str] = (),
        notes: Sequence[str] = (),
    ) -> int:
        columns = result_columns(run_id, outcome, results, reasons)
        columns["notes"] = json.dumps(list(notes))
        columns["finished_at"] = wire_time(finished_at)
        with self._database.transaction() as connection:
            columns["created_at"] = self._creation(connection)
            names = ", ".join(columns)
            marks = ", ".join("?" for _ in columns)
            cursor = connection.execute(
                f"INSERT INTO history ({names}) VALUES ({marks})",  # noqa: S608 - our own names
                list(columns.values()),
            )
            connection.execute(f"{ALL_TAGS} AND history.id = ?", [cursor.lastrowid])
        assert cursor.lastrowid is not None  # noqa: S101 - an INSERT always sets it
        return cursor.lastrowid

    def _creation(self, connection: sqlite3.Connection) -> str:
        """Now, but never before the newest row: pages are ordered by time and id."""
        newest = connection.execute(
            "SELECT created_at FROM history WHERE typeof(created_at) = 'text'"
            " AND created_at GLOB ? ORDER BY created_at DESC LIMIT 1",
            [_TIME_FORM],
        ).fetchone()
        return max(wire_time(self._clock.now()), newest[0] if newest else "")

    def set_script_notes(self, history_id: int, notes: Sequence[str]) -> None:
        """Keep what scripts have written and what has failed around a run; nothing judges it."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE history SET script_stats ="
                " json_set(coalesce(script_stats, '{}'), '$.notes', json(?))"
                " WHERE id = ? AND json_valid(coalesce(script_stats, '{}'))",
                [json.dumps(list(notes)), history_id],
            )

    def set_verdict(self, history_id: int, verdict: StoredVerdict) -> bool:
        """Write the verdict; False when there is one already, which then stays."""
        values = (
            verdict.verdict,
            json.dumps(list(verdict.reasons), ensure_ascii=False),
            json.dumps(verdict.snapshot, ensure_ascii=False),
            verdict.baseline_id,
            history_id,
        )
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "UPDATE history SET auto_verdict = ?, auto_verdict_reasons = ?,"
                " auto_compare_snapshot = ?, auto_compare_baseline_run_id = ?"
                " WHERE id = ? AND auto_verdict IS NULL",
                values,
            )
        return cursor.rowcount == 1

    def find(self, history_id: int) -> StoredRow | None:
        sql = f"SELECT * FROM {_JOINED} WHERE id = ?"  # noqa: S608 - our own words
        row = self._database.row(sql, [history_id])
        return checked(row) if row else None

    def page(self, wanted: HistoryFilter, *, page: int, size: int) -> tuple[list[StoredRow], int]:
        """One page of matching rows, newest first, and how many match altogether."""
        source, parameters = wanted.query()
        total = self._database.row(f"SELECT COUNT(*) {source}", parameters)
        ids = f"SELECT id {source} {wanted.order} LIMIT ? OFFSET ?"
        rows = self._database.rows(
            f"SELECT {_BRIEF} FROM {_JOINED} WHERE id IN ({ids}) {_NEWEST_FIRST}",  # noqa: S608
            [*parameters, size, page * size],
        )
        return [checked(row) for row in rows], int(total[0]) if total else 0

    def completed_before(self, history_id: int, profile_id: int) -> list[StoredRow]:
        """The earlier completed rows of a profile, newest first, without damaged ones."""
        sql = (
            f"SELECT {_COMPARED} FROM {_JOINED}"  # noqa: S608 - our own words
            " WHERE profile_id = ? AND id < ? AND outcome = 'COMPLETED' ORDER BY id DESC"
        )
        return self._undamaged(sql, [profile_id, history_id])

    def comparable_before(
        self, history_id: int, profile_id: int, fingerprint: str, most: int
    ) -> list[StoredRow]:
        """The same with one fingerprint, and no more than `most`: cheap for a long history."""
        ids = (
            "SELECT history.id FROM listed_runs CROSS JOIN history USING (id)"
            " CROSS JOIN runs USING (run_id) WHERE listed_runs.profile_id = ? AND id < ?"
            " AND outcome = 'COMPLETED' AND fingerprint = ?"
            " ORDER BY listed_runs.created_at DESC, id DESC LIMIT ?"
        )
        sql = f"SELECT {_COMPARED} FROM {_JOINED} WHERE id IN ({ids}) ORDER BY id DESC"  # noqa: S608
        return self._undamaged(sql, [profile_id, history_id, fingerprint, most])

    def _undamaged(self, sql: str, parameters: Sequence[object]) -> list[StoredRow]:
        rows = self._database.rows(sql, parameters)
        return [row for row in map(checked, rows) if not row["damaged"]]

    def unjudged(self) -> list[int]:
        sql = "SELECT id FROM history WHERE outcome = 'COMPLETED' AND auto_verdict IS NULL"
        return [row["id"] for row in self._database.rows(f"{sql} ORDER BY id")]

    def delete(self, history_id: int) -> bool:
        with self._database.transaction() as connection:
            sql = "SELECT run_id FROM history WHERE id = ?"
            row = connection.execute(sql, [history_id]).fetchone()
            if row is None:
                return False
            connection.execute("DELETE FROM history WHERE id = ?", [history_id])
            connection.execute("DELETE FROM runs WHERE run_id = ?", [row["run_id"]])
        return True

    def expiry(self, before: datetime) -> Expiry:
        """Which rows that were created before may not be deleted yet."""
        newest = self._database.row("SELECT MAX(id) FROM history")
        rows = self._database.rows(_EXPIRED_BASELINES, [wire_time(before)])
        return Expiry(before, tuple(row[0] for row in rows), (newest and newest[0]) or 0)

    def expire(self, expiry: Expiry, *, busy_profiles: Collection[int], most: int) -> int:
        """Delete the oldest rows that are too old; return how many.

        Pinned rows stay, and those of busy profiles, and what is damaged or not judged yet; those
        of profiles that have got a row since wait for the next time.
        """
        sql = (
            f"SELECT id, run_id FROM {_JOINED} WHERE created_at < ? AND created_at GLOB ?"  # noqa: S608
            " AND typeof(created_at) = 'text' AND typeof(profile_id) = 'integer'"
            " AND id NOT IN (SELECT history_id FROM pins)"
            " AND id NOT IN (SELECT value FROM json_each(?))"
            " AND profile_id NOT IN (SELECT value FROM json_each(?))"
            " AND profile_id NOT IN (SELECT runs.profile_id FROM history JOIN runs USING (run_id)"
            " WHERE history.id > ?)"
            " AND (outcome <> 'COMPLETED' OR auto_verdict IS NOT NULL)"
            " ORDER BY created_at, id LIMIT ?"
        )
        kept, busy = json.dumps(expiry.baselines), json.dumps(sorted(busy_profiles))
        times = wire_time(expiry.before), _TIME_FORM
        with self._database.transaction() as connection:
            rows = connection.execute(sql, [*times, kept, busy, expiry.newest, most])
            found = [tuple(row) for row in rows]
            connection.executemany("DELETE FROM history WHERE id = ?", [row[:1] for row in found])
            connection.executemany("DELETE FROM runs WHERE run_id = ?", [row[1:] for row in found])
        return len(found)

    def facets(self) -> HistoryFacets:
        profiles = self._distinct("listed_runs", "profile_id")
        newest = self._database.rows(
            f"SELECT profile_id, profile_name FROM {_JOINED} WHERE id IN ("  # noqa: S608
            f"SELECT (SELECT id FROM listed_runs WHERE profile_id = value {_NEWEST_FIRST} LIMIT 1)"
            f" FROM ({profiles}))"
        )
        regions = self._database.rows(self._distinct("listed_runs", "region"))
        tags = self._database.rows(self._distinct("run_tags", "tag"))
        named = [
            (row["profile_id"], row["profile_name"])
            for row in newest
            if isinstance(row["profile_id"], int) and isinstance(row["profile_name"], str)
        ]
        return HistoryFacets(
            profiles=sorted(named, key=lambda item: (item[1].lower(), item[0])),
            regions=[row[0] for row in regions if isinstance(row[0], str)],
            tags=[row[0] for row in tags],
        )

    @staticmethod
    def _distinct(table: str, column: str) -> str:
        """Return a query for the values of an indexed column in order, each looked up once.

        `SELECT DISTINCT` would read every row.
        """
        return (
            f"WITH RECURSIVE known (value) AS (SELECT MIN({column}) FROM {table} UNION ALL"  # noqa: S608
            f" SELECT (SELECT MIN({column}) FROM {table} WHERE {column} > value)"
            " FROM known WHERE value IS NOT NULL) SELECT value FROM known WHERE value IS NOT NULL"
        )

    def requests_since(self, instant: datetime) -> int:
        row = self._database.row(
            "SELECT TOTAL(sent) FROM history JOIN runs USING (run_id)"
            " WHERE created_at >= ? AND started_at >= ?"
            " AND typeof(sent) = 'integer' AND sent BETWEEN 0 AND ?",
            [wire_time(instant), wire_time(instant), MAX_COUNT],
        )
        return int(row[0]) if row else 0


def result_columns(
    run_id: str, outcome: RunOutcome, results: Results, reasons: Sequence[str] = ()
) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "outcome": outcome.value,
        "duration_seconds": round(results.elapsed),
        "planned": results.planned,
        "sent": results.sent,
        "shortfall": results.shortfall,
        "total_requests": results.completed,
        "total_errors": results.errors,
        "avg_rps": results.average_rps,
        "peak_rps": results.peak_rps,
        "success_rate": results.success_rate,
        "response_codes": json.dumps(results.codes),
        "latency_quantiles": json.dumps(results.quantiles_ms),
        "rps_series": json.dumps(results.rps_series),
        "latency_series": json.dumps(results.latency_series),
        "generator_saturated": results.flags.generator_saturated,
        "downstream_saturated": results.flags.downstream_saturated,
        "flaky_dispatch": results.flags.flaky_dispatch,
        "auto_verdict_reasons": json.dumps(list(reasons)) if reasons else None,
        "addresses": json.dumps(results.addresses),
        "bodies": json.dumps(results.bodies),
        "repeated": results.repeated,
        **_script_columns(results),
        "judged": results.judged.model_dump_json(by_alias=True) if results.judged else None,
        "cpu_pressure": results.cpu_pressure,
        "steps": json.dumps({name: step.to_wire() for name, step in results.steps.items()}),
        "against": SideResults.of(results.against).model_dump_json(by_alias=True)
        if results.against
        else None,
    }


def _script_columns(results: Results) -> dict[str, str | None]:
    counts = results.script
    return {
        "script_stats": json.dumps(script_stats(counts)) if counts else None,
        "secondary_stats": json.dumps(secondary_stats(counts.follow_ups)) if counts else None,
    }
