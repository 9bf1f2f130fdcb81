"""How workers are led; time is a number here, and workers are what is said of them."""

from dataclasses import replace

import pytest

from tm_cli.server.engine.distributed.aggregate import WholePlan
from tm_cli.server.engine.distributed.coordinator import Coordinator, WorkerCommand
from tm_cli.server.engine.job import EngineJob
from tm_cli.server.engine.saturation import Flags
from tm_cli.server.workers.engine_events import (
    AddressCounts,
    EngineBucket,
    EngineFailed,
    EngineFinished,
    EnginePaused,
    EngineProgress,
    EngineReady,
    EngineResumed,
    EngineStarted,
    EngineWaiting,
    FollowUpCounts,
    RunNote,
    ScriptCounts,
    TransferCounts,
)

JOB = {
    "run_id": "r",
    "target_url": "http://127.0.0.1:1/",
    "points": [[0, 20], [30, 20]],
    "duration": 30.0,
    "interpolation": "LINEAR",
    "loop": False,
    "max_rps": None,
    "timeout": 10.0,
}


class Workers:
    """A coordinator whose workers report what the test says."""

    def __init__(self, *names, extra_time=0.0, **job):
        self.now = 100.0
        plan = WholePlan(EngineJob.parse({**JOB, **job}).plan)
        self.coordinator = Coordinator(
            names, plan, request_timeout=10.0, now=self.now, extra_time=extra_time
        )
        self.told = []

    def say(self, event, *workers):
        for worker in workers:
            self.coordinator.on_event(worker, event, self.now)
        return self

    def all_go(self):
        count = len(self.coordinator._workers)
        self.say(EngineReady(), *range(count)).say(EngineStarted(None), *range(count))
        self.commands()
        self.events()
        return self

    def wait(self, seconds, *, talking=(), start=0.0):
        """Let time pass as the group does, with these workers telling where they are."""
        for tick in range(round(seconds * 4)):
            self.now += 0.25
            if tick % 4 == 3:
                for worker in talking:
                    second = start + (tick + 1) / 4
                    self.say(EngineProgress(second, 10 * (tick + 1), Flags()), worker)
            self.coordinator.tick(self.now)
        return self

    def commands(self):
        commands, self.coordinator.commands = self.coordinator.commands, []
        return commands

    def events(self, kind=object):
        self.told += self.coordinator.events
        self.coordinator.events = []
        found = [event for event in self.told if isinstance(event, kind)]
        if kind is object:
            self.told = []
        return found

    def notes(self):
        return [note.text for note in self.events(RunNote)]


def line(index, count, completed=None):
    completed = count if completed is None else completed
    return EngineBucket(index, count, count, completed, codes={"200": completed})


def end(sent, *, completed=None, elapsed=30.0, is_complete=True):
    completed = sent if completed is None else completed
    return EngineFinished(is_complete, elapsed, sent, sent, completed, 0, Flags())


def test_no_worker_starts_before_all_are_ready():
    group = Workers("a", "b").say(EngineReady(), 0)
    assert group.commands() == []
    group.say(EngineReady(), 1)
    assert group.commands() == [WorkerCommand(0, "go"), WorkerCommand(1, "go")]


def test_who_is_not_ready_in_time_is_left_out_and_the_rest_share_everything():
    group = Workers("a", "b", "c").say(EngineReady(), 0, 2).wait(9.75)
    assert group.commands() == []
    group.wait(0.5)
    assert group.commands() == [
        WorkerCommand(1, "kill"),
        WorkerCommand(0, "share", {"index": 0, "count": 2, "from": 0.0}),
        WorkerCommand(2, "share", {"index": 1, "count": 2, "from": 0.0}),
        WorkerCommand(0, "go"),
        WorkerCommand(2, "go"),
    ]
    assert group.notes() == ["worker b did not take part: it was not ready within 10 s"]


def test_without_a_ready_worker_the_run_fails_with_the_reason():
    group = Workers("a", "b").say(EngineFailed("targetUrl cannot be used: 8.8.8.8 is public"), 0, 1)
    assert group.coordinator.is_over
    (failed,) = group.events(EngineFailed)
    assert failed.message == "no worker took part: targetUrl cannot be used: 8.8.8.8 is public"


def test_a_pause_asked_for_before_the_start_is_kept():
    group = Workers("a")
    group.coordinator.command("pause")
    assert group.commands() == []
    group.say(EngineReady(), 0)
    assert [command.command for command in group.commands()] == ["pause", "go"]


def test_renewed_values_reach_all_workers_and_none_before_the_start():
    group = Workers("a", "b")
    group.coordinator.renew({"=TOKEN": "old"})
    assert group.commands() == []
    group.say(EngineReady(), 0, 1)
    assert [command.command for command in group.commands()] == [*["renew"] * 2, *["go"] * 2]
    group.coordinator.renew({"=TOKEN": "new"})
    assert [command.details for command in group.commands()] == [{"values": {"=TOKEN": "new"}}] * 2


