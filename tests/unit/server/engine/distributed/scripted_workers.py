"""A real master, and workers that are nothing but a socket and what the test has them say."""

import contextlib
import json
import os
import threading
import time
from collections import defaultdict

import msgpack
import zmq

from tests.unit.server.engine.engine_process import EngineProcess
from tm_cli.server.engine.distributed.roles import MasterRole, run_keys
from tm_cli.server.engine.job import EngineJob

PATIENCE = 20.0


def job_of(url="http://127.0.0.1:1/", **changes):
    load = {"points": [(0, 100), (5, 100)], "duration": 5.0, "interpolation": "LINEAR"}
    return EngineJob(run_id="r", target_url=url, **{**load, **changes})


class MasterProcess(EngineProcess):
    """The engine in the role of a master; `port` is where it listens."""

    def __init__(self, labels, *, job=None, senders=None, keys=None, **process):
        for_master, self.keys = keys or run_keys()
        role = MasterRole(
            job=job or job_of(),
            workers=labels,
            senders=senders or 256 * len(labels),
            keys=for_master,
        )
        super().__init__(json.loads(role.to_line()), **process)

    @property
    def port(self):
        return self.wait_for("listening")["port"]

    def gone(self, label, reason):
        line = json.dumps({"command": "gone", "worker": label, "reason": reason}) + "\n"
        with contextlib.suppress(OSError, ValueError):  # its own end may have come before
            os.write(self._process.stdin.fileno(), line.encode())

    def notes(self):
        return [event["text"] for event in self.events if event["event"] == "note"]

    def wait_for_note(self, text):
        return self.wait_for("note", lambda event: text in event["text"])["text"]


class ScriptedWorkers:
    """Registers workers, answers Locust's messages, and keeps what the master sends.

    `heard` has the messages of each label, `senders` what Locust has dealt it. A `mute` label sends
    no heartbeats.
    """

    def __init__(self, port, keys, labels):
        self.heard = defaultdict(list)
        self.senders = {}
        self.mute = set()
        self._context = zmq.Context()
        self._sockets = {label: self.connect(port, keys, label) for label in labels}
        self._lock = threading.Lock()
        self._numbers = defaultdict(int)
        self._is_over = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        for label in self._sockets:
            self.send(label, "client_ready", "2.47.0")
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over = True
        self._thread.join(PATIENCE)
        self._context.destroy(linger=0)

    def connect(self, port, keys, label):
        socket = self._context.socket(zmq.DEALER)
        socket.setsockopt(zmq.IDENTITY, label.encode())
        if keys:
            socket.curve_serverkey = keys.master.encode()
            socket.curve_publickey = keys.public.encode()
            socket.curve_secretkey = keys.secret.encode()
        socket.connect(f"tcp://127.0.0.1:{port}")
        return socket

    def send(self, label, kind, data=None, *, node=None):
        self.send_bytes(label, msgpack.dumps((kind, data, node or label)))

    def send_bytes(self, label, content):
        with self._lock, contextlib.suppress(zmq.Again):  # a stranger has nobody to send it to
            self._sockets[label].send(content, zmq.NOBLOCK)

    def tell(self, label, *events):
        """Have a worker say some events of the load."""
        lines = []
        for event, fields in events:
            self._numbers[label] += 1
            lines.append((self._numbers[label], json.dumps({"event": event, **fields})))
        self.send(label, "tm_report", {"oldest": lines[0][0], "lines": lines})

    def wait_for(self, label, kind, accept=lambda data: True):
        deadline = time.monotonic() + PATIENCE
        while True:
            found = [data for name, data in self.heard[label] if name == kind and accept(data)]
            if found:
                return found[0]
            assert time.monotonic() < deadline, f"no {kind} for {label}: {self.heard[label]}"
            time.sleep(0.01)

    def wait_for_order(self, label, command):
        return self.wait_for(label, "tm_order", lambda data: data["command"] == command)

    def start(self, *labels):
        """Get ready, and begin."""
        for label in labels:
            self.wait_for(label, "tm_job")
            self.tell(label, ("ready", {}))
        for label in labels:
            self.wait_for_order(label, "go")
            self.tell(label, ("started", {"at": "2001-01-01T00:00:00Z"}))

    def _run(self):
        poller = zmq.Poller()
        names = {socket: label for label, socket in self._sockets.items()}
        for socket in names:
            poller.register(socket, zmq.POLLIN)
        beat_at = 0.0
        while not self._is_over:
            for socket, _ in poller.poll(50):
                with self._lock:
                    kind, data, _ = msgpack.loads(socket.recv(), strict_map_key=False)
                self._take(names[socket], kind, data)
            if time.monotonic() > beat_at:
                beat_at = time.monotonic() + 0.5
                for label in self._sockets:
                    if label not in self.mute:
                        state = {"state": "running", "current_cpu_usage": 0}
                        self.send(label, "heartbeat", state)

    def _take(self, label, kind, data):
        self.heard[label].append((kind, data))
        if kind == "spawn":
            count = sum(data["user_classes_count"].values())
            self.senders[label] = count
            self.send(label, "spawning")
            done = {"user_classes_count": data["user_classes_count"], "user_count": count}
            self.send(label, "spawning_complete", done)


FLAGS = {"generator_saturated": False, "downstream_saturated": False, "flaky_dispatch": False}


def bucket(sent, index=0):
    counts = {"planned": sent, "sent": sent, "completed": sent, "codes": {"200": sent}}
    quantiles = dict.fromkeys(("p50_ms", "p95_ms", "p99_ms"), 1.0)
    failures = {"failures": {}, "response": "", "service": ""}
    return "bucket", {"index": index, "side": 0, **counts, **failures, **quantiles}


def progress(second, sent):
    return "progress", {"elapsed": second, "sent": sent, **FLAGS}


def finished(sent, elapsed=5.0, outcome="completed"):
    counts = {"planned": sent, "sent": sent, "completed": sent, "shortfall": 0}
    return "finished", {"outcome": outcome, "elapsed": elapsed, **counts, **FLAGS}
