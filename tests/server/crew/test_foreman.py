"""How workers are led; time is a number here, and workers are what is said of them."""

import pytest

from tm_cli.server.workers.aggregate import WholePlan
from tm_cli.server.workers.coordinator import Foreman, Order
from tm_cli.server.workers.engine_events import (
    Addresses,
    Bucket,
    Failed,
    Finished,
    Flags,
    Note,
    Paused,
    Progress,
    Ready,
    Resumed,
    Started,
)

JOB = {
    "points": [[0, 20], [30, 20]],
    "duration": 30.0,
    "interpolation": "LINEAR",
    "loop": False,
    "max_rps": None,
    "timeout": 10.0,
}


class Crew:
    """A foreman with workers that say what they are told to."""

    def __init__(self, *names, **job):
        self.now = 100.0
        plan = WholePlan({**JOB, **job})
        self.foreman = Foreman(names, plan, request_timeout=10.0, now=self.now)
        self.told = []

    def say(self, event, *workers):
        for worker in workers:
            self.foreman.hear(worker, event, self.now)
        return self

    def all_go(self):
        count = len(self.foreman._members)
        self.say(Ready(), *range(count)).say(Started(None), *range(count))
        self.orders()
        self.events()
        return self

    def wait(self, seconds, *, talking=(), start=0.0):
        """Let time pass as the crew does, with these workers telling where they are."""
        for tick in range(round(seconds * 4)):
            self.now += 0.25
            if tick % 4 == 3:
                for worker in talking:
                    second = start + (tick + 1) / 4
                    self.say(Progress(second, 10 * (tick + 1), Flags()), worker)
            self.foreman.look(self.now)
        return self

    def orders(self):
        orders, self.foreman.orders = self.foreman.orders, []
        return orders

    def events(self, kind=object):
        self.told += self.foreman.events
        self.foreman.events = []
        found = [event for event in self.told if isinstance(event, kind)]
        if kind is object:
            self.told = []
        return found

    def notes(self):
        return [note.text for note in self.events(Note)]


def line(index, count, completed=None):
    completed = count if completed is None else completed
    return Bucket(index, count, count, completed, codes={"200": completed})


def end(sent, *, completed=None, elapsed=30.0, is_complete=True):
    completed = sent if completed is None else completed
    return Finished(is_complete, elapsed, sent, sent, completed, 0, Flags())


def test_nobody_goes_before_all_are_ready():
    crew = Crew("a", "b").say(Ready(), 0)
    assert crew.orders() == []
    crew.say(Ready(), 1)
    assert crew.orders() == [Order(0, "go"), Order(1, "go")]


def test_who_is_not_ready_in_time_is_left_out_and_the_rest_share_everything():
    crew = Crew("a", "b", "c").say(Ready(), 0, 2).wait(9.75)
    assert crew.orders() == []
    crew.wait(0.5)
    assert crew.orders() == [
        Order(1, "kill"),
        Order(0, "share", {"index": 0, "count": 2, "from": 0.0}),
        Order(2, "share", {"index": 1, "count": 2, "from": 0.0}),
        Order(0, "go"),
        Order(2, "go"),
    ]
    assert crew.notes() == ["worker b did not take part: it was not ready within 10 s"]


def test_without_anybody_ready_the_run_fails_with_the_reason():
    crew = Crew("a", "b").say(Failed("targetUrl cannot be used: 8.8.8.8 is public"), 0, 1)
    assert crew.foreman.is_over
    (failed,) = crew.events(Failed)
    assert failed.message == "no worker took part: targetUrl cannot be used: 8.8.8.8 is public"


def test_a_pause_asked_for_before_the_start_is_kept():
    crew = Crew("a")
    crew.foreman.order("pause")
    assert crew.orders() == []
    crew.say(Ready(), 0)
    assert [order.command for order in crew.orders()] == ["pause", "go"]


def test_a_stop_asked_for_before_the_start_ends_the_run():
    crew = Crew("a", "b").say(Ready(), 0)
    crew.foreman.order("stop")
    assert crew.foreman.is_over
    (finished,) = crew.events(Finished)
    assert (finished.completed_curve, finished.planned, finished.sent) == (False, 0, 0)


