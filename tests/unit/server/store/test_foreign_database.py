"""A database that somebody else has prepared; what a killed server of ours leaves is kept."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from contextlib import closing

import pytest

from tm_cli.errors import ConfigurationError
from tm_cli.server.store.database import Database
from tm_cli.server.store.schema import SCHEMA, VERSION

MAGIC = bytes.fromhex("d9d505f920a163d7")
POSIX = pytest.mark.skipif(os.name != "posix", reason="links")


def settings(database):
    return {row["name"]: row["value"] for row in database.rows("SELECT name, value FROM settings")}


@pytest.fixture
def ours(tmp_path):
    """A database of ours with a row in it."""
    path = tmp_path / "ours" / "tm.db"
    path.parent.mkdir(mode=0o700)
    with closing(Database.open(path)) as database, database.transaction() as connection:
        connection.execute("INSERT INTO settings VALUES ('kept', 'yes')")
    return path


@pytest.fixture
def killed(ours, tmp_path):
    """What is on disk when a server is killed within a transaction: half of it, and a journal."""
    path = tmp_path / "killed" / "tm.db"
    path.parent.mkdir(mode=0o700)
    with closing(sqlite3.connect(ours, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE settings SET value = 'half'")
        for number in range(200):
            connection.execute("INSERT INTO settings VALUES (?, ?)", (f"n{number}", "x" * 500))
        for name in ("tm.db", "tm.db-journal"):
            shutil.copy(ours.with_name(name), path.with_name(name))
        connection.execute("ROLLBACK")
    assert path.stat().st_size > ours.stat().st_size
    assert journal(path).read_bytes().startswith(MAGIC)
    return path


def journal(path):
    return path.with_name("tm.db-journal")


def append_name(path, name):
    """End the journal as SQLite does where a transaction reaches over several databases."""
    text = os.fsencode(name)
    record = len(text).to_bytes(4, "big") + (sum(text) & 0xFFFFFFFF).to_bytes(4, "big")
    lock_page = (0x40000000 // 4096 + 1).to_bytes(4, "big")
    with journal(path).open("ab") as file:
        file.write(lock_page + text + record + MAGIC)


def refuses(path, words):
    """Refused, and every file stays what it was."""
    before = {item.name: item.read_bytes() for item in path.parent.iterdir() if item.is_file()}
    with pytest.raises(ConfigurationError, match=words) as refused:
        Database.open(path)
    assert refused.value.hint
    after = {item.name: item.read_bytes() for item in path.parent.iterdir() if item.is_file()}
    assert after == before


def test_the_transaction_of_a_killed_server_is_rolled_back_and_the_rest_kept(killed):
    with closing(Database.open(killed)) as database:
        assert settings(database) == {"kept": "yes"}
    assert not journal(killed).exists()


@pytest.mark.parametrize("kind", ["absolute", "relative", "missing"])
def test_a_journal_that_names_another_file_deletes_nothing(killed, tmp_path, monkeypatch, kind):
    victim = tmp_path / "victim.txt"
    victim.write_text("mine", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    names = {"absolute": victim, "relative": "victim.txt", "missing": tmp_path / "missing"}
    append_name(killed, names[kind])
    refuses(killed, "names another file for SQLite to delete")
    assert victim.read_text(encoding="utf-8") == "mine"


def test_sqlite_itself_would_delete_the_file(killed, tmp_path):
    victim = tmp_path / "victim.txt"
    victim.write_text("mine", encoding="utf-8")
    append_name(killed, victim)
    with closing(sqlite3.connect(killed)) as connection:
        connection.execute("SELECT * FROM settings").fetchall()
    assert not victim.exists(), "the journal of this test is no threat"


@pytest.mark.parametrize("content", [b"", b"x", MAGIC, b"\0" * 512, os.urandom(3000)])
def test_a_journal_that_is_none_changes_nothing(ours, content):
    journal(ours).write_bytes(content)
    with closing(Database.open(ours)) as database:
        assert settings(database) == {"kept": "yes"}


@pytest.mark.parametrize("name", ["tm.db", "tm.db-journal", "tm.db-wal", "tm.db-shm"])
@POSIX
def test_sqlite_is_led_to_no_other_file(ours, tmp_path, name):
    other = tmp_path / "other"
    other.write_text("mine", encoding="utf-8")
    ours.with_name(name).unlink(missing_ok=True)
    ours.with_name(name).symlink_to(other)
    refuses(ours, "is a link")
    assert other.read_text(encoding="utf-8") == "mine"


def test_another_journal_mode_is_taken_back_without_a_loss(ours):
    connection = sqlite3.connect(ours)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("INSERT INTO settings VALUES ('late', 'yes')")
    connection.commit()
    copy = ours.parent.parent / "copy"
    copy.mkdir(mode=0o700)
    for name in ("tm.db", "tm.db-wal"):
        shutil.copy(ours.with_name(name), copy)
    connection.close()
    with closing(Database.open(copy / "tm.db")) as database:
        assert settings(database) == {"kept": "yes", "late": "yes"}
    assert sorted(item.name for item in copy.iterdir()) == ["tm.db"]


FOREIGN = {
    "trigger": """CREATE TRIGGER evil AFTER INSERT ON history
        BEGIN UPDATE history SET auto_verdict = 'PASS'; END""",
    "trigger of our name": """DROP TRIGGER verdict_is_written_once;
        CREATE TRIGGER verdict_is_written_once AFTER INSERT ON history
        BEGIN UPDATE history SET auto_verdict = 'PASS'; END""",
    "view": "CREATE VIEW v AS SELECT * FROM runs",
    "view of our name": "DROP TABLE pins; CREATE VIEW pins AS SELECT 1 AS profile_id",
    "virtual table": "CREATE VIRTUAL TABLE v USING fts5(x)",
    "virtual table of our name": "DROP TABLE pins; CREATE VIRTUAL TABLE pins USING fts5(x)",
    "table": "CREATE TABLE cats (name TEXT)",
    "index": "CREATE UNIQUE INDEX evil ON runs (lower(run_id))",
    "computed column": "ALTER TABLE pins ADD COLUMN evil TEXT AS ('PASS')",
    "column": "ALTER TABLE pins ADD COLUMN evil TEXT",
    "missing table": "DROP TABLE pins",
    "missing column": "ALTER TABLE pins DROP COLUMN pinned_at",
    "hidden as one of SQLite": """PRAGMA writable_schema = ON;
        INSERT INTO sqlite_master VALUES
        ('table', 'sqlite_stat1', 'sqlite_stat1', 0, 'CREATE VIEW sqlite_stat1 AS SELECT 1')""",
    "hidden as one of ours": """DROP TABLE pins; PRAGMA writable_schema = ON;
        INSERT INTO sqlite_master VALUES
        ('table', 'pins', 'pins', 0, 'CREATE VIEW pins AS SELECT 1 AS profile_id')""",
    "version": "PRAGMA user_version = -1",
}


@pytest.mark.parametrize("change", FOREIGN.values(), ids=FOREIGN)
def test_what_tm_has_not_made_is_refused_and_left_alone(ours, change):
    with closing(sqlite3.connect(ours)) as connection:
        connection.executescript(change)
    refuses(ours, "is a database, but not one of tm|is damaged or not a database")


REDEFINED = {
    "default verdict": ("auto_verdict TEXT,", "auto_verdict TEXT DEFAULT 'PASS',"),
    "verdict in place of none": (
        "auto_verdict TEXT,",
        "auto_verdict TEXT NOT NULL ON CONFLICT REPLACE DEFAULT 'PASS',",
    ),
    "computed default": ("notes TEXT NOT NULL", "notes TEXT NOT NULL DEFAULT (hex(1))"),
    "fewer verdicts": ("auto_verdict TEXT,", "auto_verdict TEXT CHECK (auto_verdict != 'FAIL'),"),
    "other comparison": ("outcome TEXT NOT NULL", "outcome TEXT NOT NULL COLLATE NOCASE"),
    "rows that replace others": ("UNIQUE REFERENCES", "UNIQUE ON CONFLICT REPLACE REFERENCES"),
    "rows that are dropped": (
        "PRIMARY KEY (profile_id, region)",
        "PRIMARY KEY (profile_id, region) ON CONFLICT IGNORE",
    ),
    "rows that go with others": ("(run_id),\n", "(run_id) ON DELETE CASCADE,\n"),
    "no check": (", CHECK (auto_verdict IS NULL OR outcome = 'COMPLETED')", ""),
    "one check more": ("outcome = 'COMPLETED')", "outcome = 'COMPLETED'), CHECK (planned > 0)"),
    "hidden in a comment": ("auto_verdict TEXT,", "auto_verdict TEXT /*,*/ DEFAULT 'PASS',"),
    "hidden in a text": ("auto_verdict TEXT,", "auto_verdict TEXT DEFAULT 'PASS--',"),
    "another kind of table": ("(profile_id, region)\n)", "(profile_id, region)\n) WITHOUT ROWID"),
}


def narrow(schema):
    """The same tables with one blank between words, without comments."""
    lines = (re.sub(r" +", " ", line.partition("--")[0]).strip() for line in schema.splitlines())
    return "\n".join(lines).replace(",\nCHECK", ", CHECK")


@pytest.mark.parametrize(("text", "instead"), REDEFINED.values(), ids=REDEFINED)
def test_a_table_of_ours_that_is_defined_otherwise_is_refused(tmp_path, text, instead):
    """A column with the default 'PASS' would be a verdict that nothing has measured."""
    path = tmp_path / "tm.db"
    schema = narrow(SCHEMA)
    assert text in schema
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(schema.replace(text, instead))
        connection.execute(f"PRAGMA user_version = {VERSION}")
    refuses(path, "is a database, but not one of tm")


def test_the_same_tables_in_other_blanks_are_ours(tmp_path):
    path = tmp_path / "tm.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(narrow(SCHEMA))
        connection.execute(f"PRAGMA user_version = {VERSION}")
    Database.open(path).close()


def test_statistics_of_sqlite_are_no_foreign_table(ours):
    with closing(sqlite3.connect(ours)) as connection:
        connection.execute("ANALYZE")
    with closing(Database.open(ours)) as database:
        assert settings(database) == {"kept": "yes"}


def test_no_other_database_can_be_attached(ours, tmp_path):
    with closing(Database.open(ours)) as database, pytest.raises(sqlite3.OperationalError):
        database.rows("ATTACH ? AS other", (str(tmp_path / "other.db"),))
    assert not (tmp_path / "other.db").exists()
