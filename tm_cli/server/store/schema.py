"""The tables, how an older file becomes a newer one, and the check that a file has only our tables.

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

VERSION = 7

_LISTING = """
-- What the history is ordered and filtered by, for all of it at once; its own rows are too large.
-- The columns have no type, so that what is damaged is as it is there.
CREATE TABLE listed_runs (
    id           INTEGER PRIMARY KEY,
    created_at,
    profile_id,
    region,
    triggered_by,
    auto_verdict
);
CREATE INDEX listed_runs_by_creation ON listed_runs
    (created_at DESC, id DESC, profile_id, region, triggered_by, auto_verdict);
CREATE INDEX listed_runs_by_profile ON listed_runs
    (profile_id, created_at DESC, id DESC, region, triggered_by, auto_verdict);
CREATE INDEX listed_runs_by_region ON listed_runs (region, created_at DESC, id DESC);

CREATE TABLE run_tags (
    tag       TEXT    NOT NULL,
    listed_at NOT NULL,             -- created_at of the run
    id        INTEGER NOT NULL,
    PRIMARY KEY (tag, listed_at DESC, id DESC)
) WITHOUT ROWID;
CREATE INDEX run_tags_by_run ON run_tags (id);

CREATE TRIGGER ended_run_is_listed AFTER INSERT ON history
BEGIN
    INSERT INTO listed_runs
        SELECT NEW.id, NEW.created_at, profile_id, region, triggered_by, NEW.auto_verdict
        FROM runs WHERE run_id = NEW.run_id;
END;
CREATE TRIGGER listed_run_is_changed AFTER UPDATE OF id, created_at, auto_verdict ON history
BEGIN
    UPDATE listed_runs
        SET id = NEW.id, created_at = NEW.created_at, auto_verdict = NEW.auto_verdict
        WHERE id = OLD.id;
    UPDATE run_tags SET id = NEW.id, listed_at = NEW.created_at WHERE id = OLD.id;
END;
CREATE TRIGGER deleted_run_is_not_listed AFTER DELETE ON history
BEGIN
    DELETE FROM listed_runs WHERE id = OLD.id;
    DELETE FROM run_tags WHERE id = OLD.id;
END;
"""

ALL_TAGS = """
INSERT OR IGNORE INTO run_tags
    SELECT value, created_at, history.id FROM history JOIN runs USING (run_id), json_each(
        CASE WHEN typeof(tags) = 'text' AND json_valid(tags) THEN tags ELSE '[]' END)
    WHERE typeof(value) = 'text'"""
"""No trigger: what is in the file must not call functions."""

SCHEMA = (
    """
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE profiles (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,  -- never reused: history outlives profiles
    name_key        TEXT NOT NULL,
    fields          TEXT NOT NULL,
    callback_secret TEXT NOT NULL,
    created_at      TEXT NOT NULL,
    updated_at      TEXT NOT NULL
);
CREATE INDEX profiles_by_name ON profiles (name_key);

CREATE TABLE runs (
    run_id       TEXT PRIMARY KEY,
    profile_id   INTEGER NOT NULL,
    profile_name TEXT NOT NULL,
    target_url   TEXT NOT NULL,
    region       TEXT NOT NULL,
    tags         TEXT NOT NULL,
    triggered_by TEXT NOT NULL,
    fingerprint  TEXT NOT NULL,
    duration     REAL NOT NULL,
    loop         INTEGER NOT NULL,
    started_at   TEXT NOT NULL,
    traits       TEXT NOT NULL,     -- what the fingerprint is made of
    against_url  TEXT,              -- second target of an A/B run
    gate         TEXT NOT NULL,     -- thresholds that differ from the defaults
    wish         TEXT,              -- 'asked' or 'pinned': how the baseline was selected
    wished_id    INTEGER,           -- its history id
    warmup       REAL NOT NULL DEFAULT 0 -- seconds that are not judged
);
CREATE INDEX runs_by_profile ON runs (profile_id);

CREATE TABLE buckets (
    run_id    TEXT    NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
    side      INTEGER NOT NULL,     -- 1 is the second target of an A/B run
    position  INTEGER NOT NULL,
    planned   INTEGER NOT NULL,
    sent      INTEGER NOT NULL,
    completed INTEGER NOT NULL,
    codes     TEXT    NOT NULL,
    failures  TEXT    NOT NULL,
    response  TEXT    NOT NULL,
    service   TEXT    NOT NULL,
    p50_ms    REAL,
    p95_ms    REAL,
    p99_ms    REAL,
    PRIMARY KEY (run_id, side, position)
);

