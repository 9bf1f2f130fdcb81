from collections import deque
from contextlib import suppress

import gevent
import pytest

from tm_cli.server.engine.recorder import Recorder
from tm_cli.server.engine.schedule import RequestPlan, Sides
from tm_cli.server.engine.sender import Due, Sender, SlotQueue
from tm_cli.server.engine.time_limit import TimeLimit
from tm_cli.values.load.curve import Curve


class FakeQueue:
    def __init__(self) -> None:
        self.items: deque[Due] = deque()

    def put(self, item: Due) -> None:
        self.items.append(item)

    def get(self) -> Due:
        return self.items.popleft()

    def empty(self) -> bool:
        return not self.items


class Stage:
    """A sender whose target takes 50 ms of fake time, and answers 200."""

    def __init__(self, patience: float = 10) -> None:
        self.now = 1000.0
        self.numbers: list[int] = []
        self.recorder = Recorder(RequestPlan(Curve([(0, 10)], 10)))
        self.due = 0
        self.queue = FakeQueue()
        self.sender = Sender(
            [self.queue],
            [self.send],
            self.recorder,
            monotonic=lambda: self.now,
            patience=patience,
        )

    def send(self, number: int) -> int:
        self.numbers.append(number)
        self.now += 0.05
        return 200

    def hand_over(self, due: float, now: float) -> None:
        bucket = self.recorder.claim(self.due, 0.0)
        self.sender.hand_over(bucket, due, now, self.due)
        self.due += 1

    def serve(self) -> None:
        while self.queue.items:
            self.sender.serve_one(*self.queue.get())


def test_a_request_handed_over_is_sent_once_and_recorded() -> None:
    stage = Stage()
    stage.hand_over(due=1000.0, now=1000.0)
    assert not stage.sender.is_idle
    stage.serve()
    assert stage.sender.is_idle
    assert (stage.recorder.sent, stage.recorder.completed) == (1, 1)


def test_waiting_for_a_slot_is_part_of_the_response_time() -> None:
    stage = Stage()
    for _ in range(10):
        stage.hand_over(due=1000.0, now=1000.0)
    stage.serve()
    [bucket] = stage.recorder.changed(0)
    assert bucket.service
    assert bucket.response
    assert bucket.service.get_max_value() < 51_000
    assert 499_000 < bucket.response.get_max_value() < 501_000


def test_a_client_is_told_the_number_of_the_request() -> None:
    stage = Stage()
    for _ in range(3):
        stage.hand_over(due=1000.0, now=1000.0)
    stage.serve()
    assert stage.numbers == [0, 1, 2]


def test_what_waited_beyond_patience_is_given_up() -> None:
    stage = Stage(patience=0.12)
    for _ in range(10):
        stage.hand_over(due=1000.0, now=1000.0)
    stage.serve()
    assert (stage.recorder.sent, stage.recorder.unsent) == (3, 7)


def test_what_still_waits_can_be_given_up() -> None:
    stage = Stage()
    stage.hand_over(due=1000.0, now=1000.0)
    stage.sender.give_up_waiting()
    assert stage.sender.is_idle
    assert (stage.recorder.sent, stage.recorder.unsent) == (0, 1)


def test_the_dispatchers_lag_is_kept_for_the_report() -> None:
    stage = Stage()
    stage.hand_over(due=1000.0, now=1000.25)
    assert stage.recorder.take_window().lags == [0.25]


def test_each_side_of_an_ab_run_has_its_own_queue_and_target() -> None:
    asked: list[int] = []
    sides = Sides(7)
    recorder = Recorder(RequestPlan(Curve([(0, 10)], 10), sides=sides))
    queues = [FakeQueue(), FakeQueue()]
    sender = Sender(
        queues,
        [lambda _: asked.append(0) or 200, lambda _: asked.append(1) or 200],
        recorder,
        monotonic=lambda: 1000.0,
        patience=1,
    )
    for number in range(10):
        sender.hand_over(recorder.claim(number, number / 10), 1000.0, 1000.0, number)
    assert [len(queue.items) for queue in queues] == [5, 5]
    for queue in queues:
        sender.serve_one(*queue.get())
    assert asked == [0, 1]
    sender.give_up_waiting()
    assert (sender.is_idle, recorder.unsent) == (True, 8)