def test_a_stop_asked_for_before_the_start_ends_the_run():
    group = Workers("a", "b").say(EngineReady(), 0)
    group.coordinator.command("stop")
    assert group.coordinator.is_over
    (finished,) = group.events(EngineFinished)
    assert (finished.completed_curve, finished.planned, finished.sent) == (False, 0, 0)


def test_commands_go_to_all_who_are_left():
    group = Workers("a", "b", "c").all_go()
    group.coordinator.on_worker_lost(1, "gone", group.now)
    group.commands()
    group.coordinator.command("pause")
    group.coordinator.command("resume")
    assert [(order.worker, order.command) for order in group.commands()] == [
        (0, "pause"), (2, "pause"), (0, "resume"), (2, "resume"),
    ]  # fmt: skip


def test_the_start_is_reported_once():
    group = Workers("a", "b").say(EngineReady(), 0, 1).say(EngineStarted(None), 0, 1)
    assert len(group.events(EngineStarted)) == 1


def test_silence_is_noticed_within_4_seconds_and_the_share_moved_within_6():
    group = Workers("eu/a", "eu/b").all_go().wait(8, talking=(0, 1))
    began = group.now
    group.commands()
    while not (commands := group.commands()):
        group.wait(1, talking=(0,), start=8 + group.now - began)
    assert commands[0] == WorkerCommand(1, "kill")
    assert group.now - began <= 4
    (share,) = commands[1:]
    assert (share.worker, share.command) == (0, "share")
    assert (share.details["index"], share.details["count"]) == (0, 1)
    assert share.details["from"] <= 8 + 6
    (note,) = group.notes()
    assert note.startswith("worker eu/b was lost at second ")
    assert "its share moved to 1 other at second" in note


def test_a_change_of_shares_begins_a_second_after_the_furthest_worker():
    group = Workers("a", "b", "c").all_go()
    group.say(EngineProgress(9.5, 1, Flags()), 0).say(EngineProgress(10.0, 1, Flags()), 1)
    group.now += 0.2
    group.coordinator.on_worker_lost(2, "gone", group.now)
    shares = [order for order in group.commands() if order.command == "share"]
    assert [(order.worker, order.details) for order in shares] == [
        (0, {"index": 0, "count": 2, "from": 11.2}),
        (1, {"index": 1, "count": 2, "from": 11.2}),
    ]


def test_the_curve_stands_still_while_paused():
    group = Workers("a", "b").all_go().say(EngineProgress(5.0, 1, Flags()), 0, 1)
    group.coordinator.command("pause")
    group.say(EnginePaused(5.0), 0, 1).wait(2.5)
    group.coordinator.on_worker_lost(1, "gone", group.now)
    (share,) = (order for order in group.commands() if order.command == "share")
    assert share.details["from"] == 6.0
    group.coordinator.command("resume")
    group.say(EngineResumed(5.0), 0)
    group.now += 1
    assert group.coordinator._workers[0].second(group.now) == 6.0


def test_the_last_worker_may_be_silent_for_long():
    group = Workers("a", "b").all_go()
    group.coordinator.on_worker_lost(1, "gone", group.now)
    group.wait(30)
    assert not group.coordinator.is_over


def test_no_worker_is_lost_because_the_server_itself_was_held_up():
    group = Workers("a", "b").all_go()
    group.now += 60
    group.coordinator.tick(group.now)
    group.wait(2)
    assert group.notes() == []


def test_what_a_lost_worker_reported_before_counts_and_the_rest_is_shortfall():
    group = Workers("a", "b").all_go()
    group.say(line(0, 50), 0).say(line(0, 40, completed=39), 1)
    group.coordinator.on_worker_lost(1, "gone", group.now)
    group.say(line(1, 300), 0)
    group.say(end(350), 0)
    assert group.coordinator.is_over
    (finished,) = group.events(EngineFinished)
    assert finished.completed_curve
    assert (finished.planned, finished.sent, finished.completed) == (600, 390, 389)
    assert finished.shortfall == 210
    assert sum(bucket.completed for bucket in newest(group)) == 389


def test_requests_by_address_are_those_of_all_workers_even_a_lost_one():
    group = Workers("a", "b").all_go()
    group.say(AddressCounts(0, {"10.0.0.2": 1, "10.0.0.1": 2}), 0, 1)
    group.say(AddressCounts(0, {"10.0.0.2": 5, "10.0.0.1": 5}), 0)
    group.say(AddressCounts(1, {"10.0.0.9": 3}), 0)
    group.coordinator.on_worker_lost(1, "gone", group.now)
    group.say(end(350), 0)
    assert group.events(AddressCounts)[-2:] == [
        AddressCounts(0, {"10.0.0.1": 7, "10.0.0.2": 6}),
        AddressCounts(1, {"10.0.0.9": 3}),
    ]


