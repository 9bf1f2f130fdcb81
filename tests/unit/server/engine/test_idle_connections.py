"""A target that closes connections which were idle: its right, and no error of the request."""

from typing import Any

import pytest

from tests.unit.server.engine.engine_process import EngineProcess, RequestTarget, job
from tests.unit.server.engine.raw_target import Line, RawTarget
from tm_cli.server.engine.http1.connections import MAX_IDLE, ConnectionPool
from tm_cli.server.engine.job import RequestTarget as Aim

pytestmark = pytest.mark.process

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ONE_A_SECOND = {"points": [[0, 1]], "duration": 3.0}
CROWDED = {"points": [[0, 100]], "duration": 0.5, "slots": 1}


def play(url: str, **load: Any) -> EngineProcess:
    with EngineProcess(job(url, **load)) as engine:
        engine.finish()
    return engine


def repeated(engine: EngineProcess) -> int:
    return int([e for e in engine.events if e["event"] == "transfers"][-1]["repeated"])


def closing_the_second_of(*connections: int) -> Any:
    """Close these connections, by their number, when their second request comes."""
    seen: list[Line] = []

    def answer(line: Line) -> bool | None:
        is_second = line in seen
        if not is_second:
            seen.append(line)
        if is_second and seen.index(line) in connections:
            return False
        line.say(OK)
        return None

    return answer


def test_a_get_whose_idle_connection_was_just_closed_is_sent_again() -> None:
    with RawTarget(closing_the_second_of(0)) as target:
        engine = play(target.url(), **ONE_A_SECOND)
    assert engine.sums("codes") == {"200": 3}
    assert engine.sums("failures") == {}
    assert repeated(engine) == 1
    assert target.requests.total() == 4


def test_a_post_is_sent_once_whatever_happens() -> None:
    with RawTarget(closing_the_second_of(0)) as target:
        engine = play(target.url(), method="POST", **ONE_A_SECOND)
    assert engine.sums("failures") == {"HTTPConnectionClosed": 1}
    assert repeated(engine) == 0
    assert target.requests.total() == 3


def test_a_connection_in_use_that_is_closed_is_an_error() -> None:
    with RequestTarget() as target:
        engine = play(target.url("/second"), **CROWDED)
    assert engine.sums("failures")["HTTPConnectionClosed"] > 10
    assert repeated(engine) == 0


def test_a_target_that_often_closes_without_an_answer_is_not_excused() -> None:
    with RawTarget(closing_the_second_of(*range(99))) as target:
        engine = play(target.url(), points=[[0, 1]], duration=5.0)
    assert repeated(engine) == 1
    assert engine.sums("failures") == {"HTTPConnectionClosed": 2}


def test_a_connection_that_answered_half_is_not_used_for_another_try() -> None:
    first = [True]

    def answer(line: Line) -> bool | None:
        if first.pop() if first else False:
            line.say(OK)
            return None
        line.say(b"HTTP/1.1 200")
        return False

    with RawTarget(answer) as target:
        engine = play(target.url(), points=[[0, 1]], duration=2.0)
    assert engine.sums("failures") == {"HTTPParseError": 1}
    assert repeated(engine) == 0


def test_a_connection_that_was_idle_for_long_is_not_used_again() -> None:
    now = [0.0]
    with RawTarget(lambda line: line.say(OK)) as target:
        aim = Aim.parse(target.url())
        pool = ConnectionPool(aim, most=2, timeout=5.0, monotonic=lambda: now[0])
        first = pool.take()
        pool.give_back(first)
        now[0] += MAX_IDLE - 0.1
        again = pool.take()
        idle_for = again.idle_for
        pool.give_back(again)
        now[0] += MAX_IDLE + 0.1
        last = pool.take()
        pool.drop(last)
    assert again.sock is first.sock
    assert idle_for == pytest.approx(MAX_IDLE - 0.1)
    assert last.sock is not first.sock
    assert last.idle_for is None
