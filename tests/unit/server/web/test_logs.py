"""The server's log says what happened, and cannot be flooded."""

import io
import logging

import pytest

from tm_cli.server.server import LimitedFormatter, RepeatFilter


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def log(clock):
    """A logger with the server's limits; what it has written is in `log.written`."""
    logger = logging.Logger("test")
    logger.written = io.StringIO()
    handler = logging.StreamHandler(logger.written)
    handler.setFormatter(LimitedFormatter("tm: %(message)s"))
    handler.addFilter(RepeatFilter(clock))
    logger.addHandler(handler)
    return logger


def lines(log):
    return log.written.getvalue().splitlines()


def test_a_repeated_message_is_written_a_few_times_and_then_counted(log, clock):
    def complain(number):
        log.warning("client %d sent no HTTP", number)

    for number in range(1000):
        complain(number)
    assert lines(log) == [f"tm: client {number} sent no HTTP" for number in range(5)]
    clock.now = 601.0
    complain(1000)
    complain(1001)
    assert lines(log)[5:] == ["tm: client 1000 sent no HTTP (and 995 more like this)"]


def test_other_messages_are_written_all_the_same(log):
    for number in range(100):
        log.warning("noise %d", number)
    log.error("the end of run %s could not be written", "r1")
    assert lines(log)[-1] == "tm: the end of run r1 could not be written"


def test_every_agent_that_comes_is_named(log):
    for number in range(64):
        log.info("agent %s connected", f"eu-west/{number}")
    assert len(lines(log)) == 64


def test_a_library_that_composes_its_messages_is_limited_too(log):
    for number in range(1000):
        log.error(f"Fatal error\ntransport: <fd={number}>")  # noqa: G004
    assert len(lines(log)) == 10


def test_texts_that_all_differ_are_limited_together(log):
    for number in range(20_000):
        log.error(f"{number} {'x' * 100}")  # noqa: G004
    assert len(lines(log)) <= 5 * 201


def test_a_mebibyte_a_day_is_all_that_is_written(log, clock):
    for day in range(3):
        clock.now = day * 86_400.0
        for kind in range(2000):
            log.error(f"{kind // 10} %s", "x" * 8000)  # noqa: G004
        assert len(log.written.getvalue()) < (day + 1) * 1_100_000


def test_a_long_message_is_cut_with_its_traceback(log):
    try:
        int("y" * 100_000, 40)
    except ValueError:
        log.exception("it broke %s", "z" * 100_000)
    assert len(log.written.getvalue()) < 9000