class Slots:
    """Slots that take from a queue, until `cancel`, and tell which of them took what."""

    def __init__(self, queue: SlotQueue, count: int) -> None:
        self.taken: list[tuple[int, float]] = []
        self._queue = queue
        self.greenlets = [gevent.spawn(self._take, number) for number in range(count)]
        gevent.sleep(0)

    def _take(self, number: int) -> None:
        while True:
            self.taken.append((number, self._queue.get()[1]))


BUCKET = Recorder(RequestPlan(Curve([(0, 10)], 10))).claim(0, 0.0)


def test_every_request_is_taken_once_and_in_order() -> None:
    queue = SlotQueue()
    for due in (1.0, 2.0):
        queue.put((BUCKET, due))
    slots = Slots(queue, 3)
    for due in (3.0, 4.0, 5.0, 6.0, 7.0):
        queue.put((BUCKET, due))
    gevent.sleep(0)
    assert [due for _, due in slots.taken] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    assert queue.empty()
    gevent.killall(slots.greenlets)


def test_the_slot_that_was_busy_last_takes_the_next_request() -> None:
    queue = SlotQueue()
    slots = Slots(queue, 3)
    for due in range(3):
        queue.put((BUCKET, float(due)))
        gevent.sleep(0)
    assert len({number for number, _ in slots.taken}) == 1
    gevent.killall(slots.greenlets)


def test_a_slot_that_ends_takes_no_request_with_it() -> None:
    queue = SlotQueue()
    slots = Slots(queue, 2)
    queue.put((BUCKET, 1.0))
    gevent.killall(slots.greenlets[1:])
    queue.put((BUCKET, 2.0))
    gevent.sleep(0)
    assert [due for _, due in slots.taken] == [1.0, 2.0]
    gevent.killall(slots.greenlets)
    queue.put((BUCKET, 3.0))
    gevent.sleep(0)
    assert not queue.empty()


def test_a_block_ends_at_its_time_limit_and_no_other_one_does() -> None:
    limit = TimeLimit(0.02)
    ended: list[str] = []

    def wait(name: str, seconds: float, *, again: bool = False) -> None:
        try:
            with limit:
                gevent.sleep(seconds)
        except gevent.Timeout:
            ended.append(name)
        gevent.sleep(0.03)  # no limit holds here
        if again:
            wait(name, seconds)

    waits = [("long", 9.0, True), ("short", 0.0, False), ("as long", 9.0, False)]
    greenlets = [gevent.spawn(wait, name, left, again=again) for name, left, again in waits]
    gevent.joinall(greenlets, timeout=9, raise_error=True)
    assert ended == ["long", "as long", "long"]


def test_a_block_that_begins_as_another_one_ends_has_no_timer_of_its_own() -> None:
    limit = TimeLimit(0.2)
    loop = gevent.get_hub().loop

    def wait(pause: float, times: int) -> None:
        gevent.sleep(pause)
        for _ in range(times):
            with suppress(gevent.Timeout), limit:
                gevent.sleep(9)

    before = loop.activecnt
    greenlets = [gevent.spawn(wait, 0.0, 2), gevent.spawn(wait, 0.12, 1)]
    gevent.sleep(0.26)  # the first one has ended and begun again, the second one still waits
    timers = loop.activecnt - before
    gevent.joinall(greenlets, timeout=9, raise_error=True)
    assert timers == 2 + 1  # those of two sleeps, and one of the limit


def test_a_time_limit_leaves_errors_alone() -> None:
    with pytest.raises(KeyError), TimeLimit(9):
        raise KeyError
