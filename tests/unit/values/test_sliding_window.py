"""At most so many events in a minute, for the client's budget as for the server's limit."""

from tm_cli.values.sliding_window import SlidingWindow


class Time:
    now = 1000.0

    def __call__(self):
        return self.now


def filled(time, *, limit, at):
    window = SlidingWindow(limit, time)
    for moment in at:
        time.now = 1000.0 + moment
        window.count()
    return window


def test_events_fit_until_the_limit_and_again_when_the_first_is_a_minute_old():
    time = Time()
    window = filled(time, limit=2, at=(0.0, 10.0))
    assert window.delay() == 50.0
    time.now = 1059.5
    assert window.delay() == 0.5
    time.now = 1060.0
    assert window.delay() == 0.0


def test_burst_counts_as_spread_over_the_time():
    time = Time()
    window = SlidingWindow(3, time, seconds=60.0, evenly=True)
    moments = []
    for _ in range(6):
        time.now += window.delay()
        moments.append(time.now - 1000.0)
        window.count()
    assert moments == [0.0, 0.0, 0.0, 60.0, 80.0, 100.0]


def test_limit_may_change_at_any_time():
    time = Time()
    window = filled(time, limit=5, at=(0.0, 10.0, 20.0))
    assert window.delay() == 0.0
    window.limit = 1
    assert window.delay() == 60.0  # all three must be older than a minute
