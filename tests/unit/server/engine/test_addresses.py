"""A name with several addresses: each gets its share of the requests, and the engine says which."""

import ssl
import sys
from pathlib import Path
from typing import Any

import gevent
import pytest
import trustme
from hdrh.histogram import HdrHistogram

from tests.unit.server.engine.engine_process import EngineProcess, RequestTarget, job
from tests.unit.server.engine.raw_target import Line, RawTarget, listening, silent
from tm_cli.server.engine.http1 import connections
from tm_cli.server.engine.http1.client import TargetClient
from tm_cli.server.engine.http1.connections import ConnectionPool
from tm_cli.server.engine.job import EngineJob
from tm_cli.server.engine.job import RequestTarget as Aim

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
A, B, C = "127.0.0.1", "127.0.0.2", "127.0.0.3"

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform != "linux", reason="needs all of 127.0.0.0/8"),
]


@pytest.fixture
def port() -> int:
    """A port at which nobody listens."""
    with listening(A) as listener:
        return int(listener.getsockname()[1])


def play(url: str, **load: Any) -> EngineProcess:
    with EngineProcess(job(url, **load)) as engine:
        engine.finish()
    return engine


def told(engine: EngineProcess, side: int = 0) -> dict[str, int]:
    """What the engine said last of a side's addresses."""
    said = [e for e in engine.events if e["event"] == "addresses" and e["side"] == side]
    return dict(said[-1]["requests"])


def ok(line: Line) -> None:
    line.say(OK)


@pytest.mark.parametrize("rate", [16, 300], ids=["lonely", "overlapping"])
def test_requests_alternate_over_the_addresses_at_any_rate(rate: int) -> None:
    with RawTarget(ok, A, B, C) as target:
        load = {"points": [[0, rate]], "duration": 0.75}
        engine = play(target.url("shop.test"), addresses=[A, B, C], **load)
    share = rate // 4
    assert target.requests == {A: share, B: share, C: share} == told(engine)
    assert len(target.connections) < target.requests.total()
    assert engine.events[-1]["event"] == "finished"


def test_a_slow_instance_is_seen_in_the_quantiles() -> None:
    def answer(line: Line) -> None:
        line.say(0.2 if line.address == B else 0.0, OK)

    with RawTarget(answer, A, B) as target:
        load = {"points": [[0, 8]], "duration": 0.75}
        engine = play(target.url("shop.test"), addresses=[A, B], **load)
    times = HdrHistogram.decode(engine.buckets[0]["response"])
    assert times.get_value_at_percentile(40) < 100_000
    assert times.get_value_at_percentile(60) > 195_000


def test_workers_begin_with_different_addresses() -> None:
    firsts = []
    for index in range(4):
        with RawTarget(ok, A, B) as target:
            line = job(target.url(), addresses=[A, B], share={"index": index, "count": 4})
            document = EngineJob.parse(line["job"])
            client = TargetClient(document, document.targets[0])
            assert client.send() == 200
            client.close()
        firsts += target.requests
    assert firsts == [A, B, A, B]


@pytest.mark.parametrize("order", [[B, A], [A, B]])
def test_an_address_that_refuses_is_left_out(order: list[str]) -> None:
    with RawTarget(ok, A) as target:
        load = {"points": [[0, 40]], "duration": 0.5}
        engine = play(target.url("shop.test"), addresses=order, **load)
    assert engine.sums("codes") == {"200": 20}
    assert told(engine) == {A: 20, B: 0}


def test_a_silent_address_delays_the_first_requests_only_and_only_a_little() -> None:
    with RawTarget(ok, A) as target, silent(B, target.port):
        load = {"points": [[0, 40]], "duration": 1.0, "timeout": 2.0}
        engine = play(target.url("shop.test"), addresses=[B, A], **load)
    assert engine.sums("codes") == {"200": 40}
    assert told(engine) == {A: 40, B: 0}
    times = HdrHistogram.decode(engine.buckets[0]["service"])
    assert times.get_max_value() < 700_000
    assert times.get_value_at_percentile(50) < 100_000


def test_an_address_that_failed_is_tried_again_without_a_request_that_waits(port: int) -> None:
    seconds = [1000.0]
    aim = Aim.parse(f"http://shop.test:{port}/", [A, B])

    def addresses_of_next(count: int) -> set[str]:
        found = set()
        for _ in range(count):
            connection = lent.take()
            lent.give_back(connection)
            found.add(connection.address.name)
        return found

    with RawTarget(ok, A, port=port):
        lent = ConnectionPool(aim, most=8, timeout=10, monotonic=lambda: seconds[0])
        assert addresses_of_next(4) == {A}
        with RawTarget(ok, B, port=port):
            seconds[0] += connections.PAUSE - 0.1
            assert addresses_of_next(4) == {A}
            seconds[0] += 0.2
            assert addresses_of_next(1) == {A}
            with gevent.Timeout(5):
                while addresses_of_next(2) != {A, B}:
                    gevent.sleep(0.01)
        lent.close()


