"""Profiles, pinned baselines and settings on disk."""

from __future__ import annotations

import logging
import secrets
import sqlite3
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from tm_cli.runtime.clock import Clock
from tm_cli.server.profiles import ProfileFields, Schedule, StoredProfile
from tm_cli.server.store.database import Database
from tm_cli.server.validation import read_time, wire_time
from tm_cli.server.web.bodies import Refusal
from tm_cli.values.text import folded_name

logger = logging.getLogger(__name__)


class ProfileStore:
    """Reads and writes profiles; names are not unique, since an update may make twins.

    Reading one whose row is damaged raises Refusal; it can still be deleted.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def transaction(self) -> AbstractContextManager[object]:
        """What is written in it, to other stores of the database too, is written as a whole."""
        return self._database.transaction()

    def all(self) -> list[StoredProfile]:
        return self._usable("SELECT * FROM profiles ORDER BY updated_at DESC, id DESC")

    def scheduled(self) -> list[StoredProfile]:
        """Those with a schedule."""
        return self._usable(
            "SELECT * FROM profiles WHERE"
            " CASE WHEN json_valid(fields) THEN json_extract(fields, '$.schedule') END IS NOT NULL"
            " ORDER BY id"
        )

    def _usable(self, sql: str) -> list[StoredProfile]:
        rows = self._database.rows(sql)
        found = []
        for row in rows:
            try:
                found.append(_profile(row))
            except Refusal as damage:  # the others must be there all the same
                logger.warning("%s", damage)
        return found

    def find(self, profile_id: int) -> StoredProfile | None:
        row = self._database.row("SELECT * FROM profiles WHERE id = ?", [profile_id])
        return _profile(row) if row else None

    def named(self, name: str) -> StoredProfile | None:
        """The most recently created profile with this name, compared as the API contract says."""
        sql = "SELECT * FROM profiles WHERE name_key = ? ORDER BY id DESC LIMIT 1"
        row = self._database.row(sql, [folded_name(name)])
        return _profile(row) if row else None

    def add(self, fields: ProfileFields) -> StoredProfile:
        now = self._clock.now()
        secret = secrets.token_hex(32)
        values = (*_columns(fields), secret, wire_time(now), wire_time(now))
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO profiles (name_key, fields, callback_secret, created_at, updated_at)"
                " VALUES (?, ?, ?, ?, ?)",
                values,
            )
        assert cursor.lastrowid is not None  # noqa: S101 - an INSERT always sets it
        return StoredProfile(cursor.lastrowid, fields, secret, now)

    def replace(self, profile: StoredProfile, fields: ProfileFields) -> StoredProfile:
        values = (*_columns(fields), self._now(), profile.id)
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE profiles SET name_key = ?, fields = ?, updated_at = ? WHERE id = ?", values
            )
        return StoredProfile(profile.id, fields, profile.callback_secret, profile.created_at)

    def set_schedule(self, profile: StoredProfile, schedule: Schedule) -> None:
        """Note what has become of a schedule; this is no update by the profile's owner."""
        fields = profile.fields.model_copy(update={"schedule": schedule})
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE profiles SET fields = ? WHERE id = ?", [_columns(fields)[1], profile.id]
            )

    def delete(self, profile_id: int) -> bool:
        with self._database.transaction() as connection:
            cursor = connection.execute("DELETE FROM profiles WHERE id = ?", [profile_id])
        return cursor.rowcount > 0

    def _now(self) -> str:
        return wire_time(self._clock.now())


def _columns(fields: ProfileFields) -> tuple[str, str]:
    return folded_name(fields.name), fields.model_dump_json(by_alias=True)


def _profile(row: sqlite3.Row) -> StoredProfile:
    try:
        created: datetime = read_time(row["created_at"])
        fields = ProfileFields.model_validate_json(row["fields"])
        _ = fields.headers, row["callback_secret"].encode()
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise Refusal(
            f"Profile {row['id']} is damaged in the database; delete it, and save it again"
        ) from error
    return StoredProfile(row["id"], fields, row["callback_secret"], created)


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


class SettingStore:
    """Named texts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, name: str) -> str | None:
        row = self._database.row("SELECT value FROM settings WHERE name = ?", [name])
        return str(row["value"]) if row else None

    def put(self, name: str, value: str) -> None:
        with self._database.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", [name, value])
