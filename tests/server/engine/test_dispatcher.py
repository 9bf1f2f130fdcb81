from collections.abc import Callable

import pytest

from tm_cli.curve import Curve
from tm_cli.server.engine.dispatcher import Dispatcher
from tm_cli.server.engine.run_clock import RunClock


class Stage:
    """A dispatcher in fake time: sleeping moves the time on, and triggers what is planned."""

    def __init__(self, curve: Curve) -> None:
        self.now = 1000.0
        self.handed_over: list[float] = []
        self.plan: list[tuple[float, Callable[[], None]]] = []
        self.yields = 0
        self.paused_for = 5.0
        self.clock = RunClock(lambda: self.now)
        self.dispatcher = Dispatcher(
            curve,
            self.clock,
            self.hand_over,
            monotonic=lambda: self.now,
            sleep=self.sleep,
            while_paused=self.while_paused,
        )

    def hand_over(self, due: float, now: float) -> None:
        assert now >= due
        self.handed_over.append(due - 1000)

    def sleep(self, seconds: float) -> None:
        self.yields += seconds == 0
        self.now += seconds
        while self.plan and self.plan[0][0] <= self.now - 1000:
            self.plan.pop(0)[1]()

    def while_paused(self) -> None:
        self.now += self.paused_for
        self.clock.resume()


def test_everything_is_handed_over_when_due() -> None:
    stage = Stage(Curve([(0, 2)], 3))
    assert stage.dispatcher.run() is True
    assert stage.handed_over == pytest.approx([0.25, 0.75, 1.25, 1.75, 2.25, 2.75])
    assert stage.now == pytest.approx(1003)


def test_a_silent_curve_still_takes_its_time() -> None:
    stage = Stage(Curve([(0, 0)], 3))
    assert stage.dispatcher.run() is True
    assert stage.now == pytest.approx(1003)


def test_a_pause_delays_what_follows_and_loses_nothing() -> None:
    stage = Stage(Curve([(0, 2)], 3))
    stage.plan = [(1.0, stage.clock.pause)]
    stage.dispatcher.run()
    assert stage.handed_over == pytest.approx([0.25, 0.75, 6.25, 6.75, 7.25, 7.75])


def test_stop_ends_the_walk_at_once() -> None:
    stage = Stage(Curve([(0, 2)], 3))
    stage.plan = [(1.0, stage.dispatcher.stop)]
    assert stage.dispatcher.run() is False
    assert stage.handed_over == pytest.approx([0.25, 0.75])
    assert stage.now == pytest.approx(1001, abs=0.06)


def test_stop_ends_a_loop() -> None:
    stage = Stage(Curve([(0, 1)], 1, loop=True))
    stage.plan = [(10.0, stage.dispatcher.stop)]
    assert stage.dispatcher.run() is False
    assert len(stage.handed_over) == 10


def test_a_silent_loop_lasts_until_stopped() -> None:
    stage = Stage(Curve([(0, 0)], 1, loop=True))
    stage.plan = [(10.0, stage.dispatcher.stop)]
    assert stage.dispatcher.run() is False
    assert stage.now >= 1010


def test_when_late_the_senders_still_get_their_turn() -> None:
    stage = Stage(Curve([(0, 100)], 1))
    stage.now += 10
    stage.dispatcher.run()
    assert len(stage.handed_over) == 100
    assert stage.yields == 100 // 16
