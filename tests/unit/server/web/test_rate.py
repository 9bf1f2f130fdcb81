from tm_cli.values.sliding_window import SlidingWindow


class Time:
    now = 100.0

    def __call__(self):
        return self.now


def admit(window):
    """Count a request and return None, or return the seconds to wait."""
    if delay := window.delay():
        return delay
    return window.count()


def test_the_budget_holds_for_any_sixty_seconds():
    time = Time()
    window = SlidingWindow(2, time)
    assert admit(window) is None
    time.now = 130.0
    assert admit(window) is None
    time.now = 159.5
    assert admit(window) == 0.5
    time.now = 160.0
    assert admit(window) is None
    assert admit(window) == 30


def test_refused_requests_do_not_prolong_the_wait():
    time = Time()
    window = SlidingWindow(1, time)
    admit(window)
    for second in range(1, 60):
        time.now = 100.0 + second
        assert admit(window) == 60 - second
    time.now = 160.0
    assert admit(window) is None
