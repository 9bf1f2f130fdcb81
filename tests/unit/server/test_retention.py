"""Runs that are older than the account keeps them are deleted; those that are needed are not."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from tests.unit.server.store.test_database import NOON, PASS, MovedClock, add_run, database
from tm_cli.server.quota import Quota
from tm_cli.server.retention import expire_history, expire_some, find_expired
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

    def add(
        self, run_id, created, *, profile_id=7, outcome=RunOutcome.COMPLETED, verdict=PASS, load="f"
    ):
        add_run(self.database, run_id, profile_id, load)
        RunStore(self.database).save_buckets(run_id, [EngineBucket(0, 5, 5, 5, {"200": 5})])
        self.clock.time = created
        number = self.history.add(run_id, outcome, RESULTS, finished_at=created)
        if verdict and outcome is RunOutcome.COMPLETED:
            self.history.set_verdict(number, verdict)
        self.clock.time = NOON
        return number

    def expire(self):
        expiry = find_expired(self.services)
        while expire_some(self.services, expiry, most=2):
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
    asyncio.run(expire_history(kept.services))  # returns at once
    assert kept.count("history") == 1


def test_a_number_of_days_from_before_our_era_keeps_all_runs(database):
    kept = Kept(database, days=2**31 - 1)
    kept.add("old", OLD)
    assert kept.expire() == ["old"]


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


def verdict(name):
    return replace(PASS, verdict=name)


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        (["PASS", "PASS", "FAIL"], ["FAIL"], [1]),
        (["PASS", "FAIL"], ["WARN"], [0]),
        (["PASS", "FAIL"], ["FAIL", "PASS"], []),
        (["NO_BASELINE", "FAIL", "WARN"], ["FAIL"], [0, 1, 2]),
        (["PASS", "FAIL"], [], []),
    ],
)
def test_a_run_that_failed_does_not_become_the_baseline_of_a_load(database, old, new, kept):
    """The run that it failed by stays for as long as the load is run and has not passed since."""
    history = Kept(database)
    history.add("another load", OLD, load="g")
    history.add("another profile", OLD, profile_id=8)
    for number, name in enumerate(old):
        history.add(str(number), OLD + timedelta(minutes=number), verdict=verdict(name))
    for number, name in enumerate(new):
        history.add(f"new {number}", NEW + timedelta(minutes=number), verdict=verdict(name))
    assert [name for name in history.expire() if "new" not in name] == list(map(str, kept))


def test_a_baseline_is_not_deleted_once_a_later_run_has_failed_by_it(database):
    kept = Kept(database)
    kept.add("old", OLD)
    expiry = find_expired(kept.services)
    kept.add("new", NOON, verdict=verdict("FAIL"))
    assert expire_some(kept.services, expiry) == 0


def test_requests_that_count_for_this_month_are_kept(database):
    kept = Kept(database, days=1, monthly_requests=10)
    month = NOON.replace(day=1, hour=0)
    kept.add("last month", month - timedelta(seconds=1))
    kept.add("this month", month)
    assert month < NOON - timedelta(days=1)
    assert kept.expire() == ["this month"]
