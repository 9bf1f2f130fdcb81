"""Domains on disk, with their tokens and how they were verified."""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import dataclass

from tm_cli.runtime.clock import Clock
from tm_cli.server.store.database import Database
from tm_cli.server.validation import time_or_none, wire_time

_METHODS = ("DNS", "HTTP", "ADMIN")


@dataclass(frozen=True, slots=True)
class StoredDomain:
    """Times as they are sent; `verified_at` is None until a method has succeeded."""

    id: int
    domain: str
    token: str
    method: str | None
    verified_at: str | None
    created_at: str | None


class DomainStore:
    """A damaged row is not verified; it can still be deleted."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def all(self) -> list[StoredDomain]:
        return [_domain(row) for row in self._database.rows("SELECT * FROM domains ORDER BY id")]

    def verified(self) -> list[str]:
        return [found.domain for found in self.all() if found.verified_at]

    def find(self, domain_id: int) -> StoredDomain | None:
        row = self._database.row("SELECT * FROM domains WHERE id = ?", [domain_id])
        return _domain(row) if row else None

    def add(self, domain: str) -> StoredDomain:
        """Return the domain with a new token, or with its own if it is known."""
        token = f"tm-verify-{secrets.token_hex(16)}"
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO domains (domain, token, created_at) VALUES (?, ?, ?)",
                [domain, token, wire_time(self._clock.now())],
            )
        row = self._database.row("SELECT * FROM domains WHERE domain = ?", [domain])
        assert row is not None  # noqa: S101 - it has just been written
        return _domain(row)

    def mark_verified(self, domain_id: int, method: str) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE domains SET method = ?, verified_at = ? WHERE id = ?",
                [method, wire_time(self._clock.now()), domain_id],
            )

    def delete(self, domain_id: int) -> bool:
        with self._database.transaction() as connection:
            cursor = connection.execute("DELETE FROM domains WHERE id = ?", [domain_id])
        return cursor.rowcount > 0


def _domain(row: sqlite3.Row) -> StoredDomain:
    method = row["method"] if row["method"] in _METHODS else None
    return StoredDomain(
        id=row["id"],
        domain=str(row["domain"]),
        token=str(row["token"]),
        method=method,
        verified_at=time_or_none(row["verified_at"]) if method else None,
        created_at=time_or_none(row["created_at"]),
    )
