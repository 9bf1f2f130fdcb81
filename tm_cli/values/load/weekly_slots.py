"""Weekly moments of a schedule: `mon,thu 06:30` as text, and when each comes next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SEVERAL = {"daily": DAYS, "weekdays": DAYS[:5], "weekends": DAYS[5:]}
_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


@dataclass(frozen=True, slots=True)
class WeeklySlot:
    """A local time of a day of the week; 1 is Monday."""

    day: int
    time: time

    def next_after(self, moment: datetime, zone: tzinfo) -> datetime:
        """Return the first time of the slot later than `moment`, in UTC.

        A local time that a change of the clocks leaves out is that much later, and one that comes
        twice counts the first time.
        """
        today = moment.astimezone(zone).date()
        days = (today + timedelta(days=number) for number in range(-1, 9))
        own = (day for day in days if day.isoweekday() == self.day)
        moments = (datetime.combine(day, self.time, zone).astimezone(UTC) for day in own)
        return next(found for found in moments if found > moment)


def read_slots(text: str) -> Iterator[WeeklySlot]:
    """Yield the slots of `mon,thu 06:30`, `daily 6:30` or `weekdays 18:00`; raises ValueError."""
    *days, clock = text.lower().replace(",", " ").split() or [""]
    found = _TIME.fullmatch(clock)
    if not days or not found:
        raise ValueError(f"{text!r} is not like 'mon,thu 06:30', 'daily 06:30' or 'weekdays 18:00'")
    names = [name for word in days for name in _SEVERAL.get(word, (word[:3],))]
    for word in days:
        if word not in _SEVERAL and not _is_a_day(word):
            raise ValueError(f"{word!r} in {text!r} is not a day: {', '.join(DAYS)}")
    for name in sorted(set(names), key=DAYS.index):
        yield WeeklySlot(DAYS.index(name) + 1, time(int(found[1]), int(found[2])))


def _is_a_day(word: str) -> bool:
    names = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    return len(word) >= 3 and any(name.startswith(word) for name in names)
