"""The one SQLite file: opened carefully, written by one connection behind one lock."""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tm_cli.errors import ConfigurationError
from tm_cli.runtime.trusted_files import DATABASE, DATABASE_FILES, check_data_file, open_data_file
from tm_cli.server.store.schema import (
    SCHEMA,
    UPGRADES,
    VERSION,
    check_columns,
    check_objects,
    not_ours,
)

_NAME_FOLLOWS = bytes.fromhex("d9d505f920a163d7")
"""The last bytes of a journal with the name of another file in it."""

_SHORTEST_WITH_NAME = 16


class Database:
    """A connection in a rollback journal with full synchronisation.

    A commit has reached the disk when `transaction` ends. The write rate is tiny, so the plainest
    journal is the right one.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = threading.RLock()

    @classmethod
    def open(cls, path: Path) -> Database:
        """Open or create the file; raises ConfigurationError, and then leaves the file alone."""
        try:
            _check_files(path)
            _create_private(path)
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(
                f"cannot open {path}: {error}",
                hint="check its owner and permissions, or use another data directory",
            ) from error
        connection.row_factory = sqlite3.Row
        connection.text_factory = _text
        try:
            _restrict(connection)
            _prepare(connection, path)
        except sqlite3.Error as error:
            connection.close()
            raise _damaged(path, str(error)) from error
        except ConfigurationError:
            connection.close()
            raise
        return cls(connection)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of the block's statements, or none; on disk when the block is left.

        A block inside another one is a part of it: what it raises must leave the outer one, too.
        """
        with self._lock:
            if self._connection.in_transaction:
                yield self._connection
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.commit()
            except BaseException:
                self._connection.rollback()
                raise

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[sqlite3.Row]:
        with self._lock:
            return self._connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Row | None:
        found = self.rows(sql, parameters)
        return found[0] if found else None

    def close(self) -> None:
        with self._lock:
            self._connection.close()


def _check_files(path: Path) -> None:
    """Check the files that SQLite will open: it follows links, and executes journals.

    A server that was killed leaves a journal, which SQLite rolls back. At the end of one there may
    be the name of a file that SQLite deletes afterwards. It writes such names for transactions over
    several databases; ours has none.
    """
    for name in DATABASE_FILES:
        check_data_file(path.with_name(name.replace(DATABASE, path.name)), os.environ)
    journal = path.with_name(f"{path.name}-journal")
    with suppress(FileNotFoundError), journal.open("rb") as file:
        if file.seek(0, os.SEEK_END) >= _SHORTEST_WITH_NAME:
            file.seek(-len(_NAME_FOLLOWS), os.SEEK_END)
            if file.read() == _NAME_FOLLOWS:
                raise ConfigurationError(
                    f"{journal} names another file for SQLite to delete: tm has not written it",
                    hint="it came with a copy of the data; use another data directory, "
                    f"or delete it together with {path}",
                )


def _create_private(path: Path) -> None:
    """Make the file readable by its owner only; SQLite gives its journal the same mode."""
    os.close(open_data_file(path, os.O_RDWR | os.O_CREAT, os.environ))
    if os.name == "posix":
        path.chmod(0o600)


def _restrict(connection: sqlite3.Connection) -> None:
    """Prevent the file's contents from reaching other files."""
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.execute("PRAGMA trusted_schema = OFF")
    if sys.version_info >= (3, 12):
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)


def _text(stored: bytes) -> str:
    """Decode leniently: a text that is not UTF-8 would fail the whole query."""
    return stored.decode("utf-8", "replace")


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA busy_timeout = 2000")
    connection.execute("PRAGMA cache_size = -16000")  # kB: the indexes of a long history
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version < 0:
        raise not_ours(path, f"schema {version}")
    if version > VERSION:
        raise ConfigurationError(
            f"{path} was written by a newer tm (schema {version}, this one knows {VERSION})",
            hint="install that version again, or use another data directory",
        )
    if version > 0:
        check_objects(connection, path)
    # not `quick_check`, which does not notice rows that an index lacks and lists would leave out
    complaints = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
    if complaints != ["ok"]:
        raise _damaged(path, "; ".join(complaints))
    journal = connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
    if journal != "delete":
        raise ConfigurationError(f"{path} insists on the journal mode {journal}")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    if version == 0:
        _create_schema(connection, path)
        return
    for older in range(version, VERSION):
        _upgrade(connection, older)
    check_columns(connection, path)


def _create_schema(connection: sqlite3.Connection, path: Path) -> None:
    if found := connection.execute("SELECT name FROM sqlite_master").fetchone():
        raise not_ours(path, str(found[0]))
    connection.executescript(f"BEGIN;\n{SCHEMA}\nPRAGMA user_version = {VERSION};\nCOMMIT;")


def _upgrade(connection: sqlite3.Connection, older: int) -> None:
    """Upgrade by one version in one transaction; nothing of the history is lost."""
    steps = f"BEGIN IMMEDIATE;\n{UPGRADES[older]}\nPRAGMA user_version = {older + 1};\nCOMMIT;"
    try:
        connection.executescript(steps)
    except sqlite3.Error:
        if connection.in_transaction:
            connection.rollback()
        raise


def _damaged(path: Path, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path} is damaged or not a database: {reason}",
        hint="the file was left as it is; restore a copy, or use another data directory",
    )
