"""Real workers and a real target: what is lost, what is kept, what can be read on the way."""

import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import msgpack
import pytest
import zmq

from tests.unit.server.engine.distributed.scripted_workers import (
    MasterProcess,
    ScriptedWorkers,
    job_of,
)
from tests.unit.server.engine.engine_process import EngineProcess
from tm_cli.server.engine.distributed.roles import WorkerRole, run_keys
from tm_cli.server.engine.locustfiles.reference import JobLocustfile

pytestmark = [pytest.mark.process, pytest.mark.skipif(os.name != "posix", reason="signals")]

ENGINE = [sys.executable, "-m", "tm_cli.server.engine"]
STEPPED = [sys.executable, str(Path(__file__).with_name("stepped_clock.py"))]
ROOT = Path(__file__).parents[5]


class WorkerProcess:
    """A worker, and the server that tells the master as soon as it has ended."""

    def __init__(
        self, master, label, *, port=None, keys=None, command=ENGINE, is_watched=True, **role
    ):
        role = {"trusts_addresses": True, "port": port or master.port, **role}
        line = WorkerRole(name=label, keys=keys or master.keys, **role).to_line()
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
        )
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        if is_watched:
            threading.Thread(target=self._watch, args=(master, label), daemon=True).start()

    def _watch(self, master, label):
        self.process.wait()
        master.gone(label, "its process ended")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Relay:
    """Carries connections to a port, and records every byte."""

    def __init__(self, port):
        self.recorded = bytearray()
        self.connections = 0
        self._target = port
        self._sockets = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                self.connections += 1
                self._sockets.append(here)
                there = socket.create_connection(("127.0.0.1", self._target))
                self._sockets.append(there)
                for ends in ((here, there), (there, here)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.recorded += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for opened in [self._listener, *self._sockets]:
            opened.close()


def test_a_run_survives_what_happens_to_its_workers_and_their_clocks(target):
    """One is killed, one frozen for longer than its patience, and the third one's clock is set."""
    rate, seconds = 100, 8
    arrivals = []
    job = job_of(target.url(), points=[(0, rate)], duration=float(seconds))
    commands = {"killed": ENGINE, "frozen": ENGINE, "stepped": STEPPED}
    with contextlib.ExitStack() as stack:
        master = stack.enter_context(MasterProcess(list(commands), job=job))
        workers = {
            label: stack.enter_context(WorkerProcess(master, label, command=command)).process
            for label, command in commands.items()
        }
        master.wait_for("started", patience=60.0)  # four processes start
        begun = time.monotonic()
        while time.monotonic() < begun + seconds + 1.0:
            now = time.monotonic() - begun
            arrivals.append((now, target.total))
            if now > 1.0:
                workers["killed"].kill()
            if 1.0 < now < 4.7:
                workers["frozen"].send_signal(signal.SIGSTOP)
            elif workers["frozen"].poll() is None:
                workers["frozen"].send_signal(signal.SIGCONT)
            time.sleep(0.05)
        _, end = master.finish()
    killed, frozen = (master.wait_for_note(f"worker {label} was") for label in ("killed", "frozen"))
    assert float(killed.split("second ")[1].split()[0]) < 2.5
    assert float(frozen.split("second ")[1].split()[0]) < 1 + 4.5
    assert "its share moved to 1 other" in frozen
    assert float(frozen.rpartition(" ")[2]) < 1 + 6.5
    assert len(master.notes()) == 2
    assert end["outcome"] == "completed"
    assert end["planned"] == rate * seconds
    for name in ("sent", "completed"):
        assert end[name] == sum(bucket[name] for bucket in master.buckets.values())
    assert 0 <= end["sent"] - end["completed"] <= 5  # on their way when the one was killed
    assert 0 <= target.total - end["sent"] <= rate / 3 * 1.5  # what the killed one had not told
    # nothing is sent later instead: neither by the frozen one when it wakes up, nor by others
    steps = [(after[0] - before[0], after[1] - before[1]) for before, after in pairwise(arrivals)]
    for start in range(0, len(steps) - 20, 5):
        window = steps[start : start + 20]
        assert sum(n for _, n in window) <= rate * sum(t for t, _ in window) * 1.2 + 5


def test_strangers_get_nowhere_and_nothing_can_be_read(target):
    job = job_of(
        target.url("/status/204"),
        headers=[("Authorization", "Bearer not-for-others")],
        points=[(0, 50)],
        duration=20.0,
    )
    for_master, for_workers = keys = run_keys()
    _, foreign = run_keys()
    with contextlib.ExitStack() as stack:
        master = stack.enter_context(MasterProcess(["a"], job=job, keys=keys))
        relay = Relay(master.port)
        stack.callback(relay.close)
        without = stack.enter_context(ScriptedWorkers(master.port, None, ["a"]))
        stolen = foreign.model_copy(update={"master": for_workers.master})
        unknown = stack.enter_context(ScriptedWorkers(master.port, stolen, ["a"]))
        worker = stack.enter_context(
            WorkerProcess(master, "a", port=relay.port, is_watched=False)
        ).process
        master.wait_for("bucket", lambda event: event["sent"] >= 50)
        assert relay.connections == 1  # and none without encryption
        assert without.heard == unknown.heard == {}
        recorded = bytes(relay.recorded)
        for secret in (b"not-for-others", b"Authorization", b"/status/204", b"tm_job", b"bucket"):
            assert secret not in recorded
        for key in (for_master.secret, for_workers.secret):
            assert key.encode() not in recorded
        os.kill(master.pid, signal.SIGKILL)
        killed_at = time.monotonic()
        worker.wait(8)
        assert time.monotonic() - killed_at < 4.5
    total = target.total
    time.sleep(0.3)
    assert target.total == total


def test_a_worker_tells_a_foreign_master_nothing_and_ends_with_its_input():
    context = zmq.Context()
    _, secret = zmq.curve_keypair()
    foreign = context.socket(zmq.ROUTER)
    foreign.curve_server = True
    foreign.curve_secretkey = secret
    failures = foreign.get_monitor_socket(
        zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
        | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
        | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    )
    port = foreign.bind_to_random_port("tcp://127.0.0.1")
    role = WorkerRole(port=port, name="a", keys=run_keys()[1])
    with EngineProcess(json.loads(role.to_line())) as worker:
        assert failures.poll(20_000)
        assert not foreign.poll(100)
        worker.close_input()
        code, _ = worker.finish() if worker.events else (worker._process.wait(40), None)
    assert code == 0
    context.destroy(linger=0)


def test_a_worker_goes_on_when_told_to_reconnect_and_ends_when_its_master_is_silent():
    """Locust's own worker would come back unencrypted, or never yield again."""
    for_master, for_workers = run_keys()
    context = zmq.Context()
    master = context.socket(zmq.ROUTER)
    master.curve_server = True
    master.curve_secretkey = for_master.secret.encode()
    port = master.bind_to_random_port("tcp://127.0.0.1")
    role = WorkerRole(port=port, name="a", keys=for_workers)

    def heard():
        assert master.poll(20_000)
        return msgpack.loads(master.recv_multipart()[1])[0]

    def send(kind, data=None):
        master.send_multipart([b"a", msgpack.dumps((kind, data, "a"))])

    with EngineProcess(json.loads(role.to_line())) as worker:
        assert heard() == "client_ready"
        send("ack", {"index": 0})
        send("reconnect")
        beats = 0
        while beats < 4:
            if heard() == "heartbeat":
                beats += 1
                send("heartbeat")
        silent_at = time.monotonic()
        code = worker._process.wait(20)
        assert 2.9 < time.monotonic() - silent_at < 6
    assert code == 0
    context.destroy(linger=0)


def test_a_worker_runs_no_code_that_its_owner_has_not_named_and_the_run_says_so(target, tmp_path):
    path = tmp_path / "shop.py"
    path.write_text("raise SystemExit('run')")
    file = {"file": "shop.py", "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    locustfile = JobLocustfile.model_validate({**file, "place": {"path": str(path)}})
    with (
        MasterProcess(["eu/a"], job=job_of(target.url(), locustfile=locustfile)) as master,
        WorkerProcess(master, "eu/a", trusts_addresses=False),
    ):
        _, end = master.finish()
    assert end["message"].startswith("no worker took part: locustfile: shop.py with the SHA-256")
