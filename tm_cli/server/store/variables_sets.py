"""Variables sets on disk: CSV text that profiles attach."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from tm_cli.runtime.clock import Clock
from tm_cli.server.profiles import DataSource
from tm_cli.server.store.database import Database
from tm_cli.server.validation import read_time, wire_time
from tm_cli.server.web.bodies import Refusal
from tm_cli.values.load.data_sets import Mode, size_of
from tm_cli.values.text import folded_name

logger = logging.getLogger(__name__)

_WITHOUT_CSV = "id, name, mode, created_at, updated_at"


@dataclass(frozen=True, slots=True)
class CsvFacts:
    """What CSV text holds; `columns` are those that are macros."""

    columns: tuple[str, ...]
    weight_column: str | None
    rows: int
    size: int


@dataclass(frozen=True, slots=True)
class VariablesSet:
    """A stored set, without its text."""

    id: int
    name: str
    mode: Mode
    facts: CsvFacts
    created_at: datetime
    updated_at: datetime


def facts_of(source: DataSource) -> CsvFacts:
    """Read CSV text in its mode; raises ValueError, which names line and column."""
    data = source.data_set
    columns = tuple(column for column in data.columns if column != data.weight_column)
    weights = data.weight_column if columns else None
    return CsvFacts(columns or data.columns, weights, len(data.rows), size_of([source.csv]))


class VariablesSetStore:
    """Reads and writes sets; their names are unique, as those of profiles are compared.

    Reading one whose row is damaged raises Refusal; it can still be deleted.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._facts = lru_cache(maxsize=1000)(self._read_facts)

    def all(self) -> list[VariablesSet]:
        """The sets in the order of their names, without damaged ones."""
        found = []
        for row in self._database.rows(f"SELECT {_WITHOUT_CSV} FROM variables_sets ORDER BY id"):  # noqa: S608
            try:
                found.append(self._set(row))
            except Refusal as damage:  # the others must be there all the same
                logger.warning("%s", damage)
        return sorted(found, key=lambda each: (folded_name(each.name), each.id))

    def count(self) -> int:
        row = self._database.row("SELECT COUNT(*) FROM variables_sets")
        return int(row[0]) if row else 0

    def find(self, set_id: int) -> VariablesSet | None:
        sql = f"SELECT {_WITHOUT_CSV} FROM variables_sets WHERE id = ?"  # noqa: S608
        row = self._database.row(sql, [set_id])
        return self._set(row) if row else None

    def id_of(self, name: str) -> int | None:
        """The set with this name."""
        sql = "SELECT id FROM variables_sets WHERE name_key = ?"
        row = self._database.row(sql, [folded_name(name)])
        return int(row["id"]) if row else None

    def source(self, set_id: int) -> DataSource | None:
        """The data of a set as a run samples it; raises Refusal if it cannot be read."""
        row = self._database.row(
            "SELECT name, mode, csv FROM variables_sets WHERE id = ?", [set_id]
        )
        if row is None:
            return None
        try:
            source = DataSource(name=row["name"], mode=row["mode"], csv=row["csv"])
            _ = source.data_set
        except ValueError as error:
            raise _damaged(set_id) from error
        return source

    def sizes(self, ids: Iterable[int]) -> dict[int, int]:
        """The bytes of the text of each of these sets that is there."""
        wanted = list(ids)
        marks = ", ".join("?" for _ in wanted)
        sql = f"SELECT id, LENGTH(CAST(csv AS BLOB)) FROM variables_sets WHERE id IN ({marks})"  # noqa: S608
        return {int(row[0]): int(row[1]) for row in self._database.rows(sql, wanted)}

    def add(self, source: DataSource) -> VariablesSet:
        """Store a set with a new name; its data has been read before."""
        now = wire_time(self._clock.now())
        mode = source.data_set.mode
        values = (source.name, folded_name(source.name), mode, source.csv, now, now)
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO variables_sets (name, name_key, mode, csv, created_at, updated_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                values,
            )
        assert cursor.lastrowid is not None  # noqa: S101 - an INSERT always sets it
        at = read_time(now)
        return VariablesSet(cursor.lastrowid, source.name, mode, facts_of(source), at, at)

    def rename(self, set_id: int, name: str) -> None:
        self._update(set_id, "name = ?, name_key = ?", name, folded_name(name))

    def change_mode(self, set_id: int, mode: Mode) -> None:
        self._update(set_id, "mode = ?", mode)

    def _update(self, set_id: int, assignments: str, *values: str) -> None:
        sql = f"UPDATE variables_sets SET {assignments}, updated_at = ? WHERE id = ?"  # noqa: S608
        with self._database.transaction() as connection:
            connection.execute(sql, [*values, wire_time(self._clock.now()), set_id])

    def delete(self, set_id: int) -> bool:
        with self._database.transaction() as connection:
            cursor = connection.execute("DELETE FROM variables_sets WHERE id = ?", [set_id])
        return cursor.rowcount > 0

    def name(self, set_id: int) -> str | None:
        """The name of a set, which may be damaged otherwise."""
        row = self._database.row("SELECT name FROM variables_sets WHERE id = ?", [set_id])
        return str(row["name"]) if row else None

    def _read_facts(self, set_id: int, _mode: str) -> CsvFacts:
        source = self.source(set_id)  # the text of an id never changes
        if source is None:
            raise _damaged(set_id)
        return facts_of(source)

    def _set(self, row: sqlite3.Row) -> VariablesSet:
        set_id, mode = row["id"], row["mode"]
        facts = self._facts(set_id, mode)
        try:
            created, updated = read_time(row["created_at"]), read_time(row["updated_at"])
        except (ValueError, TypeError, OverflowError) as error:
            raise _damaged(set_id) from error
        return VariablesSet(set_id, str(row["name"]), mode, facts, created, updated)


def _damaged(set_id: int) -> Refusal:
    return Refusal(
        f"Variables set {set_id} is damaged in the database; delete it, and create it again"
    )
