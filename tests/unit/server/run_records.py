"""What is known of finished runs, to see whether it stays as it was."""

import hashlib
import sqlite3
from contextlib import closing

TABLES = ("runs", "buckets", "history")
DETAILS = 20


class RunRecords:
    """Every finished run of one database as it was when it was first seen."""

    def __init__(self, database):
        self._database = database
        self._rows = {}  # by run id: the row of the REST list
        self._digests = {}  # by run id: a digest of its rows in each table
        self._details = {}  # by history id

    def check(self, api, chance):
        """Compare all that is known with what is there now; then learn what is new.

        The server must have no run in progress.
        """
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)) as connection:
            check_file(connection)
            digests = {run_id: digests_of(connection, run_id) for run_id in run_ids(connection)}
        rows = {row["runId"]: row for row in all_rows(api)}
        for run_id, row in self._rows.items():
            assert rows.get(run_id) == row, f"was {row}"
            assert digests.get(run_id) == self._digests[run_id], f"{run_id} changed on disk"
        for number in chance.sample(sorted(self._details), min(DETAILS, len(self._details))):
            assert api.get(f"/history/{number}").json() == self._details[number]
        assert rows.keys() == digests.keys()
        new = rows.keys() - self._rows.keys()
        self._rows, self._digests = rows, digests
        self._details |= {
            rows[run_id]["id"]: api.get(f"/history/{rows[run_id]['id']}").json() for run_id in new
        }

    def detail(self, run_id):
        """The detail of a run as it was learnt; None when there was none."""
        row = self._rows.get(run_id)
        return row and self._details[row["id"]]

    def details(self):
        """All of them."""
        return list(self._details.values())


def check_file(connection):
    """SQLite itself finds nothing wrong, and no run has been left without its row."""
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    left = connection.execute("SELECT run_id FROM runs EXCEPT SELECT run_id FROM history")
    assert left.fetchall() == []


def run_ids(connection):
    return [run_id for (run_id,) in connection.execute("SELECT run_id FROM history")]


def digests_of(connection, run_id):
    return [
        hashlib.sha256(
            repr(
                connection.execute(
                    f"SELECT * FROM {table} WHERE run_id = ? ORDER BY rowid", [run_id]
                ).fetchall()
            ).encode()
        ).hexdigest()
        for table in TABLES
    ]


def all_rows(api):
    """All rows of the history, page by page."""
    found, page = [], 0
    while rows := api.rows(size=100, page=page):
        found += rows
        page += 1
    return found
