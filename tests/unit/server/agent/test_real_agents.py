"""Agents with real load generators, in one process with the server; nobody is lost here."""

import socket
import threading

import pytest

from tests.unit.server.running_server import Api, eventually
from tm_cli.server.workers.local_worker import DEFAULT_COMMAND

pytestmark = pytest.mark.process


class Relay:
    """Passes connections on to a port, and keeps what was sent."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.heard = bytearray()
        self.connections = 0

    def start(self, target_port):
        threading.Thread(target=self._accept, args=(target_port,), daemon=True).start()

    def _accept(self, target_port):
        while True:
            here, _ = self._listener.accept()
            there = socket.create_connection(("127.0.0.1", target_port))
            self.connections += 1
            for pair in ((here, there), (there, here)):
                threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source, sink):
        with source, sink:
            while data := source.recv(65536):
                self.heard += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def real(start_agent):
    """Start an agent with the real load generator."""
    return lambda server, **options: start_agent(
        server, engine_command=DEFAULT_COMMAND, **options
    ).connected()


def test_two_runs_of_two_workers_share_their_curves_and_are_unreadable_on_the_wire(
    start_server, real, target
):
    relay = Relay()
    here = f"127.0.0.1:{relay.port}"
    server = start_server(engine_command=None, hostnames=[here])
    relay.start(int(server.info.base_url.rpartition(":")[2]))
    real(server, url=f"http://{here}/", workers=2)
    with server.client() as client:
        api = Api(client)
        eventually(lambda: api.get("/regions").json()[-1]["connectedCount"] == 2)
        runs = [
            api.start(
                api.save(
                    path,
                    targetUrl=target.url(f"/{path}"),
                    httpMethod="GET",
                    headers=[{"name": "Authorization", "value": f"Bearer of-{path}"}],
                    points=[{"x": 0, "y": 40}, {"x": 10, "y": 40}],
                    duration=10,
                ),
                region="eu-west",
            )
            for path in ("first-path", "second-path")
        ]
        rows = [eventually(lambda run=run: api.row_of(run), patience=40) for run in runs]
    assert [(row["outcome"], row["totalRequests"]) for row in rows] == [("COMPLETED", 400)] * 2
    assert target.served == {"/first-path": 400, "/second-path": 400}
    assert relay.connections == 6  # two of presence, four tunnels
    assert b"X-Tm-Ticket" in relay.heard
    for word in (b"-path", b"Bearer", b"target_url", b"bucket"):
        assert word not in relay.heard


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://8.8.8.8/", "8.8.8.8 is public"),
        ("{server}/api/v1/profiles", "it is the server of this agent"),
    ],
)
def test_an_agent_judges_the_target_as_seen_from_its_host(start_server, real, url, reason):
    server = start_server(engine_command=None)
    real(server)
    with server.client() as client:
        api = Api(client)
        url = url.format(server=server.info.base_url)
        run_id = api.start(api.save(targetUrl=url), region="eu-west")
        row = eventually(lambda: api.row_of(run_id), patience=20)
        assert row["outcome"] == "ABORTED"
        reasons = api.get(f"/history/{row['id']}").json()["autoVerdictReasons"]
    assert f"no worker took part: targetUrl cannot be used: {reason}" in reasons
