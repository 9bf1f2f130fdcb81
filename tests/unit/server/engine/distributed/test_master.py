"""The master of a run, as workers and the server see it."""

import contextlib
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.unit.server.engine.distributed.scripted_workers import (
    MasterProcess,
    ScriptedWorkers,
    bucket,
    finished,
    job_of,
    progress,
)

pytestmark = pytest.mark.process


def test_64_workers_share_one_curve():
    labels = [f"local/{number}" for number in range(64)]
    job = job_of(points=[(0, 640), (5, 640)])
    with (
        MasterProcess(labels, job=job, senders=1000) as master,
        ScriptedWorkers(master.port, master.keys, labels) as workers,
    ):
        workers.start(*labels)
        for label in labels:
            workers.tell(label, bucket(50), finished(50))
        code, end = master.finish()
    assert code == 0
    assert (end["outcome"], end["planned"], end["sent"], end["shortfall"]) == (
        "completed", 3200, 3200, 0,
    )  # fmt: skip
    assert master.buckets[0]["codes"] == {"200": 3200}
    assert master.notes() == []
    shares = [workers.wait_for(label, "tm_job")["job"]["share"] for label in labels]
    assert sorted(share["index"] for share in shares) == list(range(64))
    assert Counter(workers.senders.values()) == {16: 40, 15: 24}
    assert all(workers.wait_for(label, "quit") is None for label in labels)


def test_what_a_worker_does_wrong_is_its_own_loss():
    labels = ["good", "garbled", "impostor", "senseless", "late"]
    with (
        MasterProcess(labels) as master,
        ScriptedWorkers(master.port, master.keys, [*labels[:4], "unknown"]) as workers,
    ):
        workers.send_bytes("garbled", b"\xc1 is never used")
        workers.send_bytes("garbled", b"")
        assert workers.wait_for("unknown", "quit") is None
        master.gone("late", "its \x1b[31mtunnel was closed")
        workers.start("good", "garbled", "impostor", "senseless")
        assert master.wait_for("started")["at"] > "2002"  # by the clock of this machine
        workers.send("impostor", "heartbeat", {"state": "running"}, node="good")
        workers.tell("senseless", ("bucket", {"index": -1}))
        workers.send("garbled", "heartbeat", None)
        for label in ("impostor", "senseless", "garbled"):
            workers.wait_for(label, "quit")
        master.wait_for("dropped", lambda event: event["worker"] == "garbled")
        share = workers.wait_for(
            "good", "tm_order", lambda order: order["command"] == "share" and order["count"] == 1
        )
        assert share["index"] == 0
        workers.tell("good", bucket(500), finished(500))
        code, end = master.finish()
    assert code == 0
    assert (end["sent"], end["planned"]) == (500, 500)
    notes = master.notes()
    assert notes[0] == "worker late did not take part: its [31mtunnel was closed"
    assert any("impostor was lost" in note and "in the name of another" in note for note in notes)
    assert any("senseless was lost" in note and "invalid line" in note for note in notes)
    assert any("garbled was lost" in note and "could not be processed" in note for note in notes)


def test_a_worker_that_is_silent_under_load_is_lost_within_4_seconds_for_good():
    labels = ["a", "b", "c"]
    with (
        MasterProcess(labels, job=job_of(points=[(0, 20)], duration=30.0)) as master,
        ScriptedWorkers(master.port, master.keys, labels) as workers,
    ):
        workers.mute.add("b")  # the imports of a locustfile let no heartbeat through
        time.sleep(3.6)
        workers.mute.clear()
        workers.start(*labels)
        dealt = dict(workers.senders)
        workers.tell("a", progress(1.0, 33))
        workers.mute.add("b")
        silent_at = time.monotonic()
        for second in range(2, 7):
            for label in ("a", "c"):
                workers.tell(label, progress(float(second), 33 * second))
            time.sleep(0.7)
        note = master.wait_for_note("worker b was lost")
        assert time.monotonic() - silent_at < 4.5
        assert "its share moved to 2 others" in note
        workers.mute.clear()  # it wakes up
        workers.tell("b", bucket(40))
        workers.wait_for("b", "quit")
        workers.wait_for("b", "tm_seen", lambda numbers: 3 in numbers)
        deadline = time.monotonic() + 5
        while workers.senders == dealt and time.monotonic() < deadline:
            time.sleep(0.05)
        assert {label: workers.senders[label] for label in "ac"} == {"a": 384, "c": 384}
        shares = [data for kind, data in workers.heard["b"] if kind == "tm_order"]
        assert [order["command"] for order in shares] == ["go"]
        for label in ("a", "c"):
            workers.tell(label, bucket(250), finished(250, elapsed=30.0))
        _, end = master.finish()
    assert (end["sent"], end["shortfall"]) == (540, 60)
    assert len(master.notes()) == 1


def test_the_servers_orders_reach_all_workers():
    with contextlib.ExitStack() as stack:
        master = stack.enter_context(MasterProcess(["a", "b"]))
        master.say({"command": "renew", "values": {"TOKEN": "new"}})  # before any has connected
        workers = stack.enter_context(ScriptedWorkers(master.port, master.keys, ["a", "b"]))
        workers.start("a", "b")
        for order in ("pause", "resume", "nonsense"):
            master.command(order)
        master.say({"command": "finish", "at": 4.0})
        master.close_input()
        for label in ("a", "b"):
            for order in ("renew", "pause", "resume", "finish", "abort"):
                workers.wait_for_order(label, order)
            workers.tell(label, finished(10, elapsed=1.0, outcome="stopped"))
        code, end = master.finish()
    assert master.notes() == []
    assert (code, end["event"], end["outcome"]) == (0, "finished", "stopped")


def test_a_master_without_workers_ends_with_its_input():
    with MasterProcess(["a"]) as master:
        master.close_input()
        code, end = master.finish()
    assert (code, end["event"], end["sent"]) == (0, "finished", 0)


def test_without_any_worker_the_run_fails_with_the_last_reason():
    with MasterProcess(["a", "b"]) as master:
        master.gone("a", "x")
        master.gone("b", "the agent refuses it")
        code, end = master.finish()
    assert code == 1
    assert end["event"] == "failed"
    assert end["message"] == "no worker took part: the agent refuses it"


@pytest.mark.parametrize("how", ["refused", "silent"])
def test_where_nothing_asks_for_keys_no_worker_is_admitted(how):
    script = str(Path(__file__).with_name("without_admission.py"))
    with MasterProcess(["a"], program=(script, how)) as master:
        if how == "refused":
            code, end = master.finish()
            assert (code, end["event"]) == (1, "failed")
            assert "nothing would ask connections for their key" in end["message"]
            return
        with ScriptedWorkers(master.port, master.keys, ["a"]) as workers:
            assert master.wait_for("waiting")["reason"] == "not connected yet: 1 of 1 workers"
            assert workers.heard == {}
