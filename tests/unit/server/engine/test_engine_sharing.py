"""Several engines at one curve, and one engine at two targets."""

import time
from collections.abc import Iterator

import pytest

from tests.unit.server.engine.engine_process import EngineProcess, RequestTarget, job

pytestmark = pytest.mark.process


@pytest.fixture
def old() -> Iterator[RequestTarget]:
    """The other target of a duet."""
    with RequestTarget() as target:
        yield target


def share(index: int, count: int) -> dict[str, int]:
    return {"index": index, "count": count}


def test_an_engine_on_hold_is_ready_and_sends_nothing_until_the_go(
    target: RequestTarget,
) -> None:
    with EngineProcess(job(target.url(), hold=True)) as engine:
        engine.wait_for("ready")
        time.sleep(0.3)  # nothing is to happen now
        assert (target.total, len(engine.events)) == (0, 1)
        engine.command("go")
        _, finished = engine.finish()
    assert (finished["outcome"], finished["completed"], target.total) == ("completed", 100, 100)
    assert [e["event"] for e in engine.events][:2] == ["ready", "started"]


def test_an_engine_on_hold_can_be_stopped(target: RequestTarget) -> None:
    with EngineProcess(job(target.url(), hold=True)) as engine:
        engine.wait_for("ready")
        engine.command("stop")
        code, finished = engine.finish()
    assert (code, finished["outcome"], finished["planned"], finished["sent"]) == (
        0,
        "stopped",
        0,
        0,
    )
    assert target.total == 0
    assert "started" not in {event["event"] for event in engine.events}


def test_engines_with_all_shares_send_the_curve_exactly_once(target: RequestTarget) -> None:
    ramp = {"points": [[0, 0], [1, 201], [2, 0]], "duration": 2.0, "hold": True}
    with (
        EngineProcess(job(target.url(), **ramp, share=share(0, 2))) as first,
        EngineProcess(job(target.url(), **ramp, share=share(1, 2))) as second,
    ):
        for engine in (first, second):
            engine.wait_for("ready")
        for engine in (first, second):
            engine.command("go")
        ends = [engine.finish()[1] for engine in (first, second)]
    assert [end["planned"] for end in ends] == [101, 100]
    assert [end["sent"] for end in ends] == [101, 100]
    assert target.total == 201


def test_a_share_can_grow_while_the_curve_is_played(target: RequestTarget) -> None:
    with EngineProcess(job(target.url(), duration=3.0, share=share(1, 2))) as engine:
        engine.wait_for("started")
        engine.say({"command": "share", **share(0, 1), "from": 2.0})
        _, finished = engine.finish()
    assert (finished["planned"], finished["sent"], finished["shortfall"]) == (200, 200, 0)
    assert target.total == 200
    assert engine.buckets[0]["planned"] == 200


def test_an_ab_run_sends_each_pair_to_both_targets(
    target: RequestTarget, old: RequestTarget
) -> None:
    against = {"target_url": old.url("/status/404"), "seed": 3}
    duet = job(target.url(), method="POST", body="x=1", headers=[["X-A", "1"]], against=against)
    with EngineProcess(duet) as engine:
        _, finished = engine.finish()
    assert (target.total, old.total, finished["sent"]) == (50, 50, 100)
    new_line, old_line = engine.sides(0), engine.sides(1)
    assert (new_line[0]["codes"], old_line[0]["codes"]) == ({"200": 50}, {"404": 50})
    assert [line[0]["planned"] for line in (new_line, old_line)] == [50, 50]
    assert (
        target.heads[0].replace(b"/ok", b"/status/404").splitlines()[0]
        == (old.heads[0].splitlines()[0])
    )
    for heads in (target.heads, old.heads):
        assert {b"X-A: 1", b"Content-Length: 3"} < set(heads[0].split(b"\r\n"))


def test_the_sides_of_an_ab_run_differ_by_one_request_at_most(
    target: RequestTarget, old: RequestTarget
) -> None:
    duet = job(target.url(), against={"target_url": old.url(), "seed": 4}, points=[[0, 101]])
    with EngineProcess(duet) as engine:
        engine.finish()
    assert {target.total, old.total} == {50, 51}


def test_a_slow_side_does_not_slow_the_other(target: RequestTarget, old: RequestTarget) -> None:
    duet = job(target.url(), against={"target_url": old.url("/never")}, timeout=0.5)
    with EngineProcess(duet) as engine:
        engine.finish()
    assert engine.sides(0)[0]["codes"] == {"200": 50}
    assert engine.sides(1)[0]["failures"] == {"TimeoutError": 50}
    assert engine.sides(0)[0]["p95_ms"] < 250


def test_only_the_given_addresses_are_connected_to(target: RequestTarget) -> None:
    url = f"http://shop.invalid:{target.port}/ok"
    with EngineProcess(job(url, addresses=["127.0.0.1"], points=[[0, 20]])) as engine:
        engine.finish()
    assert engine.sums("codes") == {"200": 20}
    assert b"Host: shop.invalid:%d" % target.port in target.heads[0].split(b"\r\n")
