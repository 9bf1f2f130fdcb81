"""What a visitor of each kind of User class plays."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
pytestmark = pytest.mark.process


def play(file, **reference):
    command = [sys.executable, "-m", f"{__package__}.play_classes", str(HERE / file)]
    done = subprocess.run(
        [*command, json.dumps(reference)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.fixture(scope="module")
def everything():
    return play("every_kind.py")


@pytest.mark.parametrize(
    ("name", "result", "steps"),
    [
        ("OneTask", 200, "start task stop"),
        ("InOrder", 200, "start enter first second second leave stop"),
        ("NeverInterrupts", 200, "start look stop"),
        ("InterruptsItself", 200, "start look look look stop"),
        ("Nested", 200, "start enter first second second leave look stop"),
        ("Fails", "LocustfileError KeyError", "start task stop"),
        ("FailsInTaskSet", "LocustfileError ValueError", "start stop"),
        ("FailsOnStart", "LocustfileError RuntimeError", ""),
        ("Stops", 200, "start stop"),
        ("StopsOnStart", 200, ""),
        ("Reschedules", 200, "start stop"),
        ("TakesTooLong", "JourneyTimeout", "start"),
        ("SecondError", "a: OSError", "start a b stop"),
        ("InAnotherGreenlet", 200, "start child stop"),
        ("WithoutContext", 200, "start task stop"),
        ("OwnContext", 200, "start task stop"),
        (
            "Named",
            "/login?token=${TOKEN}: CheckFailed ${TOKEN} bad",
            "start /login?token=${TOKEN} stop",
        ),
        ("Echoes", f"echo: CheckFailed {'x' * 72}${{TOKEN}}", "start echo stop"),
    ],
)
def test_a_visitor_plays_one_task_to_its_end(everything, name, result, steps):
    found, _, played = everything[0]["classes"][name]
    assert (found, " ".join(step for step, _, _ in played)) == (result, steps)


def test_a_listener_that_ends_the_visit_takes_no_request_away(everything):
    result, _, steps = everything[0]["classes"]["Leaves"]
    assert (result, [step for step, _, _ in steps]) == (200, ["start", "leave now", "stop"])


@pytest.mark.parametrize(
    ("name", "waits", "each"),
    [("OneTask", 0, 0.02), ("InOrder", 2, 0.02), ("InterruptsItself", 2, 0.02), ("Waits", 1, 0.05)],
)
def test_think_time_is_what_waits_take_and_none_comes_after_the_last_task(
    everything, name, waits, each
):
    thinking = everything[0]["classes"][name][1]
    assert waits * each <= thinking <= waits * each + 0.5 * bool(waits)


def test_a_step_has_the_time_of_its_request_event(everything):
    _, _, steps = everything[0]["classes"]["OneTask"]
    assert [seconds for _, seconds, _ in steps] == [0.01, 0.01, 0.01]


def test_the_events_of_the_file_are_fired_once(everything):
    host = "http://127.0.0.1:9/base"
    expected = [f"init {host}", f"test_start {host} own default", "test_stop"]
    assert everything[0]["heard"] == expected


def test_what_the_file_raises_is_logged_with_its_line_and_without_our_frames(everything):
    assert "every_kind.py: line " in everything[1]
    assert "KeyError: ('token', '${TOKEN}')" in everything[1]
    assert "secret-value" not in everything[1]
    assert "visits.py" not in everything[1].partition("ValueError")[0]


def test_what_locust_keeps_of_a_long_run_is_bounded_and_its_totals_are_whole(everything):
    counted, names, errors, seconds = everything[0]["bounded"]
    assert counted == 2001
    assert (names, errors) == (1, 0)
    assert seconds <= 62


def test_a_class_without_weight_is_not_played(everything):
    assert "Rare" not in everything[0]["classes"]


def test_classes_and_tags_are_chosen_by_the_profile():
    found, _ = play("every_kind.py", classes=["Tagged"], tags=["keep"])
    [[result, _, steps]] = found["classes"].values()
    assert (result, [step for step, _, _ in steps]) == (200, ["start", "kept", "stop"])
