"""Runs that are older than the account keeps them are deleted; those that are needed are not."""

import asyncio
from datetime import timedelta
from types import SimpleNamespace

import pytest

from tests.unit.server.store.test_database import NOON, PASS, MovedClock, add_run, database
from tm_cli.server.quota import Quota
from tm_cli.server.retention import expire_history, expire_some
from tm_cli.server.runs.progress import RunOutcome
from tm_cli.server.runs.results import summarize
from tm_cli.server.store.history import HistoryStore
from tm_cli.server.store.profiles import PinStore
from tm_cli.server.store.runs import RunStore
from tm_cli.server.workers.engine_events import EngineBucket

__all__ = ["database"]

OLD, NEW = NOON - timedelta(days=31), NOON - timedelta(days=29)
RESULTS = summarize([], curve_end=20.0, elapsed=20.0)


class Kept:
    """A history with retention; `expire` names what is left."""

    def __init__(self, database, days=30, **limits):
        self.clock = MovedClock()
        self.database = database
        self.history = HistoryStore(database, self.clock)
        self.services = SimpleNamespace(
            quota=Quota(history_days=days, **limits),
            clock=self.clock,
            supervisor=SimpleNamespace(busy_profiles=set()),
            history=self.history,
        )

    def add(self, run_id, created, *, profile_id=7, outcome=RunOutcome.COMPLETED, verdict=PASS):
        add_run(self.database, run_id, profile_id)
        RunStore(self.database).save_buckets(run_id, [EngineBucket(0, 5, 5, 5, {"200": 5})])
        self.clock.time = created
        number = self.history.add(run_id, outcome, RESULTS, finished_at=created)
        if verdict and outcome is RunOutcome.COMPLETED:
            self.history.set_verdict(number, verdict)
        self.clock.time = NOON
        return number

    def expire(self):
        while expire_some(self.services, most=2):
            pass
        return [row["run_id"] for row in self.database.rows("SELECT run_id FROM history")]

    def count(self, table):
        return self.database.row(f"SELECT COUNT(*) FROM {table}")[0]


def test_older_runs_are_deleted_with_their_measurements(database):
    kept = Kept(database)
    for number in range(3):
        kept.add(f"old {number}", OLD, outcome=RunOutcome.STOPPED)
    kept.add("judged", OLD)
    kept.add("new", NEW)
    assert kept.expire() == ["new"]
    assert (kept.count("runs"), kept.count("buckets")) == (1, 1)


def test_without_a_number_of_days_all_runs_are_kept(database):
    kept = Kept(database, days=None)
    kept.add("old", OLD)
    assert kept.expire() == ["old"]
    asyncio.run(expire_history(kept.services))  # returns at once


@pytest.mark.parametrize("reason", ["pinned", "active", "not judged", "damaged"])
def test_what_may_still_be_needed_is_kept(database, reason):
    kept = Kept(database)
    number = kept.add("old", OLD, verdict=None if reason == "not judged" else PASS)
    kept.add("other", OLD, profile_id=8)
    if reason == "pinned":
        PinStore(database, kept.clock).pin(7, "local", number)
    elif reason == "active":
        kept.services.supervisor.busy_profiles.add(7)
    elif reason == "damaged":
        with database.transaction() as connection:
            connection.execute("UPDATE history SET created_at = '1' WHERE id = ?", [number])
    assert kept.expire() == ["old"]


def test_requests_that_count_for_this_month_are_kept(database):
    kept = Kept(database, days=1, monthly_requests=10)
    month = NOON.replace(day=1, hour=0)
    kept.add("last month", month - timedelta(seconds=1))
    kept.add("this month", month)
    assert month < NOON - timedelta(days=1)
    assert kept.expire() == ["this month"]
