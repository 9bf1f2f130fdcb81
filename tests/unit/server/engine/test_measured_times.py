"""Which span of a raw exchange the engine measures: to the last byte of the final response."""

import time
from contextlib import ExitStack

import pytest
from hdrh.histogram import HdrHistogram

from tests.unit.server.engine.engine_process import EngineProcess, job
from tests.unit.server.engine.raw_target import Line, RawTarget, silent

pytestmark = pytest.mark.process

HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
LONELY = {"points": [[0, 4]], "duration": 0.5}
CROWDED = {"points": [[0, 60]], "duration": 0.5}


def times_us(engine: EngineProcess) -> HdrHistogram:
    return HdrHistogram.decode(engine.buckets[0]["service"])


@pytest.mark.parametrize("load", [LONELY, CROWDED], ids=["lonely", "overlapping"])
@pytest.mark.parametrize(
    "before",
    [
        pytest.param([HINTS, 0.02], id="early-hints"),
        pytest.param([HINTS * 9 + b"HTTP/1.1 10", 0.01, b"0\r\n\r", 0.01, b"\n"], id="many"),
    ],
)
def test_the_time_ends_with_the_body_after_any_number_of_interim_responses(
    before: list[bytes | float], load: dict[str, object]
) -> None:
    took: list[float] = []
    overlapping: list[bool] = []

    def answer(line: Line) -> None:
        begun = time.monotonic()
        line.say(*before, HEAD, 0.3)
        overlapping.append(line.has_more)
        took.append(time.monotonic() - begun)
        line.say(b"hello")

    with RawTarget(answer) as target, EngineProcess(job(target.url(), **load)) as engine:
        engine.finish()
    requests = len(took)
    assert engine.sums("codes") == {"200": requests}
    assert engine.sums("failures") == {}
    assert not any(overlapping)
    truth = sorted(took)[(requests - 1) // 2]
    assert times_us(engine).get_min_value() == pytest.approx(min(took) * 1e6, rel=0.05)
    assert times_us(engine).get_value_at_percentile(50) == pytest.approx(truth * 1e6, rel=0.1)


@pytest.mark.parametrize(
    ("ending", "failure"),
    [
        pytest.param([], "TimeoutError", id="silence"),
        pytest.param([0.1, HEAD], "TimeoutError", id="silence-within-the-body"),
        pytest.param(
            [b"HTTP/1.1 101 Switching\r\n\r\n", HEAD, b"hello"], "ProtocolSwitched", id="101"
        ),
        pytest.param([HINTS * 1000, HEAD, b"hello"], "TooManyInterimResponses", id="1001"),
    ],
)
def test_an_interim_response_is_no_answer(ending: list[bytes | float], failure: str) -> None:
    def answer(line: Line) -> None:
        line.say(HINTS, *ending)
        line.silence()

    few = {"points": [[0, 20]], "duration": 0.3, "timeout": 0.5}
    with RawTarget(answer) as target, EngineProcess(job(target.url(), **few)) as engine:
        engine.finish()
    assert engine.sums("codes") == {}
    assert engine.sums("failures") == {failure: 6}
    if failure == "TimeoutError":
        assert times_us(engine).get_value_at_percentile(50) == pytest.approx(500_000, rel=0.2)


@pytest.mark.parametrize(
    ("method", "answer", "requests_per_connection"),
    [
        pytest.param("HEAD", HEAD, 6, id="head"),
        pytest.param("GET", b"HTTP/1.1 204 No Content\r\nA: b,\r\n c\r\n\r\n", 6, id="folded"),
        pytest.param("GET", HEAD + b"hello" + HEAD, 1, id="junk"),
    ],
)
def test_a_connection_is_used_again_after_a_whole_response_only(
    method: str, answer: bytes, requests_per_connection: int
) -> None:
    few = {"points": [[0, 20]], "duration": 0.3, "method": method}
    script = RawTarget(lambda line: line.say(answer))
    with script as target, EngineProcess(job(target.url(), **few)) as engine:
        engine.finish()
    assert engine.sums("codes").total() == 6
    assert engine.sums("failures") == {}
    assert max(target.connections) <= requests_per_connection
    # a slow machine lets two requests overlap, which need two connections
    assert (max(target.connections) > 1) is (requests_per_connection > 1)


def test_a_body_that_ends_with_the_connection_is_measured_to_its_end() -> None:
    def answer(line: Line) -> bool:
        line.say(b"HTTP/1.1 200 OK\r\n\r\nhello", 0.2, b"hello")
        return False

    with RawTarget(answer) as target, EngineProcess(job(target.url(), **LONELY)) as engine:
        engine.finish()
    assert engine.sums("codes") == {"200": 2}
    assert times_us(engine).get_min_value() >= 195_000


A, B = "127.0.0.1", "127.0.0.2"
UNHURRIED = {"points": [[0, 0.5]], "duration": 4.0}
TRUTH = 1.6  # seconds, of which a busy machine's usual delays are less than three percent


def assert_measured(engine: EngineProcess, shortest: float, longest: float) -> None:
    """Within three percent; the longest one may have met a hiccup of the machine."""
    times = times_us(engine)
    assert times.get_min_value() == pytest.approx(shortest * 1e6, rel=0.03)
    assert longest * 0.97 <= times.get_max_value() / 1e6 <= longest + 0.2


FOLDED = b"HTTP/1.1 200 OK\r\nX-Long: one\r\n two\r\n\tthree\r\nContent-Length: 5\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "tail", "connections"),
    [
        pytest.param(FOLDED, b"hello", 1, id="folded-headers"),
        pytest.param(HEAD, b"hello and more", 2, id="bytes-behind-the-answer"),
        pytest.param(HEAD, b"helloHTTP/1.1 200 OK\r\n\r\n", 2, id="an-answer-behind-the-answer"),
        pytest.param(HINTS + FOLDED, b"hello", 1, id="interim-and-folded"),
    ],
)
def test_unusual_answers_are_measured_to_the_end_of_their_body(
    head: bytes, tail: bytes, connections: int
) -> None:
    took: list[float] = []

    def answer(line: Line) -> None:
        begun = time.monotonic()
        line.say(head, TRUTH)
        took.append(time.monotonic() - begun)
        line.say(tail)

    with RawTarget(answer) as target, EngineProcess(job(target.url(), **UNHURRIED)) as engine:
        engine.finish()
    assert engine.sums("codes") == {"200": 2}
    assert len(target.connections) == connections
    assert_measured(engine, min(took), max(took))


