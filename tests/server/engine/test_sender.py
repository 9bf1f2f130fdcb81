from collections import deque

from tm_cli.curve import Curve
from tm_cli.server.engine.recorder import Recorder
from tm_cli.server.engine.sender import Due, Sender


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
        self.recorder = Recorder(Curve([(0, 10)], 10))
        self.queue = FakeQueue()
        self.sender = Sender(
            self.queue,
            self.send,
            self.recorder,
            monotonic=lambda: self.now,
            patience=patience,
        )

    def send(self) -> int:
        self.now += 0.05
        return 200

    def serve(self) -> None:
        while self.queue.items:
            self.sender.serve_one(*self.queue.get())


def test_a_request_handed_over_is_sent_once_and_recorded() -> None:
    stage = Stage()
    stage.sender.hand_over(due=1000.0, now=1000.0)
    assert not stage.sender.is_idle
    stage.serve()
    assert stage.sender.is_idle
    assert (stage.recorder.sent, stage.recorder.completed) == (1, 1)


def test_waiting_for_a_slot_is_part_of_the_response_time() -> None:
    stage = Stage()
    for _ in range(10):
        stage.sender.hand_over(due=1000.0, now=1000.0)
    stage.serve()
    [bucket] = stage.recorder.news(0)
    assert bucket.service.get_max_value() < 51_000
    assert 499_000 < bucket.response.get_max_value() < 501_000


def test_what_waited_beyond_patience_is_given_up() -> None:
    stage = Stage(patience=0.12)
    for _ in range(10):
        stage.sender.hand_over(due=1000.0, now=1000.0)
    stage.serve()
    assert (stage.recorder.sent, stage.recorder.unsent) == (3, 7)


def test_what_still_waits_can_be_given_up() -> None:
    stage = Stage()
    stage.sender.hand_over(due=1000.0, now=1000.0)
    stage.sender.give_up_waiting()
    assert stage.sender.is_idle
    assert (stage.recorder.sent, stage.recorder.unsent) == (0, 1)


def test_the_dispatchers_lag_is_kept_for_the_report() -> None:
    stage = Stage()
    stage.sender.hand_over(due=1000.0, now=1000.25)
    assert stage.recorder.take_window().lags == [0.25]