def test_what_was_transferred_is_the_sum_of_all_workers():
    group = Workers("a", "b").all_go()
    group.say(TransferCounts(0, {"200": 50}, 1), 0, 1)
    group.say(TransferCounts(0, {"200": 70, "204": 0}, 2), 0)
    group.say(TransferCounts(1, {"200": 5}, 0), 0)
    group.coordinator.on_worker_lost(1, "gone", group.now)
    group.say(end(350), 0)
    assert group.events(TransferCounts)[-2:] == [
        TransferCounts(0, {"200": 120, "204": 0}, 3),
        TransferCounts(1, {"200": 5}, 0),
    ]


def test_calls_of_the_response_script_are_the_sum_of_all_workers():
    group = Workers("a", "b").all_go()
    requests = FollowUpCounts(3, 2, 1, 0, {"200": 1}, {"TimeoutError": 1}, ("x",))
    group.say(ScriptCounts(10, 2, 1, {"Error: no": 2}, ("line",), requests), 0, 1)
    group.say(ScriptCounts(20, 2, 1, {"Error: no": 1, "other": 1}, ("line",), requests), 0)
    group.coordinator.on_worker_lost(1, "gone", group.now)
    group.say(end(350), 0)
    both = FollowUpCounts(6, 4, 2, 0, {"200": 2}, {"TimeoutError": 2}, ("x", "x"))
    messages = {"Error: no": 3, "other": 1}
    assert group.events(ScriptCounts)[-1] == ScriptCounts(
        30, 4, 2, messages, ("line", "line"), both
    )


def test_what_a_worker_waits_for_is_what_the_run_waits_for():
    group = Workers("a", "b").say(EngineReady(), 0).say(EngineWaiting("nothing listens"), 1)
    assert group.events(EngineWaiting) == [EngineWaiting("nothing listens")]


def test_workers_that_wait_for_the_target_are_given_time():
    group = Workers("a", "b", extra_time=60.0)
    group.wait(65)
    assert group.notes() == []
    group.say(EngineReady(), 0, 1)
    assert [command.command for command in group.commands()] == ["go", "go"]


def test_a_worker_that_says_why_it_takes_longer_is_given_time():
    group = Workers("a", "b").say(EngineReady(), 0)
    for _ in range(6):
        group.wait(5).say(EngineWaiting("test_start takes its time"), 1)
    assert group.notes() == []
    group.wait(11)
    assert group.notes() == ["worker b did not take part: it was not ready within 10 s"]


def test_a_failure_of_the_whole_run_is_none_of_a_lost_worker():
    """A locustfile on one worker has declared the run a failure: its others may not pass it."""
    group = Workers("a", "b").all_go()
    group.say(end(300), 0).say(EngineFailed("shop.py has failed the run", ends_run=True), 1)
    assert group.coordinator.is_over
    assert group.notes() == []
    assert group.events(EngineFailed) == [EngineFailed("worker b: shop.py has failed the run")]
    assert group.events(EngineFinished) == []


def test_what_workers_note_about_the_load_is_told_once():
    group = Workers("a", "b").all_go()
    group.say(RunNote("too few senders: 40 %"), 0).say(RunNote("too few senders: 50 %"), 1)
    assert group.notes() == ["worker a: too few senders: 40 %"]


def test_a_worker_lost_before_a_pause_does_not_put_the_curve_forward():
    group = Workers("a", "b", "c").all_go().wait(2, talking=(0, 1, 2))
    group.coordinator.on_worker_lost(0, "gone", group.now)
    group.coordinator.command("pause")
    group.say(EnginePaused(2.0), 1, 2)
    for _ in range(20):
        group.now += 1
        for worker in (1, 2):
            group.coordinator.on_heartbeat(worker, group.now)
        group.coordinator.tick(group.now)
    group.coordinator.on_worker_lost(1, "gone", group.now)
    assert "its share moved to 1 other at second 3.0" in group.notes()[-1]


def newest(group):
    return {(bucket.index, bucket.side): bucket for bucket in group.events(EngineBucket)}.values()


def test_the_run_ends_when_the_last_one_does():
    group = Workers("a", "b").all_go()
    group.say(end(300), 0)
    assert not group.coordinator.is_over
    group.say(end(300, completed=299), 1)
    (finished,) = group.events(EngineFinished)
    assert (finished.sent, finished.completed, finished.shortfall) == (600, 599, 0)
    assert group.notes() == []


