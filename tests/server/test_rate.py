from tm_cli.server.web.guard import SlidingWindow


class Time:
    now = 100.0

    def __call__(self):
        return self.now


def test_the_budget_holds_for_any_sixty_seconds():
    time = Time()
    window = SlidingWindow(2, time)
    assert window.admit() is None
    time.now = 130.0
    assert window.admit() is None
    time.now = 159.5
    assert window.admit() == 1
    time.now = 160.0
    assert window.admit() is None
    assert window.admit() == 30


def test_refused_requests_do_not_prolong_the_wait():
    time = Time()
    window = SlidingWindow(1, time)
    window.admit()
    for second in range(1, 60):
        time.now = 100.0 + second
        assert window.admit() == 60 - second
    time.now = 160.0
    assert window.admit() is None
