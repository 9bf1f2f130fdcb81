import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm_cli.server.engine.dispatcher import Dispatcher, RunClock
from tm_cli.server.engine.schedule import WHOLE, RequestPlan, Share
from tm_cli.values.load.curve import Curve


class Stage:
    """A dispatcher in fake time: sleeping moves the time on, and triggers what is planned."""

    def __init__(self, curve: Curve, share: Share = WHOLE) -> None:
        self.now = 1000.0
        self.handed_over: list[float] = []
        self.agenda: list[tuple[float, Callable[[], None]]] = []
        self.yields = 0
        self.paused_for = 5.0
        self.claimed: list[tuple[int, float]] = []
        self.clock = RunClock(lambda: self.now)
        self.clock.start()
        self.plan = RequestPlan(curve, share)
        self.dispatcher = Dispatcher(
            self.plan,
            self.clock,
            self.claim,
            self.hand_over,
            monotonic=lambda: self.now,
            sleep=self.sleep,
            while_paused=self.while_paused,
        )

    def claim(self, number: int, second: float) -> int:
        assert second - self.clock.elapsed() <= 0.25 + 1e-9
        self.claimed.append((number, second))
        return number

    def hand_over(self, place: int, due: float, now: float, number: int) -> None:
        assert now >= due
        assert place == number == self.claimed[-1][0]
        self.handed_over.append(due - 1000)

    def sleep(self, seconds: float) -> None:
        self.yields += seconds == 0
        # too short a time to show in a float passes all the same
        self.now = max(self.now + seconds, math.nextafter(self.now, math.inf))
        while self.agenda and self.agenda[0][0] <= self.now - 1000:
            self.agenda.pop(0)[1]()

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
    stage.agenda = [(1.0, stage.clock.pause)]
    stage.dispatcher.run()
    assert stage.handed_over == pytest.approx([0.25, 0.75, 6.25, 6.75, 7.25, 7.75])


def test_stop_ends_the_walk_at_once() -> None:
    stage = Stage(Curve([(0, 2)], 3))
    stage.agenda = [(1.0, stage.dispatcher.stop)]
    assert stage.dispatcher.run() is False
    assert stage.handed_over == pytest.approx([0.25, 0.75])
    assert stage.now == pytest.approx(1001, abs=0.06)


def test_stop_ends_a_loop() -> None:
    stage = Stage(Curve([(0, 1)], 1, loop=True))
    stage.agenda = [(10.0, stage.dispatcher.stop)]
    assert stage.dispatcher.run() is False
    assert len(stage.handed_over) == 10


def test_a_silent_loop_lasts_until_stopped() -> None:
    stage = Stage(Curve([(0, 0)], 1, loop=True))
    stage.agenda = [(10.0, stage.dispatcher.stop)]
    assert stage.dispatcher.run() is False
    assert stage.now >= 1010


def test_when_late_the_senders_still_get_their_turn() -> None:
    stage = Stage(Curve([(0, 100)], 1))
    stage.now += 10
    stage.dispatcher.run()
    assert len(stage.handed_over) == 100
    assert stage.yields == 100 // 16


def test_only_our_share_is_handed_over() -> None:
    stage = Stage(Curve([(0, 2)], 3), Share(1, 3))
    assert stage.dispatcher.run() is True
    assert stage.handed_over == pytest.approx([0.75, 2.25])
    assert stage.now == pytest.approx(1003)


def test_a_share_changes_in_time() -> None:
    stage = Stage(Curve([(0, 2)], 6), Share(0, 2))
    stage.agenda = [(1.5, lambda: stage.plan.change(WHOLE, 3.0))]
    stage.dispatcher.run()
    assert stage.handed_over == pytest.approx([0.25, 1.25, 2.25, *(3.25 + k / 2 for k in range(6))])


def test_a_change_that_comes_late_counts_from_what_is_undecided() -> None:
    stage = Stage(Curve([(0, 2)], 6), Share(0, 2))
    stage.agenda = [(3.3, lambda: stage.plan.change(WHOLE, 1.0))]
    stage.dispatcher.run()
    # at 3.3, the request of 3.75 is more than a quarter of a second ahead
    assert stage.handed_over == pytest.approx(
        [0.25, 1.25, 2.25, 3.25, *(3.75 + k / 2 for k in range(5))]
    )


def test_what_others_send_does_not_keep_the_senders_from_their_turn() -> None:
    stage = Stage(Curve([(0, 100)], 1), Share(0, 50))
    stage.now += 10
    stage.dispatcher.run()
    assert len(stage.handed_over) == 2
    assert stage.yields == 100 // 16


@given(st.lists(st.floats(0, 9), max_size=3), st.floats(0.5, 9), st.integers(1, 4))
def test_workers_who_pause_and_change_shares_send_everything_exactly_once(
    pauses: list[float], change: float, count: int
) -> None:
    numbers: list[int] = []
    for index in range(count):
        stage = Stage(Curve([(0, 5), (5, 30), (10, 5)], 10), Share(index, count))
        later = Share((index + 1) % count, count)
        stage.agenda = [(0.0, lambda stage=stage, later=later: stage.plan.change(later, change))]
        # the workers hear of a pause at different moments
        stage.agenda += [(at + 0.01 * index, stage.clock.pause) for at in sorted(pauses)]
        assert stage.dispatcher.run()
        numbers += [number for number, _ in stage.claimed]
    assert sorted(numbers) == list(range(stage.plan.curve.planned_before(10)))


@pytest.mark.parametrize("rate", [0, 2, 400])
def test_a_curve_that_is_cut_short_ends_there_with_all_that_was_due(rate: int) -> None:
    stage = Stage(Curve([(0, rate)], 60))

    def finish() -> None:
        stage.plan.finish(20.0)
        stage.dispatcher.finish(20.0)

    stage.agenda = [(18.5, finish)]
    assert stage.dispatcher.run() is True
    assert stage.now == pytest.approx(1020, abs=0.01)
    assert len(stage.handed_over) == stage.plan.planned_before(60) == 20 * rate
    assert stage.dispatcher.end == 20.0