def test_a_connection_that_comes_late_is_kept_for_the_requests_after(port: int) -> None:
    aim = Aim.parse(f"http://shop.test:{port}/", [B, A])
    with RawTarget(ok, A, port=port), silent(B, port) as let_in:
        lent = ConnectionPool(aim, most=8, timeout=10)
        first = lent.take()
        let_in()
        with gevent.Timeout(5):  # the system tries again after a second
            while (second := lent.take()).address.name != B:
                lent.give_back(second)
                gevent.sleep(0.05)
        assert first.address.name == A
        assert lent.requests[B] == 1
        lent.drop(first)
        lent.drop(second)
        lent.close()


def test_the_only_address_gets_all_the_time_even_after_it_refused(port: int) -> None:
    aim = Aim.parse(f"http://shop.test:{port}/", [B])
    lent = ConnectionPool(aim, most=8, timeout=10)
    with pytest.raises(ConnectionRefusedError):
        lent.take()
    with silent(B, port) as let_in:
        gevent.spawn_later(0.4, let_in)
        connection = lent.take()
        assert connection.address.name == B
        lent.drop(connection)


def test_open_connections_are_used_though_the_address_refuses_new_ones(port: int) -> None:
    aim = Aim.parse(f"http://shop.test:{port}/", [A, B])
    lent = ConnectionPool(aim, most=8, timeout=10)
    with RawTarget(ok, A, port=port):
        with listening(B, port) as listener:
            first, second = lent.take(), lent.take()
            accepted, _ = listener.accept()
        third, fourth = lent.take(), lent.take()
        lent.give_back(second)
        with accepted:
            again = [lent.take(), lent.take()]
        names = [each.address.name for each in (first, second, third, fourth, *again)]
        assert names == [A, B, A, A, A, B]
        for connection in (first, third, fourth, *again):
            lent.drop(connection)


def test_an_address_that_was_left_out_is_the_last_resort(port: int) -> None:
    aim = Aim.parse(f"http://shop.test:{port}/", [A, B])
    lent = ConnectionPool(aim, most=8, timeout=10)
    with RawTarget(ok, A, port=port):
        for _ in range(2):  # B is found to refuse
            lent.drop(lent.take())
    with RawTarget(ok, B, port=port):
        connection = lent.take()
        assert connection.address.name == B
        lent.drop(connection)


@pytest.mark.parametrize("is_silent", [False, True])
def test_addresses_that_all_fail_are_errors_of_one_name(port: int, is_silent: bool) -> None:
    load = {"points": [[0, 20]], "duration": 0.3, "timeout": 0.6, "addresses": [A, B]}
    url = f"http://shop.test:{port}/"
    if is_silent:
        with silent(A, port), silent(B, port):
            failures = play(url, **load).sums("failures")
    else:
        failures = play(url, **load).sums("failures")
    assert failures == {"TimeoutError" if is_silent else "ConnectionRefusedError": 6}


def test_the_sides_of_an_ab_run_take_turns_by_themselves() -> None:
    with RawTarget(ok, A, B) as one, RawTarget(ok, A, B, C) as other:
        against = {"target_url": other.url("new.test"), "addresses": [A, B, C]}
        load = {"points": [[0, 24]], "duration": 0.5}
        engine = play(one.url("old.test"), addresses=[A, B], against=against, **load)
    assert one.requests == {A: 3, B: 3} == told(engine, 0)
    assert other.requests == {A: 2, B: 2, C: 2} == told(engine, 1)


def test_idle_connections_do_not_add_up_beyond_the_slots() -> None:
    def answer(line: Line) -> None:
        line.say(0.05, OK)

    addresses = [f"127.0.0.{at}" for at in range(1, 9)]
    with RawTarget(answer, *addresses) as target:
        load = {"slots": 4, "points": [[0, 60]], "duration": 0.6}
        engine = play(target.url("shop.test"), addresses=addresses, **load)
    assert engine.sums("codes") == {"200": 36}
    assert target.most_open <= 4 + 1  # one may just be closing


def test_a_certificate_is_checked_for_the_name_whatever_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("shop.test").configure_cert(context)
    load = {"addresses": [B, A], "points": [[0, 20]], "duration": 0.3}
    with RequestTarget(context) as target, silent(B, target.port):
        known = play(f"https://shop.test:{target.port}/ok", **load)
        other = play(f"https://other.test:{target.port}/ok", **load)
    assert known.sums("codes") == {"200": 6}
    assert other.sums("failures") == {"SSLCertVerificationError": 6}
