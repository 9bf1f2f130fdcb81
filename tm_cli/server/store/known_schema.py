"""Whether a file has the tables of tm and nothing else.

A foreign trigger could write verdicts, and so could a foreign `DEFAULT 'PASS'` of a column.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tm_cli.errors import ConfigurationError
from tm_cli.server.store.schema import SCHEMA, UPGRADES

_OF_SQLITE = re.compile(r"sqlite_(?:sequence|stat[0-9])")
_AUTOMATIC = re.compile(r"sqlite_autoindex_\w+")
_BLANKS = re.compile(r"[ \t\r\n\f]+")  # those of SQLite; to it, others are letters
_COLUMN_ADDED = re.compile(r"ALTER TABLE (\w+) ADD COLUMN ([^;]+);")


class _Object(NamedTuple):
    kind: str
    name: str
    sql: str | None


def check_objects(connection: sqlite3.Connection, path: Path) -> None:
    """Raise ConfigurationError for a view, a virtual table, or whatever else tm has not made.

    Columns are looked at by `check_columns`; a table that was upgraded has a text of its own.
    """
    known = {(item.kind, item.name): item for item in _known_objects()}
    for item in _objects(connection):
        ours = known.get((item.kind, item.name))
        if not (_is_like(item, ours) if ours else _is_of_sqlite(item)):
            raise not_ours(path, f"{item.kind} {item.name}")


def check_columns(connection: sqlite3.Connection, path: Path) -> None:
    """Raise ConfigurationError unless every table has our columns, defined as ours are."""
    defined = {item.name: _definitions(item.sql) for item in _objects(connection)}
    known = {item.name: _definitions(item.sql) for item in _known_objects()}
    for table, columns in _known_columns().items():
        upgraded = [_as_made_today(table, text) for text in defined.get(table, ())]
        if _columns(connection, table) != columns or sorted(upgraded) != sorted(known[table]):
            raise not_ours(path, f"table {table}")


def not_ours(path: Path, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path} is a database, but not one of tm: it has {what!r}",
        hint="the file was left as it is; use another data directory",
    )


def _is_like(item: _Object, ours: _Object) -> bool:
    """Compare the SQL text, which is what SQLite goes by."""
    if item.kind != "table":
        return _plain(item.sql) == _plain(ours.sql)
    return re.match(rf'CREATE TABLE "?{item.name}"? ?\(', _plain(item.sql)) is not None


def _is_of_sqlite(item: _Object) -> bool:
    if item.kind == "index":
        return item.sql is None and _AUTOMATIC.fullmatch(item.name) is not None
    is_table = _plain(item.sql).startswith(f"CREATE TABLE {item.name}(")
    return item.kind == "table" and is_table and _OF_SQLITE.fullmatch(item.name) is not None


def _plain(sql: str | None) -> str:
    """The text without comments and with single blanks."""
    return _BLANKS.sub(" ", re.sub(r"--[^\n]*", "", sql or "")).strip()


def _definitions(sql: str | None) -> list[str]:
    """The columns and constraints of a table as they are written, and what follows them."""
    _, _, rest = _plain(sql).partition("(")
    found, depth = [""], 1
    for mark in rest:
        depth += (mark == "(") - (mark == ")")
        if depth == 0 or (depth == 1 and mark == ","):
            found.append("")
        else:
            found[-1] += mark
    return [text.strip() for text in found]


def _as_made_today(table: str, definition: str) -> str:
    """A column that an upgrade has added may be defined otherwise than in a new file."""
    return _added_columns().get((table, definition), definition)


@cache
def _added_columns() -> dict[tuple[str, str], str]:
    today = {
        (item.name, text.partition(" ")[0]): text
        for item in _known_objects()
        for text in _definitions(item.sql)
    }
    added = _COLUMN_ADDED.findall("".join(UPGRADES.values()))
    return {
        (table, text): today[table, text.partition(" ")[0]]
        for table, text in ((table, _plain(definition)) for table, definition in added)
    }


def _objects(connection: sqlite3.Connection) -> list[_Object]:
    found = connection.execute("SELECT type, name, sql FROM sqlite_master")
    return [_Object(str(row[0]), str(row[1]), row[2]) for row in found]


def _columns(connection: sqlite3.Connection, table: str) -> set[tuple[str, str, int]]:
    """Name, type and, unless it is a plain column, what else it is."""
    found = connection.execute(f"PRAGMA table_xinfo({table})")
    return {(str(row[1]), str(row[2]), int(row[6])) for row in found}


@cache
def _known_objects() -> tuple[_Object, ...]:
    with closing(_new_database()) as connection:
        return tuple(_objects(connection))


@cache
def _known_columns() -> dict[str, set[tuple[str, str, int]]]:
    with closing(_new_database()) as connection:
        known = [item.name for item in _known_objects() if item.kind == "table"]
        tables = [name for name in known if not _OF_SQLITE.fullmatch(name)]
        return {table: _columns(connection, table) for table in tables}


def _new_database() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.executescript(SCHEMA)
    return connection