-- What arrivals of several requests consist of.
CREATE TABLE steps (
    run_id    TEXT    NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
    side      INTEGER NOT NULL,
    name      TEXT    NOT NULL,
    position  INTEGER NOT NULL,     -- of a block of the curve after the warm-up
    completed INTEGER NOT NULL,
    codes     TEXT    NOT NULL,
    failures  TEXT    NOT NULL,
    packed    BLOB    NOT NULL,     -- response times
    PRIMARY KEY (run_id, side, name, position)
);

-- A run has its row here as soon as it is over, and not before.
CREATE TABLE history (
    id                           INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id                       TEXT    NOT NULL UNIQUE REFERENCES runs (run_id),
    outcome                      TEXT    NOT NULL,
    created_at                   TEXT    NOT NULL,
    finished_at                  TEXT    NOT NULL,
    duration_seconds             INTEGER NOT NULL,
    planned                      INTEGER NOT NULL,
    sent                         INTEGER NOT NULL,
    shortfall                    INTEGER NOT NULL,
    total_requests               INTEGER NOT NULL,
    total_errors                 INTEGER NOT NULL,
    avg_rps                      REAL    NOT NULL,
    peak_rps                     REAL    NOT NULL,
    success_rate                 REAL,
    response_codes               TEXT    NOT NULL,
    latency_quantiles            TEXT    NOT NULL,
    rps_series                   TEXT    NOT NULL,
    latency_series               TEXT    NOT NULL,
    generator_saturated          INTEGER NOT NULL,
    downstream_saturated         INTEGER NOT NULL,
    flaky_dispatch               INTEGER NOT NULL,
    auto_verdict                 TEXT,
    auto_verdict_reasons         TEXT,
    auto_compare_snapshot        TEXT,
    auto_compare_baseline_run_id INTEGER,
    against                      TEXT,             -- results of the second target
    notes                        TEXT    NOT NULL, -- what happened to the workers
    addresses                    TEXT    NOT NULL DEFAULT '{}', -- requests by address
    bodies                       TEXT    NOT NULL DEFAULT '{}', -- bytes of bodies by status
    repeated                     INTEGER NOT NULL DEFAULT 0,    -- requests that were sent again
    judged                       TEXT,             -- counts without the warm-up, if there was one
    cpu_pressure                 REAL,             -- share of the time that tasks waited for a CPU
    steps                        TEXT    NOT NULL DEFAULT '{}', -- results by step, if there are any
    script_stats                 TEXT,             -- calls of scripts, if there were any
    secondary_stats              TEXT,             -- requests that scripts have asked for
    CHECK (auto_verdict IS NULL OR outcome = 'COMPLETED')
);
CREATE INDEX history_by_creation ON history (created_at DESC, id DESC);

-- The baselines that were pinned. A deleted one stays: without it, a regression could pass.
CREATE TABLE pins (
    profile_id INTEGER NOT NULL,
    region     TEXT    NOT NULL,
    history_id INTEGER NOT NULL,
    pinned_at  TEXT    NOT NULL,
    PRIMARY KEY (profile_id, region)
);

-- CSV data that profiles attach; sampled when a run is played.
CREATE TABLE variables_sets (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL,
    name_key   TEXT    NOT NULL,
    mode       TEXT    NOT NULL,
    csv        TEXT    NOT NULL,
    created_at TEXT    NOT NULL,
    updated_at TEXT    NOT NULL
);
CREATE UNIQUE INDEX variables_sets_by_name ON variables_sets (name_key);

CREATE TABLE domains (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    domain      TEXT    NOT NULL UNIQUE,
    token       TEXT    NOT NULL,
    method      TEXT,               -- DNS or HTTP, once it is verified
    verified_at TEXT,
    created_at  TEXT    NOT NULL
);

-- What is known of the sources in the server's configuration, which alone has their credentials.
CREATE TABLE capture_sources (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    name           TEXT    NOT NULL UNIQUE,
    kind           TEXT    NOT NULL,
    root_path      TEXT,
    last_listed_at TEXT,
    last_error     TEXT,
    created_at     TEXT    NOT NULL,
    updated_at     TEXT    NOT NULL
);

CREATE TRIGGER verdict_is_written_once
BEFORE UPDATE OF auto_verdict ON history WHEN OLD.auto_verdict IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'the verdict has been written already');
END;
"""
    + _LISTING
)

_SETS_AND_SOURCES = """
ALTER TABLE history ADD COLUMN script_stats    TEXT;
ALTER TABLE history ADD COLUMN secondary_stats TEXT;
CREATE TABLE variables_sets (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL,
    name_key   TEXT    NOT NULL,
    mode       TEXT    NOT NULL,
    csv        TEXT    NOT NULL,
    created_at TEXT    NOT NULL,
    updated_at TEXT    NOT NULL
);
CREATE UNIQUE INDEX variables_sets_by_name ON variables_sets (name_key);

