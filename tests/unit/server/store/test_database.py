import os
import sqlite3
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tm_cli.errors import ConfigurationError
from tm_cli.runtime.clock import SystemClock
from tm_cli.server.runs.progress import RunOutcome, ServerRun
from tm_cli.server.runs.results import summarize
from tm_cli.server.runs.steps import StepBlock, packed
from tm_cli.server.runs.verdicts import Judge
from tm_cli.server.store.database import Database
from tm_cli.server.store.history import HistoryFilter, HistoryStore, StoredVerdict
from tm_cli.server.store.runs import RunStore
from tm_cli.server.store.schema import VERSION
from tm_cli.server.workers.engine_events import EngineBucket

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


class MovedClock(SystemClock):
    def __init__(self):
        self.time = NOON

    def now(self):
        return self.time


@pytest.fixture
def database(tmp_path):
    database = Database.open(tmp_path / "tm.db")
    yield database
    database.close()


def add_run(database, run_id="r1", profile_id=7, fingerprint="f"):
    run = ServerRun(
        run_id=run_id,
        profile_id=profile_id,
        profile_name="checkout",
        target_url="http://127.0.0.1/",
        region="local",
        tags=("a", "b"),
        triggered_by="api",
        fingerprint=fingerprint,
        duration=20.0,
        loop=False,
        started_at=NOON,
    )
    RunStore(database).add(run)
    return run


def add_row(database, run_id="r1", outcome=RunOutcome.COMPLETED, clock=None):
    add_run(database, run_id)
    history = HistoryStore(database, clock or MovedClock())
    results = summarize([], curve_end=20.0, elapsed=20.0)
    return history, history.add(run_id, outcome, results, finished_at=NOON)


PASS = StoredVerdict("PASS", ["fine"], {"p95": 1.0}, None)


def test_commits_reach_the_disk(database):
    assert database.row("PRAGMA journal_mode")[0] == "delete"
    assert database.row("PRAGMA synchronous")[0] == 2
    assert database.row("PRAGMA foreign_keys")[0] == 1


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_files_are_private_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        database = Database.open(tmp_path / "tm.db")
        with database.transaction() as connection:
            connection.execute("INSERT INTO settings VALUES ('a', 'b')")
            modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
            names = sorted(path.name for path in tmp_path.iterdir())
        database.close()
    finally:
        os.umask(before)
    assert names == ["tm.db", "tm.db-journal"]
    assert modes == {0o600}


@pytest.mark.skipif(os.name != "posix", reason="symbolic links")
def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "tm.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError):
        Database.open(tmp_path / "tm.db")
    assert not (tmp_path / "elsewhere").exists()


def test_a_newer_schema_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "tm.db"
    Database.open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="newer tm"):
        Database.open(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4096]
)
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "tm.db"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="damaged or not a database"):
        Database.open(path)
    assert path.read_bytes() == content


def test_a_damaged_page_is_found_at_the_start(tmp_path):
    path = tmp_path / "tm.db"
    database = Database.open(path)
    for number in range(50):
        add_run(database, f"run-{number}")
    database.close()
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="damaged"):
        Database.open(path)
    assert path.read_bytes() == content


def test_an_index_that_lacks_rows_is_noticed(tmp_path):
    path = tmp_path / "tm.db"
    database = Database.open(path)
    for number in range(3):
        add_row(database, f"r{number}")
    sql = "SELECT rootpage FROM sqlite_master WHERE name = 'history_by_creation'"
    page = database.row(sql)["rootpage"]
    size = database.row("PRAGMA page_size")["page_size"]
    database.close()
    content = bytearray(path.read_bytes())
    at = (page - 1) * size + 3  # the number of entries on this page of the index
    content[at : at + 2] = (1).to_bytes(2, "big")
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="history_by_creation"):
        Database.open(path)
    assert path.read_bytes() == content


def test_a_database_of_something_else_is_refused(tmp_path):
    path = tmp_path / "tm.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE cats (name TEXT)")
    connection.close()
    with pytest.raises(ConfigurationError, match="not one of tm"):
        Database.open(path)


def test_a_failed_transaction_changes_nothing(database):
    twice = [("a", "b"), ("a", "c")]
    with pytest.raises(sqlite3.IntegrityError), database.transaction() as connection:
        connection.executemany("INSERT INTO settings VALUES (?, ?)", twice)
    assert database.rows("SELECT * FROM settings") == []


