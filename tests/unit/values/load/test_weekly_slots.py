"""Weekly moments as text, and when they come."""

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from tm_cli.values.load.weekly_slots import WeeklySlot, read_slots

BERLIN, LORD_HOWE = ZoneInfo("Europe/Berlin"), ZoneInfo("Australia/Lord_Howe")
MONDAY = datetime(2026, 11, 30, 5, 0, tzinfo=UTC)  # 6 o'clock in Berlin


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


def slot(day, text):
    return WeeklySlot(day, time.fromisoformat(text))


@pytest.mark.parametrize(
    ("when", "zone", "after", "expected"),
    [
        (slot(1, "06:30"), BERLIN, MONDAY, utc(2026, 11, 30, 5, 30)),
        (slot(1, "06:30"), BERLIN, utc(2026, 11, 30, 5, 30), utc(2026, 12, 7, 5, 30)),
        (slot(7, "23:59"), BERLIN, MONDAY, utc(2026, 12, 6, 22, 59)),
        (slot(1, "00:00"), BERLIN, utc(2026, 11, 29, 22, 0), utc(2026, 11, 29, 23, 0)),
        (slot(2, "00:15"), ZoneInfo("Pacific/Kiritimati"), MONDAY, utc(2026, 11, 30, 10, 15)),
        (slot(7, "22:00"), ZoneInfo("Pacific/Pago_Pago"), MONDAY, utc(2026, 11, 30, 9, 0)),
        # 02:30 is left out on that day: an hour later; it comes twice: the first time
        (slot(7, "02:30"), BERLIN, utc(2026, 3, 28), utc(2026, 3, 29, 1, 30)),
        (slot(7, "02:30"), BERLIN, utc(2026, 10, 24), utc(2026, 10, 25, 0, 30)),
        (slot(7, "02:30"), BERLIN, utc(2026, 10, 25, 0, 30), utc(2026, 11, 1, 1, 30)),
        # clocks that are changed by half an hour
        (slot(7, "02:10"), LORD_HOWE, utc(2026, 10, 3), utc(2026, 10, 3, 15, 40)),
    ],
)
def test_the_next_moment_of_a_slot(when, zone, after, expected):
    assert when.next_after(after, zone) == expected


@pytest.mark.parametrize("name", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
def test_a_year_of_a_weekly_slot_has_52_moments(name):
    zone, moment, found = ZoneInfo(name), utc(2026, 1, 1), []
    while (moment := slot(7, "02:30").next_after(moment, zone)) < utc(2027, 1, 1):
        found.append(moment)
    assert len(found) == 52
    gaps = [later - earlier for earlier, later in pairwise(found)]
    assert all(abs(gap - timedelta(days=7)) <= timedelta(hours=1) for gap in gaps)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("mon 06:30", [1]),
        ("Monday, Thursday 6:30", [1, 4]),
        ("thu mon,mon 06:30", [1, 4]),
        ("weekdays 06:30", [1, 2, 3, 4, 5]),
        ("weekends,fri 06:30", [5, 6, 7]),
        ("daily 06:30", [1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_days_and_time_as_text(text, days):
    assert list(read_slots(text)) == [slot(day, "06:30") for day in days]


@pytest.mark.parametrize(
    "text", ["", "06:30", "mon", "mon 24:00", "mon 6:3", "mon 06:30 pm", "moon 06:30", "m 06:30"]
)
def test_what_is_no_weekly_time_is_refused(text):
    with pytest.raises(ValueError, match=r"is not"):
        list(read_slots(text))