CREATE TABLE domains (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    domain      TEXT    NOT NULL UNIQUE,
    token       TEXT    NOT NULL,
    method      TEXT,
    verified_at TEXT,
    created_at  TEXT    NOT NULL
);
CREATE TABLE capture_sources (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    name           TEXT    NOT NULL UNIQUE,
    kind           TEXT    NOT NULL,
    root_path      TEXT,
    last_listed_at TEXT,
    last_error     TEXT,
    created_at     TEXT    NOT NULL,
    updated_at     TEXT    NOT NULL
);
"""

_FILL_LISTING = """
INSERT INTO listed_runs
    SELECT id, created_at, profile_id, region, triggered_by, auto_verdict
    FROM history JOIN runs USING (run_id);
"""

UPGRADES = {
    1: """
ALTER TABLE runs ADD COLUMN traits      TEXT NOT NULL DEFAULT '{}';
ALTER TABLE runs ADD COLUMN against_url TEXT;
ALTER TABLE runs ADD COLUMN gate        TEXT NOT NULL DEFAULT '{}';
ALTER TABLE runs ADD COLUMN wish        TEXT;
ALTER TABLE runs ADD COLUMN wished_id   INTEGER;
ALTER TABLE history ADD COLUMN against TEXT;
ALTER TABLE history ADD COLUMN notes   TEXT NOT NULL DEFAULT '[]';
ALTER TABLE buckets RENAME TO older_buckets;
CREATE TABLE buckets (
    run_id    TEXT    NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
    side      INTEGER NOT NULL,
    position  INTEGER NOT NULL,
    planned   INTEGER NOT NULL,
    sent      INTEGER NOT NULL,
    completed INTEGER NOT NULL,
    codes     TEXT    NOT NULL,
    failures  TEXT    NOT NULL,
    response  TEXT    NOT NULL,
    service   TEXT    NOT NULL,
    p50_ms    REAL,
    p95_ms    REAL,
    p99_ms    REAL,
    PRIMARY KEY (run_id, side, position)
);
INSERT INTO buckets
    SELECT run_id, 0, position, planned, sent, completed, codes, failures, response, service,
           p50_ms, p95_ms, p99_ms
    FROM older_buckets;
DROP TABLE older_buckets;
CREATE TABLE pins (
    profile_id INTEGER NOT NULL,
    region     TEXT    NOT NULL,
    history_id INTEGER NOT NULL,
    pinned_at  TEXT    NOT NULL,
    PRIMARY KEY (profile_id, region)
);
""",
    2: """
ALTER TABLE history ADD COLUMN addresses TEXT NOT NULL DEFAULT '{}';
""",
    3: """
ALTER TABLE history ADD COLUMN bodies   TEXT    NOT NULL DEFAULT '{}';
ALTER TABLE history ADD COLUMN repeated INTEGER NOT NULL DEFAULT 0;
""",
    4: """
ALTER TABLE runs    ADD COLUMN warmup       REAL NOT NULL DEFAULT 0;
ALTER TABLE history ADD COLUMN judged       TEXT;
ALTER TABLE history ADD COLUMN cpu_pressure REAL;
""",
    5: """
CREATE TABLE steps (
    run_id    TEXT    NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
    side      INTEGER NOT NULL,
    name      TEXT    NOT NULL,
    position  INTEGER NOT NULL,
    completed INTEGER NOT NULL,
    codes     TEXT    NOT NULL,
    failures  TEXT    NOT NULL,
    packed    BLOB    NOT NULL,
    PRIMARY KEY (run_id, side, name, position)
);
ALTER TABLE history ADD COLUMN steps TEXT NOT NULL DEFAULT '{}';
""",
    6: "\n".join([_SETS_AND_SOURCES, _LISTING, _FILL_LISTING, f"{ALL_TAGS};"]),
}
"""From one version to the next, each in one transaction."""

_OF_SQLITE = re.compile(r"sqlite_(?:sequence|stat[0-9])")
_AUTOMATIC = re.compile(r"sqlite_autoindex_\w+")
_BLANKS = re.compile(r"[ \t\r\n\f]+")  # those of SQLite; to it, others are letters
_COLUMN_ADDED = re.compile(r"ALTER TABLE (\w+) +ADD COLUMN ([^;]+);")


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
            raise not_ours(
                path, f"another table {table}" if table in defined else f"no table {table}"
            )


def not_ours(path: Path, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path} is a database, but not one of tm: it has {what}",
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
