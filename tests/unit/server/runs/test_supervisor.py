"""The life of runs without a web server: real engine processes, a real database."""

import asyncio
import sqlite3
from datetime import UTC, datetime

import pytest

from tests.unit.server.running_server import FAKE_ENGINE
from tm_cli.runtime.clock import SystemClock
from tm_cli.server.engine.job import EngineJob
from tm_cli.server.runs.progress import ServerRun
from tm_cli.server.runs.supervisor import Supervisor
from tm_cli.server.store.database import Database
from tm_cli.server.store.history import HistoryFilter, HistoryStore
from tm_cli.server.store.runs import RunStore
from tm_cli.server.web.bodies import Refusal
from tm_cli.server.workers.remote_workers import Agents, launch_with

pytestmark = pytest.mark.process


@pytest.fixture
def database(tmp_path):
    database = Database.open(tmp_path / "tm.db")
    yield database
    database.close()


def supervisor(database, *, judge=lambda history_id: None, concurrent_runs=4, max_rps=0):
    history = HistoryStore(database, SystemClock())
    return Supervisor(
        runs=RunStore(database),
        history=history,
        clock=SystemClock(),
        launch=launch_with(Agents(), FAKE_ENGINE, slots=1),
        judge=judge,
        concurrent_runs=concurrent_runs,
        max_rps=max_rps,
    )


def start(runs, run_id, script="", profile_id=1):
    url = f"http://127.0.0.1:9/?{script}"
    run = ServerRun(
        run_id=run_id,
        profile_id=profile_id,
        profile_name="checkout",
        target_url=url,
        region="local",
        tags=(),
        triggered_by="api",
        fingerprint="f",
        duration=20.0,
        loop=False,
        started_at=datetime.now(UTC),
    )
    job = EngineJob(run_id=run_id, target_url=url, points=[(0, 20)], duration=20.0, slots=1)
    return runs.start(run, job)


def rows(runs):
    return {row["run_id"]: row for row in runs.history.page(HistoryFilter(), page=0, size=100)[0]}


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def test_a_run_whose_rate_another_one_has_taken_is_refused(database):
    """Both were planned when nothing was active."""

    async def scenario():
        runs = supervisor(database, max_rps=30)
        start(runs, "a", "mode=hold")
        with pytest.raises(Refusal, match="takes the rate"):
            start(runs, "b", profile_id=2)
        start(runs, "c", "mode=hold")  # replaces the one that has it
        assert {row["run_id"] for row in database.rows("SELECT run_id FROM runs")} == {"a", "c"}
        await runs.shut_down()

    asyncio.run(scenario())


def test_a_run_stopped_before_its_engine_is_up_ends_all_the_same(database):
    async def scenario():
        runs = supervisor(database)
        live = start(runs, "a", "mode=hold")
        await asyncio.sleep(0)  # its engine is being started
        runs.stop(1)
        await asyncio.wait_for(live.over.wait(), 10)
        assert rows(runs)["a"]["outcome"] == "STOPPED"
        assert not runs.active

    asyncio.run(scenario())


def test_every_run_of_a_quick_succession_gets_its_row(database):
    async def scenario():
        runs = supervisor(database)
        for number in range(5):
            start(runs, f"r{number}")
        await until(lambda: not runs.is_busy)
        outcomes = {name: row["outcome"] for name, row in rows(runs).items()}
        replaced = dict.fromkeys(["r0", "r1", "r2", "r3"], "REPLACED")
        assert outcomes == {**replaced, "r4": "COMPLETED"}

    asyncio.run(scenario())


def test_a_completed_run_stays_completed_when_the_next_one_starts(database):
    async def scenario():
        runs = supervisor(database)
        first = start(runs, "a")
        await until(lambda: first.completed)
        start(runs, "b")
        await until(lambda: not runs.is_busy)
        assert {row["outcome"] for row in rows(runs).values()} == {"COMPLETED"}

    asyncio.run(scenario())


def test_a_judge_that_breaks_leaves_the_verdict_open(database):
    def judge(history_id):
        raise ZeroDivisionError

    async def scenario():
        runs = supervisor(database, judge=judge)
        start(runs, "a")
        await until(lambda: not runs.is_busy)
        assert rows(runs)["a"]["auto_verdict"] is None
        assert runs.history.unjudged() == [1]

    asyncio.run(scenario())


def test_the_judge_sees_the_row_on_disk_first(database, tmp_path):
    seen = []

    def judge(history_id):
        with sqlite3.connect(tmp_path / "tm.db") as other:
            seen.extend(other.execute("SELECT id, auto_verdict FROM history"))
        other.close()

    async def scenario():
        runs = supervisor(database, judge=judge)
        start(runs, "a")
        await until(lambda: not runs.is_busy)

    asyncio.run(scenario())
    assert seen == [(1, None)]


def test_shutting_down_is_quick_and_marks_what_it_cuts(database):
    async def scenario():
        runs = supervisor(database)
        for number, mode in enumerate(["hold", "deaf", "quick"]):
            start(runs, mode, f"mode={mode}", profile_id=number)
        await until(lambda: len(rows(runs)) == 1)
        async with asyncio.timeout(2):
            await runs.shut_down()
        outcomes = {name: row["outcome"] for name, row in rows(runs).items()}
        cut = {"hold": "INTERRUPTED", "deaf": "INTERRUPTED"}
        assert outcomes == {**cut, "quick": "COMPLETED"}
        with pytest.raises(Refusal, match="shutting down"):
            start(runs, "late")

    asyncio.run(scenario())


def test_a_full_disk_starts_nothing_and_keeps_what_is_there(database):
    async def scenario():
        runs = supervisor(database)
        start(runs, "before")
        await until(lambda: not runs.is_busy)
        fill_up(database)
        with pytest.raises(sqlite3.OperationalError, match="full"):
            start(runs, "after", "x" * 5000)
        assert not runs.is_busy
        assert rows(runs)["before"]["outcome"] == "COMPLETED"

    asyncio.run(scenario())


def test_a_disk_that_fills_up_ends_the_run_which_the_next_start_finds(database):
    async def scenario():
        runs = supervisor(database)
        failure = "x" * 5000  # so that the row needs a page of its own
        live = start(runs, "a", f"mode=hold&fails={failure}:1")
        await until(lambda: live.state.sent)
        fill_up(database)
        runs.stop(1)
        await until(lambda: not runs.is_busy)
        assert rows(runs) == {}
        assert live.status == "IDLE"
        runs.recover()  # a start on the full disk
        assert rows(runs) == {}
        database.rows("PRAGMA max_page_count = 1000000")
        runs.recover()
        assert rows(runs)["a"]["outcome"] == "INTERRUPTED"
        assert rows(runs)["a"]["total_requests"] == 101

    asyncio.run(scenario())


def fill_up(database):
    """Leave no page to grow into, as a full disk would."""
    pages = database.row("PRAGMA page_count")[0]
    database.rows(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        add_ballast(database)


def add_ballast(database):
    for number in range(10_000):
        with database.transaction() as writing:
            values = [f"ballast {number}", "x" * 5000]
            writing.execute("INSERT INTO settings VALUES (?, ?)", values)


def test_the_limit_counts_runs_of_other_profiles(database):
    async def scenario():
        runs = supervisor(database, concurrent_runs=1)
        start(runs, "a", "mode=hold")
        start(runs, "b", "mode=hold")
        with pytest.raises(Refusal, match="Concurrent run limit reached"):
            start(runs, "c", "mode=hold", profile_id=2)
        assert "c" not in {run.run_id for run in runs.runs.unfinished()}
        await runs.shut_down()

    asyncio.run(scenario())
