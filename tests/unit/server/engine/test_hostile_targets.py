"""Targets that send without end: an error each, while the other requests go on undisturbed."""

import time

import psutil
import pytest
from hdrh.histogram import HdrHistogram

from tests.unit.server.engine.engine_process import EngineProcess, job
from tests.unit.server.engine.raw_target import Line, RawTarget

pytestmark = pytest.mark.process

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HINTS = b"HTTP/1.1 103 Early Hints\r\n\r\n"
OPEN = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
MEGABYTE = 1_000_000
LOAD = {"points": [[0, 40]], "duration": 0.5, "timeout": 0.3}


def flood(start: bytes, more: bytes) -> RawTarget:
    def answer(line: Line) -> None:
        line.say(start)
        line.flood(more)

    return RawTarget(answer)


def growth(engine: EngineProcess) -> int:
    """The most memory that the engine took beyond what it had when the load began."""
    engine.wait_for("started")
    process = psutil.Process(engine.pid)
    first = most = process.memory_info().rss
    while not engine.is_over:
        try:
            most = max(most, process.memory_info().rss)
        except psutil.Error:
            break
        time.sleep(0.02)
    return int(most - first)


@pytest.mark.parametrize(
    ("start", "more", "failure"),
    [
        pytest.param(OPEN, b"X-A: b\r\n" * 8000, "ResponseHeadTooLarge", id="fields"),
        pytest.param(OPEN + b"X: ", b"a" * 65536, "ResponseHeadTooLarge", id="field"),
        pytest.param(OPEN[:-2], b"a" * 65536, "ResponseHeadTooLarge", id="status-line"),
        pytest.param(HINTS, HINTS * 4000, "TooManyInterimResponses", id="interim"),
        pytest.param(CHUNKED, b"1\r\nx\r\n" * 10_000, "TimeoutError", id="chunks"),
        pytest.param(CHUNKED + b"0\r\n", b"A: b\r\n" * 8000, "TrailersTooLarge", id="trailers"),
        pytest.param(OPEN + b"\r\n", b"a" * 262_144, "TimeoutError", id="body"),
    ],
)
def test_a_flood_is_an_error_and_disturbs_no_other_request(
    start: bytes, more: bytes, failure: str
) -> None:
    healthy = RawTarget(lambda line: line.say(OK))
    with healthy as target, flood(start, more) as hostile:
        both = job(target.url(), against={"target_url": hostile.url()}, **LOAD)
        with EngineProcess(both) as engine:
            grown = growth(engine)
            code, finished = engine.finish()
    assert (code, finished["outcome"]) == (0, "completed")
    [own], [other] = engine.sides(0).values(), engine.sides(1).values()
    assert (own["codes"], own["failures"]) == ({"200": 10}, {})
    assert (other["codes"], other["failures"]) == ({}, {failure: 10})
    assert HdrHistogram.decode(own["service"]).get_value_at_percentile(50) < 100_000
    assert HdrHistogram.decode(other["service"]).get_max_value() < 1_000_000
    assert grown < 30 * MEGABYTE


def test_large_bodies_are_not_kept() -> None:
    size = 50 * MEGABYTE
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % size
    body = bytes(MEGABYTE)
    large = RawTarget(lambda line: line.say(head, *[body] * 50))
    four = {"points": [[0, 10]], "duration": 0.4}
    with large as target, EngineProcess(job(target.url(), **four)) as engine:
        grown = growth(engine)
        engine.finish()
    assert engine.sums("codes") == {"200": 4}
    assert grown < 30 * MEGABYTE