def test_commands_go_to_all_who_are_left():
    crew = Crew("a", "b", "c").all_go()
    crew.foreman.lose(1, "gone", crew.now)
    crew.orders()
    crew.foreman.order("pause")
    crew.foreman.order("resume")
    assert [(order.worker, order.command) for order in crew.orders()] == [
        (0, "pause"), (2, "pause"), (0, "resume"), (2, "resume"),
    ]  # fmt: skip


def test_the_start_is_told_once():
    crew = Crew("a", "b").say(Ready(), 0, 1).say(Started(None), 0, 1)
    assert len(crew.events(Started)) == 1


def test_silence_is_noticed_within_4_seconds_and_the_share_moved_within_6():
    crew = Crew("eu/a", "eu/b").all_go().wait(8, talking=(0, 1))
    began = crew.now
    crew.orders()
    while not (orders := crew.orders()):
        crew.wait(1, talking=(0,), start=8 + crew.now - began)
    assert orders[0] == Order(1, "kill")
    assert crew.now - began <= 4
    (share,) = orders[1:]
    assert (share.worker, share.command) == (0, "share")
    assert (share.details["index"], share.details["count"]) == (0, 1)
    assert share.details["from"] <= 8 + 6
    (note,) = crew.notes()
    assert note.startswith("worker eu/b was lost at second ")
    assert "its share moved to 1 other at second" in note


def test_a_change_of_shares_begins_a_second_after_the_furthest_worker():
    crew = Crew("a", "b", "c").all_go()
    crew.say(Progress(9.5, 1, Flags()), 0).say(Progress(10.0, 1, Flags()), 1)
    crew.now += 0.2
    crew.foreman.lose(2, "gone", crew.now)
    shares = [order for order in crew.orders() if order.command == "share"]
    assert [(order.worker, order.details) for order in shares] == [
        (0, {"index": 0, "count": 2, "from": 11.2}),
        (1, {"index": 1, "count": 2, "from": 11.2}),
    ]


def test_the_curve_stands_still_while_paused():
    crew = Crew("a", "b").all_go().say(Progress(5.0, 1, Flags()), 0, 1)
    crew.foreman.order("pause")
    crew.say(Paused(5.0), 0, 1).wait(2.5)
    crew.foreman.lose(1, "gone", crew.now)
    (share,) = (order for order in crew.orders() if order.command == "share")
    assert share.details["from"] == 6.0
    crew.foreman.order("resume")
    crew.say(Resumed(5.0), 0)
    crew.now += 1
    assert crew.foreman._members[0].second(crew.now) == 6.0


def test_the_last_worker_may_be_silent_for_long():
    crew = Crew("a", "b").all_go()
    crew.foreman.lose(1, "gone", crew.now)
    crew.wait(30)
    assert not crew.foreman.is_over


def test_nobody_is_lost_because_the_server_itself_was_held_up():
    crew = Crew("a", "b").all_go()
    crew.now += 60
    crew.foreman.look(crew.now)
    crew.wait(2)
    assert crew.notes() == []


def test_what_a_lost_worker_told_before_counts_and_the_rest_is_shortfall():
    crew = Crew("a", "b").all_go()
    crew.say(line(0, 50), 0).say(line(0, 40, completed=39), 1)
    crew.foreman.lose(1, "gone", crew.now)
    crew.say(line(1, 300), 0)
    crew.say(end(350), 0)
    assert crew.foreman.is_over
    (finished,) = crew.events(Finished)
    assert finished.completed_curve
    assert (finished.planned, finished.sent, finished.completed) == (600, 390, 389)
    assert finished.shortfall == 210
    assert sum(bucket.completed for bucket in newest(crew)) == 389


def test_requests_by_address_are_those_of_all_workers_even_a_lost_one():
    crew = Crew("a", "b").all_go()
    crew.say(Addresses(0, {"10.0.0.2": 1, "10.0.0.1": 2}), 0, 1)
    crew.say(Addresses(0, {"10.0.0.2": 5, "10.0.0.1": 5}), 0)
    crew.say(Addresses(1, {"10.0.0.9": 3}), 0)
    crew.foreman.lose(1, "gone", crew.now)
    crew.say(end(350), 0)
    assert crew.events(Addresses)[-2:] == [
        Addresses(0, {"10.0.0.1": 7, "10.0.0.2": 6}),
        Addresses(1, {"10.0.0.9": 3}),
    ]


