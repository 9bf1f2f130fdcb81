"""`tm profiles schedule`: what is shown, sent and kept."""

import pytest

from tests.services.trafficmorph import profile

FIRED = "2026-02-23T05:30:02.118513Z"
WEEKLY = {
    "profileId": 42,
    "mode": "PERIODIC",
    "timezone": "Europe/Berlin",
    "notifyEmails": ["team@example.com"],
    "slots": [
        {"id": 1, "dayOfWeek": 1, "time": "06:30", "enabled": True, "lastFiredAt": FIRED},
        {"id": 2, "dayOfWeek": 4, "time": "18:00", "enabled": False, "lastFiredAt": None},
    ],
}


def test_shows_days_times_and_next_runs(gate, server):
    server.profile(schedule=WEEKLY)
    shown = gate("profiles", "schedule", "show", "42").stdout  # on Sunday, the first of March
    assert shown.splitlines() == [
        "every week, in the time zone Europe/Berlin",
        "DAY  TIME   LAST FIRED            NEXT RUN",
        "mon  06:30  2026-02-23 05:30:02Z  2026-03-02 05:30:00Z",
        "thu  18:00  -                     -",
        "notifies team@example.com",
    ]


def test_next_run_is_a_time_of_the_document(gate, server):
    server.profile(schedule=WEEKLY)
    data = gate("profiles", "schedule", "show", "42", "--json").json["data"]
    assert data["next_run_at"] == "2026-03-02T05:30:00+00:00"
    assert data["schedule"] == WEEKLY


def test_no_schedule_is_an_answer(gate, server):
    server.profile()
    result = gate("profiles", "schedule", "show", "42", "--json")
    assert result.json["data"] == {"profile_id": 42, "schedule": None, "next_run_at": None}


@pytest.mark.parametrize(
    "damaged",
    [
        {"timezone": "Mars/Olympus"},
        {"timezone": "../../etc/passwd"},
        {"timezone": None},
        {"slots": [{"dayOfWeek": 9, "time": "06:30"}, {"dayOfWeek": 1}, 7, {"time": ["x"]}]},
        {"slots": None},
        {"slots": [{"dayOfWeek": 1, "time": "tue 06:30"}]},
    ],
)
def test_what_cannot_be_read_has_no_next_run(gate, server, damaged):
    server.profile(schedule=WEEKLY | damaged)
    result = gate("profiles", "schedule", "show", "42", "--json")
    assert result.json["data"]["next_run_at"] is None
    server.profile(schedule=WEEKLY | damaged)
    assert gate("profiles", "schedule", "show", "42").exit_code == 0


def test_a_new_schedule_resets_no_other_field(gate, server):
    kept = {
        "initScript": "function init() {}",
        "requestHeaders": '[{"name": "X", "value": "1"}]',
        "variablesSetIds": [3],
        "unknownToTm": {"a": 1},
        "warmup": "5s",  # what this program would not read as a warm-up
    }
    wanted = {
        "mode": "ONCE",
        "timezone": "Europe/Berlin",
        "notifyEmails": [],
        "slots": [{"dayOfWeek": day, "time": "06:30"} for day in (1, 2, 7)],
    }
    sent = profile(**kept, schedule=wanted)
    for name in ("id", "createdAt", "status", "callbackSecret"):
        del sent[name]
    server.profile(**kept)
    server.answer("PUT", "/profiles/42", profile(**kept, schedule=WEEKLY), body=sent)
    when = ("--at", "mon,tue 6:30", "--at", "sun 06:30", "--timezone", "Europe/Berlin", "--once")
    result = gate("profiles", "schedule", "set", "42", *when)
    assert result.exit_code == 0
    assert "2026-03-02 05:30:00Z" in result.stdout


def test_a_schedule_that_the_server_refuses_is_named_with_its_profile(gate, server):
    server.profile()
    server.error("PUT", "/profiles/42", 400, "schedule.timezone: must be an IANA name")
    result = gate("profiles", "schedule", "set", "42", "--at", "mon 6:30", "--timezone", "Mars/X")
    assert result.exit_code == 8
    assert "the server does not accept the schedule of profile 42: schedule.timez" in result.stderr


@pytest.mark.parametrize("when", ["6:30", "mon", "mon 25:00", "someday 06:30"])
def test_a_time_that_is_none_is_refused_before_any_request(gate, when):
    result = gate("profiles", "schedule", "set", "42", "--at", when)
    assert result.exit_code == 64
    assert f"--at: '{when}'" in result.stderr or "is not a day" in result.stderr


def test_a_schedule_is_deleted_only_when_that_is_confirmed(gate, server):
    server.profile(schedule=WEEKLY)
    assert gate("profiles", "schedule", "delete", "42").exit_code == 64
    server.profile(schedule=WEEKLY).answer("DELETE", "/profiles/42/schedule", code=204, text="")
    result = gate("profiles", "schedule", "delete", "42", "--yes")
    assert result.stdout == "deleted the schedule of profile 42 (checkout)\n"


def test_what_the_server_refuses_is_said_and_nothing_is_changed(gate, server):
    server.profile(loop=True)
    reason = "schedule: a looping profile cannot be scheduled"
    server.error("PUT", "/profiles/42", 400, reason)
    result = gate("profiles", "schedule", "set", "42", "--at", "daily 06:30")
    assert result.exit_code == 8
    assert f"the server does not accept the schedule of profile 42: {reason}" in result.stderr
