from tm_cli.server.engine.protocol import Patience


class Clock:
    now = 100.0

    def monotonic(self):
        return self.now


def patience():
    clock = Clock()
    return clock, Patience(3.0, clock.monotonic)


def test_it_lasts_as_long_as_something_is_heard():
    clock, waiting = patience()
    for _ in range(10):
        clock.now += 2.9
        assert waiting.lasts(clock.now)
        waiting.heard()


def test_it_is_over_after_the_limit():
    clock, waiting = patience()
    assert waiting.lasts(clock.now + 3.0)
    assert not waiting.lasts(clock.now + 3.1)


def test_a_message_that_waited_while_the_process_was_frozen_comes_too_late():
    clock, waiting = patience()
    clock.now += 5
    waiting.heard()
    assert not waiting.lasts(clock.now)
    waiting.heard()
    assert not waiting.lasts(clock.now)


def test_it_can_begin_again_for_those_that_were_busy_before_they_had_a_share():
    clock, waiting = patience()
    clock.now += 5
    assert not waiting.lasts(clock.now)
    waiting.restart()
    assert waiting.lasts(clock.now + 3.0)
    assert not waiting.lasts(clock.now + 3.1)
