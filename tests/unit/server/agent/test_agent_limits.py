"""An agent and a server that is not ours: what it may ask for, and how it is found."""

import contextlib
import json
import os
import queue
import socket
import sys
import threading

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

from tests.unit.server.engine.raw_target import silent
from tests.unit.server.running_agent import RunningAgent
from tests.unit.server.running_server import FAKE_ENGINE, PATIENCE, eventually

pytestmark = pytest.mark.process


class ForeignServer:
    """Sends tickets to the agent that connects, and has the tunnels that it opens."""

    def __init__(self):
        self._peers = queue.Queue()
        self._tunnels = queue.Queue()
        self._opened = []
        self._server = serve(self._talk, "127.0.0.1", 0, compression=None)
        self.port = self._server.socket.getsockname()[1]

    def __enter__(self):
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        for tunnel in self._opened:
            tunnel.over.set()
        self._server.shutdown()
        self._thread.join(PATIENCE)

    def _talk(self, connection):
        over = threading.Event()
        if connection.request.path.startswith("/tm/worker/"):
            tunnel = Tunnel(connection)
            self._opened.append(tunnel)
            self._tunnels.put(tunnel)
            tunnel.over.wait(PATIENCE)
            return
        threading.Thread(target=self._beat, args=(connection, over), daemon=True).start()
        self._peers.put(connection)
        with contextlib.suppress(ConnectionClosed):
            for text in connection:
                assert text == "{}"
        over.set()

    def _beat(self, connection, over):
        with contextlib.suppress(ConnectionClosed):
            while not over.wait(0.5):
                connection.send("{}")

    def peer(self):
        return self._peers.get(timeout=PATIENCE)

    def tunnel(self):
        """The next tunnel that is opened."""
        return self._tunnels.get(timeout=PATIENCE)


class Tunnel:
    """One tunnel, as the server sees it."""

    def __init__(self, connection):
        self._connection = connection
        self.over = threading.Event()
        self.run = connection.request.path.rpartition("/")[2]
        self.secret = connection.request.headers["X-Tm-Ticket"]

    def receive(self):
        return self._connection.recv(PATIENCE)

    def send(self, data):
        self._connection.send(data)

    def reason(self):
        """Why the agent closes it, once it does."""
        try:
            while True:
                self.receive()
        except ConnectionClosed as closed:
            return closed.rcvd.reason
        finally:
            self.over.set()

    def close(self):
        self._connection.close()
        self.over.set()


@pytest.fixture
def foreign():
    with ForeignServer() as server:
        yield server


@pytest.fixture
def join(foreign):
    started = []

    def start(host="127.0.0.1", **options):
        url = f"http://{host}:{foreign.port}/"
        agent = start.agent = RunningAgent(None, url=url, key="tm_k", **options).start()
        started.append(agent)
        return agent

    yield start
    for agent in started:
        agent.stop()


def ticket(run="r", **changes):
    keys = dict.fromkeys(("public", "secret", "master"), "k" * 40)
    values = {"run": run, "worker": "eu-west/agent-1", "secret": f"secret-{run}-" + "x" * 20}
    return json.dumps(values | {"keys": keys} | changes)


def test_a_connection_has_four_runs_at_the_same_time(foreign, join):
    join()
    peer = foreign.peer()
    for number in range(6):
        peer.send(ticket(f"r{number}"))
    tunnels = {tunnel.run: tunnel for tunnel in (foreign.tunnel() for _ in range(6))}
    assert tunnels["r0"].secret == "secret-r0-" + "x" * 20
    for refused in ("r4", "r5"):
        assert tunnels[refused].reason() == "this agent has 4 runs already"
    for number in range(4):
        assert tunnels[f"r{number}"].receive() == b"eu-west/agent-1\n"
    tunnels["r0"].close()
    eventually(lambda: "run r0: ended" in join.agent.said)
    peer.send(ticket("r6"))
    assert foreign.tunnel().receive() == b"eu-west/agent-1\n"


@pytest.mark.parametrize(
    "message",
    [
        "hello",
        "[]",
        "null",
        '{"run": "r", "line": "{}"}',
        ticket(run="../profiles"),
        ticket(run=""),
        ticket(secret="short"),
        ticket(secret="x" * 30 + "\r\nHost: evil.test"),
        ticket(worker=""),
        ticket(keys={}),
        ticket(keys={"public": "k", "secret": "k", "master": "k"}),
        ticket(command="rm -rf /"),
    ],
)
def test_what_is_no_ticket_ends_the_connection(foreign, join, message):
    agent = join()
    foreign.peer().send(message)
    eventually(lambda: any("the peer sent an invalid message" in line for line in agent.said))
    assert not any("started" in line for line in agent.said)


def test_a_flood_of_tickets_ends_the_connection(foreign, join):
    agent = join()
    peer = foreign.peer()
    for number in range(50):
        peer.send(ticket(f"r{number}"))
    eventually(lambda: any("the peer sent an invalid message" in line for line in agent.said))
    assert sum("started" in line for line in agent.said) <= 4


HELD = """
import os, sys, time
line = sys.stdin.readline()
with open(sys.argv[1] + ".part", "w") as file:
    file.write(line)
os.rename(sys.argv[1] + ".part", sys.argv[1])
while not os.path.exists(sys.argv[1] + ".go"):
    time.sleep(0.01)
reading, writing = os.pipe()
os.write(writing, line.encode())
os.set_inheritable(writing, True)  # or the input would end
os.dup2(reading, 0)
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Writes the first line to a file, and waits for another one before it becomes the worker."""


@pytest.mark.skipif(os.name != "posix", reason="execv keeps the process")
def test_a_strangers_connection_is_not_carried_and_keeps_the_worker_from_nothing(
    foreign, join, tmp_path
):
    path = tmp_path / "role"
    join(engine_command=[sys.executable, "-c", HELD, str(path), *FAKE_ENGINE])
    foreign.peer().send(ticket())
    eventually(path.exists)
    port = json.loads(path.read_text())["worker"]["port"]
    with contextlib.ExitStack() as opened:
        strangers = [
            opened.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))
            for _ in range(30)
        ]
        for stranger in strangers[:10]:
            assert stranger.recv(1) == b""
        path.with_suffix(".go").touch()
        assert foreign.tunnel().receive() == b"eu-west/agent-1\n"
        for stranger in strangers[10:]:
            assert stranger.recv(1) == b""


def test_a_silent_first_address_of_the_server_does_not_keep_the_agent_away(
    foreign, join, monkeypatch
):
    system_lookup = socket.getaddrinfo

    def lookup(host, *rest, **named):
        if host != "load.test":
            return system_lookup(host, *rest, **named)
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, foreign.port))
            for address in ("127.0.0.2", "127.0.0.1")
        ]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with silent("127.0.0.2", foreign.port):
        join("load.test")
        assert foreign.peer()
