"""An agent and a server that is not ours: what it may ask for, and how it is found."""

import contextlib
import json
import queue
import socket
import threading

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

from tests.unit.server.engine.raw_target import silent
from tests.unit.server.running_agent import RunningAgent
from tests.unit.server.running_server import PATIENCE

pytestmark = pytest.mark.process


class ForeignServer:
    """Sends frames to the agent that connects, and keeps those that come back."""

    def __init__(self):
        self._frames = queue.Queue()
        self._peers = queue.Queue()
        self._server = serve(self._talk, "127.0.0.1", 0, compression=None)
        self.port = self._server.socket.getsockname()[1]

    def __enter__(self):
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join(PATIENCE)

    def _talk(self, connection):
        beats = threading.Event()
        threading.Thread(target=self._beat, args=(connection, beats), daemon=True).start()
        self._peers.put(connection)
        with contextlib.suppress(ConnectionClosed):
            for text in connection:
                self._frames.put(json.loads(text))
        beats.set()

    def _beat(self, connection, over):
        with contextlib.suppress(ConnectionClosed):
            while not over.wait(0.5):
                connection.send("{}")

    def peer(self):
        return self._peers.get(timeout=PATIENCE)

    def frame(self, **wanted):
        """The next frame with these values."""
        while True:
            frame = self._frames.get(timeout=PATIENCE)
            if wanted.items() <= frame.items():
                return frame


@pytest.fixture
def foreign():
    with ForeignServer() as server:
        yield server


@pytest.fixture
def join(foreign):
    started = []

    def start(host="127.0.0.1", **options):
        url = f"http://{host}:{foreign.port}/"
        agent = RunningAgent(None, url=url, key="tm_k", **options).start()
        started.append(agent)
        return agent

    yield start
    for agent in started:
        agent.stop()


def job_line(**changes):
    job = {
        "run_id": "r",
        "target_url": "http://127.0.0.1:9/?mode=hold",
        "points": [[0, 20]],
        "duration": 20,
    }
    return json.dumps({"job": job | changes})


def test_a_connection_has_four_runs_at_the_same_time(foreign, join):
    join()
    peer = foreign.peer()
    for number in range(6):
        peer.send(json.dumps({"run": f"r{number}", "line": job_line()}))
    refused = [foreign.frame(over="this agent has 4 runs already") for _ in range(2)]
    assert [frame["run"] for frame in refused] == ["r4", "r5"]
    peer.send(json.dumps({"run": "r0", "order": "kill"}))
    foreign.frame(run="r0", over="")
    peer.send(json.dumps({"run": "r6", "line": job_line()}))
    assert "started" in foreign.frame(run="r6")["line"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"points": [[0, 3e8]]}, "the highest rate of the curve is 300,000,000"),
        ({"points": [[0, 3e8]], "max_rps": 10}, "the highest rate of the curve is 300,000,000"),
        ({"target_url": "http://8.8.8.8/"}, "is public"),
        ({"probe": {"url": "http://169.254.169.254/", "wait": 1}}, "is link-local"),
        ({"against": {"target_url": "http://[fd00:ec2::23]/"}}, "is a metadata service"),
        ({"origins": [{"url": "http://8.8.4.4/", "addresses": ["127.0.0.1"]}]}, "is public"),
    ],
)
def test_what_a_server_may_not_ask_for_is_refused(foreign, join, changes, reason):
    join()
    foreign.peer().send(json.dumps({"run": "r", "line": job_line(**changes)}))
    assert reason in json.loads(foreign.frame(run="r")["line"])["message"]


def test_the_server_itself_is_not_loaded(foreign, join):
    join()
    url = f"http://localhost:{foreign.port}/"
    foreign.peer().send(json.dumps({"run": "r", "line": job_line(target_url=url)}))
    failed = json.loads(foreign.frame(run="r")["line"])
    assert "the server of this agent" in failed["message"]


def test_the_certificates_are_those_of_the_agents_machine(foreign, join, tmp_path):
    join(ca_file="/etc/agent.pem")
    log = tmp_path / "log"
    url = f"http://127.0.0.1:9/?log={log}"
    line = job_line(target_url=url, ca_file="/etc/shadow")
    foreign.peer().send(json.dumps({"run": "r", "line": line}))
    foreign.frame(run="r", over="")
    assert json.loads(log.read_text().splitlines()[0])["job"]["ca_file"] == "/etc/agent.pem"


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