@pytest.mark.parametrize("first", ["refuses", "is-silent"])
def test_an_address_that_cannot_be_reached_costs_one_request_its_time_and_no_error(
    first: str,
) -> None:
    took: list[float] = []

    def answer(line: Line) -> None:
        begun = time.monotonic()
        line.say(TRUTH, HEAD + b"hello")
        took.append(time.monotonic() - begun)

    load = {**UNHURRIED, "addresses": [A, B]}
    with RawTarget(answer, B) as target, ExitStack() as stack:
        if first == "is-silent":
            stack.enter_context(silent(A, target.port))
        engine = stack.enter_context(EngineProcess(job(target.url("shop.test"), **load)))
        engine.finish()
    assert engine.sums("codes") == {"200": 2}
    assert target.requests == {B: 2}
    extra = 0.25 if first == "is-silent" else 0.0
    assert_measured(engine, min(took), took[0] + extra)


def test_a_slow_address_is_half_of_what_is_measured() -> None:
    took: dict[str, list[float]] = {A: [], B: []}

    def answer(line: Line) -> None:
        begun = time.monotonic()
        line.say(TRUTH if line.address == B else TRUTH / 2, HEAD + b"hello")
        took[line.address].append(time.monotonic() - begun)

    load = {**UNHURRIED, "addresses": [A, B]}
    with RawTarget(answer, A, B) as target, ExitStack() as stack:
        engine = stack.enter_context(EngineProcess(job(target.url("shop.test"), **load)))
        engine.finish()
    assert target.requests == {A: 1, B: 1}
    assert_measured(engine, min(took[A]), max(took[B]))