def test_a_transaction_inside_another_one_is_a_part_of_it(database):
    def fail_after_an_inner_one():
        with database.transaction():
            with database.transaction() as connection:
                connection.execute("INSERT INTO settings VALUES ('inner', 1)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_an_inner_one()
    assert database.rows("SELECT * FROM settings") == []


def test_a_verdict_is_written_once(database):
    history, row_id = add_row(database)
    assert history.set_verdict(row_id, PASS)
    assert not history.set_verdict(row_id, StoredVerdict("FAIL", [], {}, None))
    assert history.find(row_id)["auto_verdict"] == "PASS"
    with pytest.raises(sqlite3.IntegrityError), database.transaction() as connection:
        connection.execute("UPDATE history SET auto_verdict = 'FAIL'")


@pytest.mark.parametrize(
    "outcome", [kind for kind in RunOutcome if kind is not RunOutcome.COMPLETED]
)
def test_only_a_completed_run_can_have_a_verdict(database, outcome):
    history, row_id = add_row(database, outcome=outcome)
    assert history.unjudged() == []
    with pytest.raises(sqlite3.IntegrityError):
        history.set_verdict(row_id, PASS)
    assert history.find(row_id)["auto_verdict"] is None


def test_order_follows_insertion_when_the_wall_clock_steps_back(database):
    clock = MovedClock()
    made = []
    for number, shift in enumerate([0, -3600, 60, -86_400]):
        clock.time = NOON + timedelta(seconds=shift)
        made.append(add_row(database, f"r{number}", clock=clock)[1])
    history = HistoryStore(database, clock)
    rows, total = history.page(HistoryFilter(), page=0, size=10)
    assert [row["id"] for row in rows] == made[::-1]
    assert total == 4
    times = [row["created_at"] for row in rows]
    assert times == sorted(times, reverse=True)


def test_the_newest_line_of_a_bucket_counts(database):
    store = RunStore(database)
    add_run(database)
    store.save_buckets("r1", [EngineBucket(0, 5, 5, 4, {"200": 4}), EngineBucket(1, 5, 1, 0)])
    store.save_buckets(
        "r1", [EngineBucket(0, 5, 5, 5, {"200": 5}, {"Timeout": 1}, "x", "y", 1.0, 2, 3)]
    )
    first, second = store.buckets("r1")
    assert first == EngineBucket(0, 5, 5, 5, {"200": 5}, {"Timeout": 1}, "x", "y", 1.0, 2.0, 3.0)
    assert second == EngineBucket(1, 5, 1, 0)


STEP = StepBlock("login", 0, 0, 5, {"200": 4}, {"TimeoutError": 1}, packed([(10, 3), (20, 2)]))


def test_the_newest_block_of_a_step_counts_and_they_come_by_side_name_and_block(database):
    store = RunStore(database)
    add_run(database)
    other, later = replace(STEP, side=1), replace(STEP, position=1)
    store.save_steps("r1", [other, later, replace(STEP, completed=1), replace(STEP, name="cart")])
    store.save_steps("r1", [STEP])
    assert store.steps("r1") == [replace(STEP, name="cart"), STEP, later, other]
    assert store.steps("r1")[1].times == [(10, 3), (20, 2)]


@pytest.mark.parametrize("change", ["codes = 'x'", "completed = -1", "name = x'ff'", "packed = 5"])
def test_damaged_steps_are_no_measurement(database, change):
    store = RunStore(database)
    add_run(database)
    store.save_steps("r1", [STEP])
    with database.transaction() as connection:
        connection.execute(f"UPDATE steps SET {change}")
    with pytest.raises(ValueError, match="its steps are damaged"):
        store.steps("r1")


def test_a_run_is_unfinished_until_it_has_a_row(database):
    run = add_run(database, "open")
    add_row(database, "closed")
    assert RunStore(database).unfinished() == [run]


def test_deleting_a_row_takes_its_buckets_along(database):
    history, row_id = add_row(database)
    RunStore(database).save_buckets("r1", [EngineBucket(0, 1, 1, 1)])
    RunStore(database).save_steps("r1", [STEP])
    assert history.delete(row_id)
    assert not history.delete(row_id)
    assert database.rows("SELECT * FROM buckets") == []
    assert database.rows("SELECT * FROM steps") == []
    assert RunStore(database).unfinished() == []


class TestAFileOfAnOlderVersion:
    @pytest.fixture
    def older(self):
        return 1

    @pytest.fixture
    def upgraded(self, tmp_path, older):
        text = Path(__file__).parent / "older" / f"version_{older}.sql"
        connection = sqlite3.connect(tmp_path / "older.db")
        connection.executescript(text.read_text(encoding="utf-8"))
        connection.close()
        database = Database.open(tmp_path / "older.db")
        yield database
        database.close()

    def test_keeps_its_history(self, upgraded):
        row = HistoryStore(upgraded, SystemClock()).find(7)
        assert (row["run_id"], row["auto_verdict"], row["notes"]) == ("r1", "PASS", "[]")
        buckets = RunStore(upgraded).buckets("r1")
        assert [(b.side, b.index, b.sent) for b in buckets] == [(0, 0, 100), (0, 1, 90)]
        assert [run.run_id for run in RunStore(upgraded).unfinished()] == ["r2"]

    @pytest.mark.parametrize("older", [1, 6])
    def test_is_like_a_new_one(self, upgraded, database):
        def columns(of):
            tables = [
                row[0] for row in of.rows("SELECT name FROM sqlite_master WHERE type='table'")
            ]
            return {
                table: [(c["name"], c["type"]) for c in of.rows(f"PRAGMA table_info({table})")]
                for table in tables
            }

        assert columns(upgraded).keys() == columns(database).keys()
        for table, found in columns(upgraded).items():
            assert sorted(found) == sorted(columns(database)[table])
        [version] = upgraded.row("PRAGMA user_version")
        assert version == VERSION
        assert upgraded.rows("PRAGMA foreign_key_check") == []
        assert upgraded.rows("SELECT name FROM sqlite_master WHERE type = 'trigger'")

    def test_deletes_a_run_with_its_buckets(self, upgraded):
        HistoryStore(upgraded, SystemClock()).delete(7)
        assert RunStore(upgraded).buckets("r1") == []

    def test_its_runs_are_a_baseline_for_new_ones(self, upgraded):
        history = HistoryStore(upgraded, SystemClock())
        run = add_run(upgraded, "r3", profile_id=3, fingerprint="same")
        results = summarize(
            [EngineBucket(0, 200, 200, 200, {"200": 200})], curve_end=20.0, elapsed=20.0
        )
        row = history.add(run.run_id, RunOutcome.COMPLETED, results, finished_at=NOON)
        Judge(history, RunStore(upgraded), lambda: NOON)(row)
        assert history.find(row)["auto_compare_baseline_run_id"] == 7
