"""Small facts that the server keeps about itself."""

from __future__ import annotations

from tm_cli.server.store.database import Database


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
