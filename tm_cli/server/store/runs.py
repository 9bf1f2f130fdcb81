"""Runs on disk while they go on: the run itself and its buckets."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from datetime import datetime

from tm_cli.server.numbers import count, counts, maybe_measure, status_counts
from tm_cli.server.runs.run import Run
from tm_cli.server.store.database import Database
from tm_cli.server.store.stored_rows import StoredRow, checked
from tm_cli.server.timestamps import read_time, wire_time
from tm_cli.server.workers.engine_events import Bucket

_UNKNOWN = "1970-01-01T00:00:00Z"


class RunStore:
    """Writes a run before anybody is told that it started."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, run: Run) -> None:
        """Put a new run on disk."""
        values = (
            run.run_id,
            run.profile_id,
            run.profile_name,
            run.target_url,
            run.region,
            json.dumps(run.tags),
            run.triggered_by,
            run.fingerprint,
            run.duration,
            run.loop,
            wire_time(run.started_at),
            json.dumps(dict(run.traits)),
            run.against_url,
            json.dumps(dict(run.gate)),
            *(run.wish or (None, None)),
        )
        marks = ", ".join("?" for _ in values)
        with self._database.transaction() as connection:
            connection.execute(f"INSERT INTO runs VALUES ({marks})", values)  # noqa: S608

    def set_start(self, run_id: str, at: datetime) -> None:
        """Move the start to curve second 0, which the engine knows."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE runs SET started_at = ? WHERE run_id = ?", [wire_time(at), run_id]
            )

    def unfinished(self) -> list[Run]:
        """Runs without a history row: going on, or cut short when a server died.

        What is damaged has a neutral value; the row itself stays as it is.
        """
        rows = self._database.rows(
            "SELECT * FROM runs WHERE run_id NOT IN (SELECT run_id FROM history)"
            " AND typeof(run_id) = 'text' ORDER BY started_at"
        )
        return [_run(checked(row)) for row in rows]

    def save_buckets(self, run_id: str, buckets: Iterable[Bucket]) -> None:
        """Write buckets; the newest line of an index replaces the older one."""
        values = [_bucket_values(run_id, bucket) for bucket in buckets]
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO buckets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )

    def buckets(self, run_id: str) -> list[Bucket]:
        """The buckets of a run in order; those of a duet's other target come after the first.

        Raises ValueError when one of them is damaged.
        """
        sql = "SELECT * FROM buckets WHERE run_id = ? ORDER BY side, position"
        try:
            return [_bucket(row) for row in self._database.rows(sql, [run_id])]
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError("its measurements are damaged in the database") from error


def _run(row: StoredRow) -> Run:
    return Run(
        run_id=row["run_id"],
        profile_id=row["profile_id"],
        profile_name=row["profile_name"],
        target_url=row["target_url"],
        region=row["region"],
        tags=tuple(json.loads(row["tags"])),
        triggered_by=row["triggered_by"],
        fingerprint=row["fingerprint"],
        duration=row["duration"],
        loop=bool(row["loop"]),
        started_at=read_time(row["started_at"] or _UNKNOWN),
        traits=json.loads(row["traits"]),
        against_url=row["against_url"],
        gate=json.loads(row["gate"]),
        wish=(row["wish"], row["wished_id"]) if row["wish"] else None,
    )


def _bucket_values(run_id: str, bucket: Bucket) -> tuple[object, ...]:
    return (
        run_id,
        bucket.side,
        bucket.index,
        bucket.planned,
        bucket.sent,
        bucket.completed,
        json.dumps(bucket.codes),
        json.dumps(bucket.failures),
        bucket.response,
        bucket.service,
        bucket.p50_ms,
        bucket.p95_ms,
        bucket.p99_ms,
    )


def _bucket(row: sqlite3.Row) -> Bucket:
    response, service = row["response"], row["service"]
    if not isinstance(response, str) or not isinstance(service, str):
        raise TypeError("a histogram is not a text")
    return Bucket(
        index=count(row["position"]),
        planned=count(row["planned"]),
        sent=count(row["sent"]),
        completed=count(row["completed"]),
        codes=status_counts(json.loads(row["codes"])),
        failures=counts(json.loads(row["failures"])),
        response=response,
        service=service,
        p50_ms=maybe_measure(row["p50_ms"]),
        p95_ms=maybe_measure(row["p95_ms"]),
        p99_ms=maybe_measure(row["p99_ms"]),
        side=count(row["side"]),
    )
