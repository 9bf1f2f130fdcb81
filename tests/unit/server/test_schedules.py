"""When scheduled runs start; the clock is set by hand."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import pytest

from tests.conftest import FakeClock
from tm_cli.server.profiles import CurvePoint, ProfileFields, Schedule, StoredSlot
from tm_cli.server.schedules import LATEST, Scheduler, after_firing
from tm_cli.server.store.database import Database
from tm_cli.server.store.profiles import ProfileStore
from tm_cli.server.web.bodies import Refusal

MONDAY = datetime(2026, 11, 30, 5, 0, tzinfo=UTC)  # 6 o'clock in Berlin


def slot(day=1, time="06:30", **state):
    return StoredSlot(day_of_week=day, time=time, **state)


def schedule(*slots, mode="PERIODIC", zone="Europe/Berlin"):
    return Schedule(mode=mode, timezone=zone, slots=slots or (slot(),))


def test_a_weekly_slot_stays_enabled_and_the_others_are_untouched():
    fired = after_firing(
        schedule(slot(1), slot(2)), MONDAY + timedelta(minutes=29), MONDAY + timedelta(minutes=31)
    )
    assert [each.enabled for each in fired.slots] == [True, True]
    assert [each.last_fired_at for each in fired.slots] == ["2026-11-30T05:31:00.000000Z", None]


def test_a_schedule_that_fires_once_has_then_expired():
    once = schedule(slot(1), slot(2), mode="ONCE")
    fired = after_firing(once, MONDAY, MONDAY + timedelta(hours=1))
    assert [each.enabled for each in fired.slots] == [False, False]
    assert after_firing(fired, MONDAY + timedelta(hours=1), MONDAY + timedelta(days=30)) is None


class World:
    def __init__(self, tmp_path):
        self.clock = FakeClock(wall=MONDAY)
        self.database = Database.open(tmp_path / "tm.db")
        self.profiles = ProfileStore(self.database, self.clock)
        self.started, self.running, self.refusal = [], set(), None
        self.during_preparation = lambda number: None
        self.scheduler = Scheduler(
            self.profiles, self.running.__contains__, self.prepare, self.clock
        )

    async def prepare(self, profile):
        if self.refusal:
            raise self.refusal
        self.during_preparation(profile.id)
        return lambda: self.started.append(profile.id)

    def add(self, when=None, name="checkout"):
        fields = ProfileFields(
            name=name,
            duration=60,
            target_url="http://localhost:1/",
            points=(CurvePoint(x=0.0, y=1.0), CurvePoint(x=60.0, y=1.0)),
            schedule=when or schedule(),
        )
        return self.profiles.add(fields).id

    def at(self, hour, minute=0, second=0):
        """Let the scheduler look at that time of the Monday, in UTC."""
        self.clock.wall = MONDAY.replace(hour=hour, minute=minute, second=second)

        async def look():
            self.scheduler.start_due()
            await asyncio.sleep(0)  # the starts are tasks of their own

        asyncio.run(look())
        return self.started


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.database.close()


def test_a_run_starts_once_at_its_slot(world):
    number = world.add()
    assert world.at(5, 29, 58) == []
    assert world.at(5, 30, 3) == [number]
    assert world.at(5, 30, 8) == [number]
    [fired] = world.profiles.find(number).fields.schedule.slots
    assert fired.last_fired_at == "2026-11-30T05:30:03.000000Z"


def test_firing_is_no_update_of_the_profile(world):
    older, newer = world.add(), world.add(schedule(slot(5)), name="other")
    world.at(5, 29, 58)
    world.at(5, 30, 3)
    assert [profile.id for profile in world.profiles.all()] == [newer, older]


def test_a_slot_during_a_suspension_is_left_out(world):
    world.add()
    world.at(5, 29, 58)
    assert world.at(5, 31 + LATEST.seconds // 60) == []


def test_a_slot_before_the_server_started_is_left_out(world):
    world.add(schedule(slot(1, "05:59")))
    assert world.at(5, 0, 30) == []


def test_a_clock_that_is_set_back_starts_nothing_twice_and_stops_nothing(world):
    number = world.add(schedule(slot(1, "06:30"), slot(1, "06:40")))
    world.at(5, 29, 58)
    world.at(5, 30, 3)
    world.at(5, 29, 57)
    assert world.at(5, 30, 1) == [number]
    world.at(5, 39, 58)
    assert world.at(5, 40, 1) == [number, number]


def test_a_run_in_progress_is_never_replaced(world, caplog):
    number = world.add()
    world.running.add(number)
    world.at(5, 29, 58)
    assert world.at(5, 30, 3) == []
    assert f"the scheduled run of profile {number} (checkout) was left out" in caplog.text


def test_a_run_that_starts_during_the_preparation_is_not_replaced(world, caplog):
    """An init script takes seconds, in which a gate may start a run of the same profile."""
    number = world.add()
    world.at(5, 29, 58)
    world.during_preparation = world.running.add
    assert world.at(5, 30, 3) == []
    assert f"the scheduled run of profile {number} (checkout) was left out" in caplog.text


def test_a_profile_that_is_deleted_during_the_preparation_is_not_run(world):
    world.add()
    world.at(5, 29, 58)
    world.during_preparation = world.profiles.delete
    assert world.at(5, 30, 3) == []


@pytest.mark.parametrize(
    "broken", [schedule(zone="Mars/Olympus"), schedule(slot(last_fired_at="yesterday"))]
)
def test_a_schedule_that_cannot_be_read_does_not_stop_the_others(world, caplog, broken):
    unreadable, number = world.add(broken, name="unreadable"), world.add()
    world.at(5, 29, 58)
    assert world.at(5, 30, 3) == [number]
    assert f"the schedule of profile {unreadable} could not be read" in caplog.text


@pytest.mark.parametrize("problem", [Refusal("Concurrent run limit reached (4)"), OSError("disk")])
def test_one_that_cannot_start_is_logged_and_the_others_start(world, caplog, problem):
    caplog.set_level(logging.WARNING)
    number = world.add()
    world.at(5, 29, 58)
    world.refusal = problem
    world.at(5, 30, 3)
    assert f"profile {number} (checkout) could not start" in caplog.text
