"""Active runs on disk: the run itself and its buckets."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime

from pydantic import TypeAdapter

from tm_cli.server.runs.progress import ServerRun
from tm_cli.server.runs.steps import StepBlock
from tm_cli.server.store.database import Database
from tm_cli.server.store.stored_rows import StoredRow, checked
from tm_cli.server.validation import read_time, wire_time
from tm_cli.server.workers.engine_events import EngineBucket

_UNKNOWN = "1970-01-01T00:00:00Z"
_BUCKET = TypeAdapter(EngineBucket)
_STEP = TypeAdapter(StepBlock)


class RunStore:
    """Stores a run before its start is answered."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, run: ServerRun) -> None:
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
            *(run.selected_baseline or (None, None)),
            run.warmup,
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

    def set_protocol(self, run_id: str, protocol: str) -> None:
        """Note how the target is spoken to; it is no part of what makes runs comparable."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE runs SET traits = json_set(traits, '$.protocol', ?) WHERE run_id = ?",
                [protocol, run_id],
            )

    def find(self, run_id: str) -> StoredRow | None:
        row = self._database.row("SELECT * FROM runs WHERE run_id = ?", [run_id])
        return checked(row) if row else None

    def unfinished(self) -> list[ServerRun]:
        """Runs without a history row: active, or cut short when a server died.

        What is damaged has a neutral value; the row itself stays as it is.
        """
        rows = self._database.rows(
            "SELECT * FROM runs WHERE run_id NOT IN (SELECT run_id FROM history)"
            " AND typeof(run_id) = 'text' ORDER BY started_at"
        )
        return [_run(checked(row)) for row in rows]

    def save_buckets(self, run_id: str, buckets: Iterable[EngineBucket]) -> None:
        """Write buckets; the newest line of an index replaces the older one."""
        values = [_bucket_values(run_id, bucket) for bucket in buckets]
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO buckets VALUES (:run_id, :side, :index, :planned, :sent,"
                " :completed, :codes, :failures, :response, :service, :p50_ms, :p95_ms, :p99_ms)",
                values,
            )

    def buckets(self, run_id: str) -> list[EngineBucket]:
        """The buckets of a run in order; those of an A/B run's second target come last.

        Raises ValueError when one of them is damaged.
        """
        sql = "SELECT * FROM buckets WHERE run_id = ? ORDER BY side, position"
        try:
            return [_bucket(row) for row in self._database.rows(sql, [run_id])]
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError("its measurements are damaged in the database") from error

    def save_steps(self, run_id: str, blocks: Iterable[StepBlock]) -> None:
        """Write blocks of steps; a block that is there already is replaced."""
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO steps VALUES (:run_id, :side, :name, :position, :completed,"
                " :codes, :failures, :packed)",
                [_step_values(run_id, block) for block in blocks],
            )

    def steps(self, run_id: str) -> list[StepBlock]:
        """The steps of a run by side, name and block; raises ValueError when one is damaged."""
        sql = "SELECT * FROM steps WHERE run_id = ? ORDER BY side, name, position"
        try:
            return [_step(row) for row in self._database.rows(sql, [run_id])]
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError("its steps are damaged in the database") from error


def _run(row: StoredRow) -> ServerRun:
    return ServerRun(
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
        selected_baseline=(row["wish"], row["wished_id"]) if row["wish"] else None,
        warmup=row["warmup"],
    )


def _bucket_values(run_id: str, bucket: EngineBucket) -> dict[str, object]:
    codes, failures = json.dumps(bucket.codes), json.dumps(bucket.failures)
    return asdict(bucket) | {"run_id": run_id, "codes": codes, "failures": failures}


def _step_values(run_id: str, block: StepBlock) -> dict[str, object]:
    codes, failures = json.dumps(block.codes), json.dumps(block.failures)
    return asdict(block) | {"run_id": run_id, "codes": codes, "failures": failures}


def _step(row: sqlite3.Row) -> StepBlock:
    values = dict(row)
    for column in ("codes", "failures"):
        values[column] = json.loads(row[column])
    return _STEP.validate_python(values)


def _bucket(row: sqlite3.Row) -> EngineBucket:
    values = dict(row)
    for column in ("codes", "failures"):
        values[column] = json.loads(row[column])
    return _BUCKET.validate_python(values | {"index": row["position"]})
