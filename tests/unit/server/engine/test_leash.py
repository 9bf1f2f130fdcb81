from tm_cli.server.engine.protocol import Watchdog


class Clock:
    def __init__(self):
        self.now = 100.0
        self.slept = 0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.slept += 1
        self.now += seconds


def watched(clock, lines=(), patience=3.0, until=None):
    """When the load was let go of, in seconds after the start."""
    watchdog = Watchdog(iter(lines), clock.monotonic)
    ends = []
    coming = watchdog.lines()

    def sleep(seconds):
        clock.sleep(seconds)
        if until is not None and clock.now < 100.0 + until:
            next(coming)

    watchdog.run(patience, lambda: ends.append(clock.now - 100.0), sleep)
    return ends


def test_silence_ends_the_load_soon_after_the_patience():
    [end] = watched(Clock())
    assert 3.0 < end <= 3.4


def test_any_line_is_a_sign_of_life():
    [end] = watched(Clock(), lines=[b""] * 100, until=10.0)
    assert 12.0 < end <= 13.4


def test_lines_pass_unchanged():
    assert list(Watchdog(iter([b"a", b"b"]), Clock().monotonic).lines()) == [b"a", b"b"]
