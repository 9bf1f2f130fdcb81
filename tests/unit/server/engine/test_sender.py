from collections import deque

from tm_cli.server.engine.recorder import Recorder
from tm_cli.server.engine.schedule import RequestPlan, Sides
from tm_cli.server.engine.sender import Due, Sender
from tm_cli.values.load_curve import Curve


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
