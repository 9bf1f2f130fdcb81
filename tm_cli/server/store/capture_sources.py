"""What is known of the capture sources: their ids, and how the last listing or reading ended."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from tm_cli.runtime.clock import Clock
from tm_cli.server.store.database import Database
from tm_cli.server.validation import time_or_none, wire_time


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """A row; times as they are sent, or None."""

    id: int
    name: str
    last_listed_at: str | None
    last_error: str | None
    created_at: str | None
    updated_at: str | None


class CaptureSourceStore:
    """Ids stay with names, also of sources that the configuration leaves out for a while."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def register(self, sources: Iterable[tuple[str, str, str | None]]) -> None:
        """Add the sources of the configuration: name, kind and root; note which have changed."""
        now = self._now()
        with self._database.transaction() as connection:
            for name, kind, root in sources:
                connection.execute(
                    "INSERT INTO capture_sources (name, kind, root_path, created_at, updated_at)"
                    " VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE"
                    " SET kind = excluded.kind, root_path = excluded.root_path,"
                    " updated_at = excluded.updated_at"
                    " WHERE kind IS NOT excluded.kind OR root_path IS NOT excluded.root_path",
                    [name, kind, root, now, now],
                )

    def all(self) -> list[SourceRecord]:
        return [_record(row) for row in self._database.rows("SELECT * FROM capture_sources")]

    def note(self, source_id: int, error: str | None) -> None:
        """Record how listing or reading has ended; without `error` it has succeeded."""
        sql = "UPDATE capture_sources SET last_error = ? WHERE id = ?"
        values: list[object] = [error, source_id]
        if error is None:
            sql = "UPDATE capture_sources SET last_error = NULL, last_listed_at = ? WHERE id = ?"
            values = [self._now(), source_id]
        with self._database.transaction() as connection:
            connection.execute(sql, values)

    def _now(self) -> str:
        return wire_time(self._clock.now())


def _record(row: sqlite3.Row) -> SourceRecord:
    error = row["last_error"]
    return SourceRecord(
        id=row["id"],
        name=str(row["name"]),
        last_error=error if isinstance(error, str) else None,
        last_listed_at=time_or_none(row["last_listed_at"]),
        created_at=time_or_none(row["created_at"]),
        updated_at=time_or_none(row["updated_at"]),
    )
