"""Pinned baselines: one per profile and region."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from tm_cli.clock import Clock
from tm_cli.server.instants import read_time, wire_time
from tm_cli.server.store.database import Database

# A row with an unreadable owner may be any profile's.
_OF_A_PROFILE = """
    (profile_id = ? OR typeof(profile_id) <> 'integer') AND (region = ? OR typeof(region) <> 'text')
"""


@dataclass(frozen=True, slots=True)
class Pin:
    """The history id of a pinned run, which may have been deleted since.

    A pin that is damaged, or may be another profile's, names run 0, which there is not: what it
    guards must not pass unseen.
    """

    history_id: int
    pinned_at: datetime | None


class PinStore:
    """Reads and writes pins; they outlive the runs that they name."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def find(self, profile_id: int, region: str) -> Pin | None:
        sql = f"SELECT * FROM pins WHERE {_OF_A_PROFILE}"  # noqa: S608 - our own words
        rows = self._database.rows(sql, [profile_id, region])
        own = [row for row in rows if (row["profile_id"], row["region"]) == (profile_id, region)]
        if own:
            return _pin(own[0])
        return Pin(0, None) if rows else None

    def pin(self, profile_id: int, region: str, history_id: int) -> Pin:
        """Make this run the baseline, replacing any other."""
        now = self._clock.now()
        with self._database.transaction() as connection:
            self._remove(connection, profile_id, region)
            connection.execute(
                "INSERT OR REPLACE INTO pins VALUES (?, ?, ?, ?)",
                [profile_id, region, history_id, wire_time(now)],
            )
        return Pin(history_id, now)

    def unpin(self, profile_id: int, region: str) -> None:
        with self._database.transaction() as connection:
            self._remove(connection, profile_id, region)

    def _remove(self, connection: sqlite3.Connection, profile_id: int, region: str) -> None:
        sql = f"DELETE FROM pins WHERE {_OF_A_PROFILE}"  # noqa: S608 - our own words
        connection.execute(sql, [profile_id, region])


def _pin(row: sqlite3.Row) -> Pin:
    history_id = row["history_id"]
    try:
        pinned_at = read_time(row["pinned_at"])
    except (ValueError, TypeError, OverflowError):
        pinned_at = None
    return Pin(history_id if type(history_id) is int else 0, pinned_at)