def newest(crew):
    return {(bucket.index, bucket.side): bucket for bucket in crew.events(Bucket)}.values()


def test_the_run_ends_when_the_last_one_does():
    crew = Crew("a", "b").all_go()
    crew.say(end(300), 0)
    assert not crew.foreman.is_over
    crew.say(end(300, completed=299), 1)
    (finished,) = crew.events(Finished)
    assert (finished.sent, finished.completed, finished.shortfall) == (600, 599, 0)
    assert crew.notes() == []


def test_nothing_is_promised_to_a_worker_lost_at_the_end():
    crew = Crew("a", "b").all_go().say(end(300), 0).say(Progress(29.5, 290, Flags()), 1)
    crew.foreman.lose(1, "gone", crew.now)
    assert [order.command for order in crew.orders()] == ["kill"]
    assert crew.notes() == [
        "worker b was lost at second 29.5 (gone); nobody took over what was left of its share"
    ]
    (finished,) = crew.events(Finished)
    assert finished.completed_curve


def test_with_the_last_worker_the_run_is_lost():
    crew = Crew("a", "b").all_go().say(line(0, 7), 0)
    crew.foreman.lose(0, "gone", crew.now)
    crew.foreman.lose(1, "crashed", crew.now)
    (failed,) = crew.events(Failed)
    assert failed.message == "all workers were lost, the last one: crashed"
    assert [bucket.sent for bucket in newest(crew)] == [7]


def test_a_worker_that_ends_early_leaves_its_share_to_others():
    crew = Crew("a", "b").all_go()
    crew.say(end(40, elapsed=4.0, is_complete=False), 1)
    assert [order.command for order in crew.orders()] == ["share"]
    crew.say(end(500), 0)
    (finished,) = crew.events(Finished)
    assert (finished.sent, finished.completed_curve) == (540, True)


def test_a_stopped_run_is_not_complete():
    crew = Crew("a", "b").all_go()
    crew.foreman.order("stop")
    crew.say(end(40, elapsed=4.0, is_complete=False), 0, 1)
    (finished,) = crew.events(Finished)
    assert (finished.completed_curve, finished.elapsed, finished.sent) == (False, 4.0, 80)
    assert crew.notes() == []


def test_buckets_and_progress_are_told_about_once_a_second():
    crew = Crew("a", "b").all_go()
    for _ in range(8):
        crew.say(line(0, 5), 0, 1).wait(0.5)
    assert 3 <= len(crew.events(Progress)) <= 5
    assert {bucket.sent for bucket in crew.events(Bucket)} == {10}
    assert {bucket.planned for bucket in crew.events(Bucket)} == {100}


@pytest.mark.parametrize("name", ["generator_saturated", "downstream_saturated", "flaky_dispatch"])
def test_a_flag_of_one_worker_is_a_flag_of_the_run(name):
    crew = Crew("a", "b").all_go()
    crew.say(Progress(1.0, 1, Flags(**{name: True})), 1).wait(1)
    assert crew.events(Progress)[-1].flags == Flags(**{name: True})
    crew.foreman.lose(1, "gone", crew.now)
    crew.say(end(600), 0)
    assert crew.events(Finished)[0].flags == Flags(**{name: True})


def test_a_lost_worker_has_no_say_any_more_but_its_results_count():
    crew = Crew("a", "b").all_go()
    crew.foreman.lose(1, "gone", crew.now)
    crew.say(Failed("too late"), 1).say(line(0, 9), 1).say(end(400), 0)
    assert crew.events(Failed) == []
    assert crew.events(Finished)[0].sent == 409


def test_a_long_run_keeps_only_its_recent_buckets():
    crew = Crew("a", "b", points=[[0, 1]], duration=10_000.0).all_go()
    for index in range(200):
        second = index * 5.0
        crew.say(line(index, 2), 0, 1).say(Progress(second, 1, Flags()), 0, 1)
        crew.now += 1
        crew.foreman.look(crew.now)
    assert len(crew.foreman._ledger._merge._lines) < 12
    assert len(newest(crew)) == 200
