from hypothesis import given
from hypothesis import strategies as st

from tm_cli.server.engine.dispatcher import RunClock


class FakeMonotonic:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def started(time: FakeMonotonic, lead: float = 0) -> RunClock:
    clock = RunClock(time)
    clock.start(lead)
    return clock


def test_time_does_not_pass_before_the_start() -> None:
    time = FakeMonotonic()
    clock = RunClock(time)
    time.now += 5
    assert clock.elapsed() == 0
    clock.start()
    time.now += 1
    assert clock.elapsed() == 1


def test_a_clock_paused_before_its_start_starts_when_resumed() -> None:
    time = FakeMonotonic()
    clock = RunClock(time)
    clock.pause()
    time.now += 5
    clock.start(lead=0.5)
    time.now += 5
    assert clock.elapsed() == 0
    clock.resume()
    time.now += 1.5
    assert clock.elapsed() == 1


def test_a_clock_stopped_before_its_start_stands_at_zero() -> None:
    clock = RunClock(FakeMonotonic())
    clock.stop()
    assert clock.elapsed() == 0


def test_second_zero_comes_after_the_lead() -> None:
    time = FakeMonotonic()
    clock = started(time, lead=0.5)
    time.now += 0.25
    assert clock.elapsed() == 0
    time.now += 1.25
    assert clock.elapsed() == 1.0


def test_a_pause_holds_curve_time_and_shifts_what_follows() -> None:
    time = FakeMonotonic()
    clock = started(time)
    time.now += 2
    clock.pause()
    time.now += 10
    assert (clock.elapsed(), clock.is_paused) == (2, True)
    clock.resume()
    time.now += 1
    assert (clock.elapsed(), clock.is_paused) == (3, False)
    assert clock.instant(3) == time.now


def test_pausing_twice_and_resuming_twice_change_nothing() -> None:
    time = FakeMonotonic()
    clock = started(time)
    time.now += 1
    clock.pause()
    time.now += 1
    clock.pause()
    clock.resume()
    clock.resume()
    assert clock.elapsed() == 1


def test_a_stopped_clock_cannot_be_resumed() -> None:
    time = FakeMonotonic()
    clock = started(time)
    time.now += 1
    clock.stop()
    time.now += 1
    clock.resume()
    assert clock.elapsed() == 1


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100))))
def test_elapsed_is_the_sum_of_the_running_spans(spans: list[tuple[float, float]]) -> None:
    time = FakeMonotonic()
    clock = started(time)
    for running, paused in spans:
        time.now += running
        clock.pause()
        time.now += paused
        clock.resume()
    assert abs(clock.elapsed() - sum(running for running, _ in spans)) < 1e-6
