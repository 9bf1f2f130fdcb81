"""Baselines that somebody has pinned: one per profile and region."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from tm_cli.clock import Clock
from tm_cli.server.instants import read_time, wire_time
from tm_cli.server.numbers import count
from tm_cli.server.store.database import Database


@dataclass(frozen=True, slots=True)
class Pin:
    """The history id of a pinned run, which may have been deleted since.

    A damaged pin names run 0, which there is not: what it guards must not pass unseen.
    """

    history_id: int
    pinned_at: datetime | None


class PinStore:
    """Reads and writes pins; they outlive the runs that they name."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def find(self, profile_id: int, region: str) -> Pin | None:
        """The pin of a profile in a region."""
        sql = "SELECT history_id, pinned_at FROM pins WHERE profile_id = ? AND region = ?"
        row = self._database.row(sql, [profile_id, region])
        return _pin(row) if row else None

    def pin(self, profile_id: int, region: str, history_id: int) -> Pin:
        """Make this run the baseline, in the place of any other."""
        now = self._clock.now()
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO pins VALUES (?, ?, ?, ?)",
                [profile_id, region, history_id, wire_time(now)],
            )
        return Pin(history_id, now)

    def unpin(self, profile_id: int, region: str) -> None:
        """Forget the pin, if there is one."""
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM pins WHERE profile_id = ? AND region = ?", [profile_id, region]
            )


def _pin(row: sqlite3.Row) -> Pin:
    try:
        return Pin(count(row["history_id"]), read_time(row["pinned_at"]))
    except (ValueError, TypeError, OverflowError):
        history_id = row["history_id"]
        return Pin(history_id if type(history_id) is int else 0, None)
