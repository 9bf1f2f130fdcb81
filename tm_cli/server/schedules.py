"""When the slots of schedules are due, and what starts their runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from tm_cli.runtime.clock import Clock
from tm_cli.server.profiles import Schedule, Slot, StoredProfile, StoredSlot
from tm_cli.server.store.profiles import ProfileStore
from tm_cli.server.validation import read_time, wire_time
from tm_cli.server.web.bodies import Refusal
from tm_cli.values.load.weekly_slots import WeeklySlot
from tm_cli.values.text import sanitize

INTERVAL = 5.0
"""Seconds between two looks at the schedules."""
LATEST = timedelta(minutes=1)
"""A slot that is older, because the machine was suspended or the clock was set, is left out."""
READINESS_WAIT = 900.0
"""Seconds that a scheduled run waits for its readiness URL."""
_NEVER = datetime.min.replace(tzinfo=UTC)
_SET_BACK = timedelta(hours=1)

logger = logging.getLogger(__name__)


def next_moment(slot: Slot, zone: tzinfo, after: datetime) -> datetime:
    """The first moment of the slot later than `after`, in UTC."""
    return WeeklySlot(slot.day_of_week, time.fromisoformat(slot.time)).next_after(after, zone)


def after_firing(schedule: Schedule, since: datetime, now: datetime) -> Schedule | None:
    """The schedule with its slots between `since` and `now` marked as fired; None without any.

    One that fires once has then expired: none of its slots is enabled any longer.
    """
    zone = ZoneInfo(schedule.timezone)
    due = [
        slot
        for slot in schedule.slots
        if slot.enabled and next_moment(slot, zone, max(since, _fired(slot, now))) <= now
    ]
    if not due:
        return None
    fired = {"last_fired_at": wire_time(now)}
    expired = {"enabled": False} if schedule.mode == "ONCE" else {}
    slots = [
        slot.model_copy(update=expired | (fired if slot in due else {})) for slot in schedule.slots
    ]
    return schedule.model_copy(update={"slots": tuple(slots)})


def _fired(slot: StoredSlot, now: datetime) -> datetime:
    """When the slot last fired; a clock that was set back must not repeat it.

    One that was far ahead is ignored: it would keep the slot from firing for as long.
    """
    fired = read_time(slot.last_fired_at) if slot.last_fired_at else _NEVER
    return _NEVER if fired > now + _SET_BACK else fired


class Scheduler:
    """Starts a run of each profile whose schedule has a slot that is due.

    What was due while the server did not run is left out, and so is a slot whose profile has a run
    in progress, which it would replace. `prepare` returns what starts the run, and raises Refusal
    for one that cannot start.
    """

    def __init__(
        self,
        profiles: ProfileStore,
        is_running: Callable[[int], bool],
        prepare: Callable[[StoredProfile], Awaitable[Callable[[], object]]],
        clock: Clock,
    ) -> None:
        self._profiles = profiles
        self._is_running = is_running
        self._prepare = prepare
        self._clock = clock
        self._checked = clock.now()
        self._starting: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Look at the schedules every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                self.start_due()
            except Exception:  # the disk is full, perhaps; later slots must be started all the same
                logger.exception("the schedules could not be read")

    def start_due(self) -> None:
        """Start what has become due since the last call; returns before the runs have started."""
        now = self._clock.now()
        since = min(max(self._checked, now - LATEST), now)
        self._checked = now
        for profile in self._profiles.scheduled():
            try:
                is_due = self._fire(profile, since, now)
            except Exception:  # such as a time zone that this machine does not know any more
                logger.exception("the schedule of profile %d could not be read", profile.id)
                continue
            if is_due:
                task = asyncio.create_task(self._start_now(profile))
                self._starting.add(task)
                task.add_done_callback(self._starting.discard)

    def _fire(self, profile: StoredProfile, since: datetime, now: datetime) -> bool:
        """Note that slots have fired, if any are due."""
        schedule = profile.fields.schedule
        fired = after_firing(schedule, since, now) if schedule else None
        if fired:
            self._profiles.set_schedule(profile, fired)
        return fired is not None

    async def _start_now(self, profile: StoredProfile) -> None:
        name = f"the scheduled run of profile {profile.id} ({sanitize(profile.fields.name)})"
        try:
            if self._is_left_out(profile, name):
                return
            start = await self._prepare(profile)
            # while an init script ran, a gate may have started a run, or the profile be deleted
            if not self._is_left_out(profile, name) and self._profiles.find(profile.id):
                start()
        except Refusal as refusal:
            logger.warning("%s could not start: %s", name, sanitize(refusal.message))
        except Exception:
            logger.exception("%s could not start", name)

    def _is_left_out(self, profile: StoredProfile, name: str) -> bool:
        if is_running := self._is_running(profile.id):
            logger.warning("%s was left out: another run is in progress", name)
        return is_running