def test_nothing_is_promised_to_a_worker_lost_at_the_end():
    group = Workers("a", "b").all_go().say(end(300), 0).say(EngineProgress(29.5, 290, Flags()), 1)
    group.coordinator.on_worker_lost(1, "gone", group.now)
    assert [command.command for command in group.commands()] == ["kill"]
    assert group.notes() == [
        "worker b was lost at second 29.5 (gone); no other worker took over the rest of its share"
    ]
    (finished,) = group.events(EngineFinished)
    assert finished.completed_curve


def test_with_the_last_worker_the_run_is_lost():
    group = Workers("a", "b").all_go().say(line(0, 7), 0)
    group.coordinator.on_worker_lost(0, "gone", group.now)
    group.coordinator.on_worker_lost(1, "crashed", group.now)
    (failed,) = group.events(EngineFailed)
    assert failed.message == "all workers were lost, the last one: crashed"
    assert [bucket.sent for bucket in newest(group)] == [7]


def test_a_worker_that_ends_early_leaves_its_share_to_others():
    group = Workers("a", "b").all_go()
    group.say(end(40, elapsed=4.0, is_complete=False), 1)
    assert [command.command for command in group.commands()] == ["share"]
    group.say(end(500), 0)
    (finished,) = group.events(EngineFinished)
    assert (finished.sent, finished.completed_curve) == (540, True)


def test_all_workers_finish_at_one_second_and_nothing_more_is_planned():
    group = Workers("a", "b").all_go()
    group.coordinator.command("finish", at=12.0)
    assert [(order.worker, order.command, order.details) for order in group.commands()] == [
        (0, "finish", {"at": 12.0}),
        (1, "finish", {"at": 12.0}),
    ]
    group.say(line(2, 20), 0, 1).say(end(120, elapsed=12.0), 0, 1)
    (finished,) = group.events(EngineFinished)
    assert (finished.completed_curve, finished.elapsed) == (True, 12.0)
    assert (finished.planned, finished.sent, finished.shortfall) == (240, 240, 0)
    assert group.notes() == []


def test_a_worker_lost_after_the_early_end_was_announced_gives_its_share_to_the_others():
    group = Workers("a", "b").all_go().say(EngineProgress(8.0, 80, Flags()), 0, 1)
    group.coordinator.command("finish", at=12.0)
    group.commands()
    group.coordinator.on_worker_lost(1, "gone", group.now)
    assert [command.command for command in group.commands()] == ["kill", "share"]


def test_a_stopped_run_is_not_complete():
    group = Workers("a", "b").all_go()
    group.coordinator.command("stop")
    group.say(end(40, elapsed=4.0, is_complete=False), 0, 1)
    (finished,) = group.events(EngineFinished)
    assert (finished.completed_curve, finished.elapsed, finished.sent) == (False, 4.0, 80)
    assert group.notes() == []


def test_buckets_and_progress_are_reported_about_once_a_second():
    group = Workers("a", "b").all_go()
    for _ in range(8):
        group.say(line(0, 5), 0, 1).wait(0.5)
    assert 3 <= len(group.events(EngineProgress)) <= 5
    assert {bucket.sent for bucket in group.events(EngineBucket)} == {10}
    assert {bucket.planned for bucket in group.events(EngineBucket)} == {100}


@pytest.mark.parametrize("name", ["generator_saturated", "downstream_saturated", "flaky_dispatch"])
def test_a_flag_of_one_worker_is_a_flag_of_the_run(name):
    group = Workers("a", "b").all_go()
    group.say(EngineProgress(1.0, 1, Flags(**{name: True})), 1).wait(1)
    assert group.events(EngineProgress)[-1].flags == Flags(**{name: True})
    group.coordinator.on_worker_lost(1, "gone", group.now)
    group.say(end(600), 0)
    assert group.events(EngineFinished)[0].flags == Flags(**{name: True})


def test_a_lost_worker_has_no_say_any_more_but_its_results_count():
    group = Workers("a", "b").all_go()
    group.coordinator.on_worker_lost(1, "gone", group.now)
    group.say(EngineFailed("too late"), 1).say(line(0, 9), 1).say(end(400), 0)
    assert group.events(EngineFailed) == []
    assert group.events(EngineFinished)[0].sent == 409


def test_a_long_run_keeps_only_its_recent_buckets():
    group = Workers("a", "b", points=[[0, 1]], duration=10_000.0).all_go()
    for index in range(200):
        second = index * 5.0
        group.say(line(index, 2), 0, 1).say(EngineProgress(second, 1, Flags()), 0, 1)
        group.now += 1
        group.coordinator.tick(group.now)
    assert len(group.coordinator._aggregate._merge._lines) < 12
    assert len(newest(group)) == 200


def test_the_pressure_of_the_run_is_that_of_the_busiest_machine():
    group = Workers("a", "b", "c").all_go()
    for worker, pressure in enumerate((0.1, 0.4, None)):
        group.say(replace(end(350), cpu_pressure=pressure), worker)
    assert group.events(EngineFinished)[-1].cpu_pressure == 0.4
