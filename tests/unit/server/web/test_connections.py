"""Clients without the key cannot keep others out, nor use up time, descriptors or the log."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import httpx2
import pytest

from tests.unit.server.running_agent import RunningAgent
from tests.unit.server.running_server import PATIENCE, Api, eventually
from tm_cli.api import network
from tm_cli.server.web.connections import KEEP_ALIVE, ClientConnections
from tm_cli.server.web.listener import ServeOptions, WebServer, open_listeners

pytestmark = pytest.mark.process

QUICK = 0.2
LIMITED = str(Path(__file__).parents[1] / "limited_server.py")


@pytest.fixture
def quick_server(start_server):
    """A server that waits for a fifth of a second instead of ten seconds."""
    return start_server(head_timeout=QUICK)


@pytest.fixture
def connect():
    """Makes raw connections to a base URL, and closes them at the end."""
    with contextlib.ExitStack() as stack:

        def connect(base_url, sent=b""):
            url = httpx2.URL(base_url)
            connection = socket.create_connection((url.host, url.port), timeout=PATIENCE)
            stack.enter_context(connection)
            connection.sendall(sent)
            return connection

        yield connect


def request(server, *, key=None, method="GET", path="/api/v1/profiles", extra=""):
    url = httpx2.URL(server.info.base_url)
    head = f"{method} {path} HTTP/1.1\r\nHost: {url.host}:{url.port}\r\n{extra}"
    if key:
        head += f"X-Api-Key: {key}\r\n"
    return (head + "\r\n").encode()


def seconds_until_closed(connection, drip=b""):
    """Read until the server closes, sending one byte of `drip` every 20 ms meanwhile."""
    began = time.monotonic()
    connection.settimeout(0.02)
    rest = iter(drip)
    while time.monotonic() - began < PATIENCE:
        with contextlib.suppress(TimeoutError):
            if not connection.recv(65536):
                break
        byte = next(rest, None)
        if byte is not None:
            connection.sendall(bytes([byte]))
    else:
        pytest.fail("the server did not close the connection")
    return time.monotonic() - began


def closed_by_reset(connection, drip=b""):
    """Like `seconds_until_closed`, for a client that may find a closed connection when it sends."""
    began = time.monotonic()
    with contextlib.suppress(ConnectionError):
        seconds_until_closed(connection, drip)
    return time.monotonic() - began


def test_a_silent_client_is_dropped(quick_server, connect):
    connection = connect(quick_server.info.base_url)
    assert QUICK / 2 < closed_by_reset(connection) < 2


def test_a_head_has_one_deadline_however_steadily_its_bytes_come(quick_server, connect):
    half = connect(quick_server.info.base_url, b"GET /api/v1/profiles HTTP/1.1\r\nHost: 127")
    assert closed_by_reset(half) < 2
    drip = connect(quick_server.info.base_url)
    assert closed_by_reset(drip, b"GET /api/v1/profiles HTTP/1.1\r\n" + b"A: b\r\n" * 1000) < 2


def test_the_next_head_of_a_connection_has_the_same_deadline(quick_server, connect):
    connection = connect(quick_server.info.base_url, request(quick_server, key=quick_server.key))
    assert b"200 OK" in connection.recv(65536)
    assert closed_by_reset(connection, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 1000) < 2


@pytest.mark.parametrize("with_key", [True, False])
def test_a_body_that_hardly_comes_is_not_waited_for(quick_server, connect, with_key):
    key = quick_server.key if with_key else None
    extra = "Content-Type: application/json\r\nContent-Length: 100000\r\n"
    head = request(quick_server, key=key, method="POST", extra=extra)
    assert closed_by_reset(connect(quick_server.info.base_url, head), b" " * 1000) < 3


def test_a_large_body_that_keeps_coming_has_the_time_for_it(quick_server, connect):
    pieces = [b" " * 100_000] * 8
    extra = f"Content-Type: application/json\r\nContent-Length: {100_000 * len(pieces)}\r\n"
    head = request(quick_server, key=quick_server.key, method="POST", extra=extra)
    connection = connect(quick_server.info.base_url, head)
    for piece in pieces:
        connection.sendall(piece)
        time.sleep(QUICK)  # in all more than twice the time for a small body
    assert b"400 Bad Request" in connection.recv(65536)


def test_answers_that_are_never_read_end_the_connection(quick_server):
    with quick_server.client() as client:
        Api(client).save(requestBody="x" * 1_000_000)
    many = request(quick_server, key=quick_server.key, path="/api/v1/profiles/1") * 1000
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        url = httpx2.URL(quick_server.info.base_url)
        connection.connect((url.host, url.port))
        connection.settimeout(PATIENCE)
        with pytest.raises(ConnectionError):  # instead of being kept, with all its answers
            connection.sendall(many * 100)


def test_a_lease_and_an_agent_have_no_deadline_once_they_have_shown_the_key(quick_server, connect):
    agent = RunningAgent(quick_server).start().connected()
    head = request(quick_server, key=quick_server.key, path="/tm/lease")
    lease = connect(quick_server.info.base_url, head)
    assert b"200 OK" in lease.recv(65536)
    assert not is_closed_within(lease, 5 * QUICK)
    agent.stop()
    assert sum("connected to" in line for line in agent.said) == 1


def is_closed_within(connection, seconds):
    connection.settimeout(seconds)
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01 no HTTP\r\n\r\n"])
def test_hundreds_of_unauthenticated_connections_keep_no_client_out(server, connect, sent):
    with server.client() as before:
        run_id = Api(before).start(Api(before).save(script="mode=hold"))
        lease = connect(server.info.base_url, request(server, key=server.key, path="/tm/lease"))
        assert b"200 OK" in lease.recv(65536)
        unauthenticated = [connect(server.info.base_url, sent) for _ in range(400)]
        with server.client() as client:
            began = time.monotonic()
            assert client.get("/api/v1/profiles").status_code == 200
            assert time.monotonic() - began < 2
        assert Api(before).status(1)["runId"] == run_id
        assert Api(before).status(1)["status"] == "RUNNING"
    assert not is_closed_within(lease, 0.1)
    assert closed_by_reset(unauthenticated[0]) < 1, "the oldest makes room"


@pytest.mark.skipif(sys.platform != "linux", reason="needs a second address of loopback")
def test_clients_of_one_address_keep_no_slow_client_of_another_out(server, connect):
    url = httpx2.URL(server.info.base_url)
    sent = request(server, key=server.key)
    slow = socket.create_connection((url.host, url.port), PATIENCE, ("127.0.0.2", 0))
    with slow:
        slow.sendall(sent[:30])
        unauthenticated = [connect(server.info.base_url) for _ in range(400)]
        assert closed_by_reset(unauthenticated[0]) < 2
        slow.sendall(sent[30:])
        assert b"200 OK" in slow.recv(65536)


@pytest.mark.parametrize(
    ("many", "one", "closed"),
    [
        (["10.0.0.9"], "10.0.0.1", 1),
        (["2001:db8::1", "2001:db8::2"], "2001:db8:0:1::1", 1),
        (["::ffff:10.0.0.9"], "::ffff:10.0.0.1", 1),
        (["10.0.0.9", "10.0.0.9", "10.0.0.8", "10.0.0.8"], "10.0.0.1", 1),
        ([f"10.0.1.{number}" for number in range(40)], "10.0.0.1", 0),
        (["a path", "no address"], "fe80::1%1", 1),
        (["10.0.0.1"], "10.0.0.1", 0),
    ],
)
def test_the_oldest_connection_of_the_peer_with_most_makes_room(many, one, closed):
    async def scenario():
        connections = ClientConnections(64)
        held = [connections.add(one)]
        held += [connections.add(many[number % len(many)]) for number in range(15)]
        order = []
        for number, connection in enumerate(held):
            connection.opening = SimpleNamespace(cancel=partial(order.append, number))
        connections.add(many[0])
        return order

    assert asyncio.run(scenario()) == [closed]


def test_an_idle_client_may_keep_its_connection_for_longer_than_it_would(tmp_path):
    options = ServeOptions(tmp_path, port=0)
    with open_listeners(options) as (endpoint,):
        server = WebServer(app=None, endpoint=endpoint, connections=None)
    assert server.config.timeout_keep_alive == KEEP_ALIVE > 2 * network.KEEP_ALIVE


def test_hundreds_of_connections_with_a_wrong_key_keep_no_client_out(server, connect):
    wrong = request(server, key="tm_wrong")
    unauthenticated = [connect(server.info.base_url, wrong) for _ in range(300)]
    assert b"401 Unauthorized" in unauthenticated[-1].recv(65536)
    with server.client() as client:
        assert client.get("/api/v1/profiles").status_code == 200


def test_accepted_sockets_send_their_answers_at_once(tmp_path):
    """Nagle's algorithm would hold every answer back for 40 ms."""

    async def app(scope, receive, send):
        raise NotImplementedError

    async def scenario():
        with open_listeners(ServeOptions(tmp_path, port=0)) as (endpoint,):
            server = WebServer(app, endpoint, ClientConnections(8))
            serving = await server.begin()
            _, writer = await asyncio.open_connection(endpoint.address, endpoint.port)
            while not server.server_state.connections:
                await asyncio.sleep(0)
            (accepted,) = server.server_state.connections
            raw = accepted.transport.get_extra_info("socket")
            is_set = raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            writer.close()
            server.should_exit = True
            await serving
            return is_set

    assert asyncio.run(asyncio.wait_for(scenario(), PATIENCE))


class LimitedServer:
    """A server process with few descriptors."""

    def __init__(self, data_dir, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, LIMITED, str(data_dir), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.base_url = self.process.stdout.readline().strip()
        assert self.base_url, self.process.stderr.read()
        self.key = (data_dir / "api-key").read_text().strip()

    def __enter__(self):
        plain = httpx2.HTTPTransport(verify=False)
        headers = {"X-Api-Key": self.key}
        self.log = []
        self.client = httpx2.Client(base_url=self.base_url, headers=headers, transport=plain)
        return Api(self.client)

    def __exit__(self, *_):
        self.client.close()
        self.process.terminate()
        try:
            _, errors = self.process.communicate(timeout=PATIENCE)
        finally:
            self.process.kill()
        self.log = errors.splitlines()


@pytest.mark.skipif(os.name != "posix", reason="limits of open files")
def test_unauthenticated_connections_leave_descriptors_for_runs_and_the_database(tmp_path, connect):
    server = LimitedServer(tmp_path / "data", "96")
    with server as api:
        held = api.start(api.save("held", script="mode=hold"))
        unauthenticated = [connect(server.base_url) for _ in range(300)]
        unauthenticated += [connect(server.base_url, b"\0 no HTTP\r\n\r\n") for _ in range(300)]
        detail = api.judged(api.start(api.save("quick")))
        assert detail["outcome"] == "COMPLETED"
        assert api.status(1)["status"] == "RUNNING"
        api.post("/profiles/1/stop")
        assert api.row_of(held)["outcome"] == "STOPPED"
        assert len(unauthenticated) == 600
    assert len(server.log) < 20


@pytest.mark.skipif(os.name != "posix", reason="limits of open files")
def test_more_clients_than_there_is_room_for_are_asked_to_come_back(tmp_path, connect):
    server = LimitedServer(tmp_path / "data", "64")  # room for eight
    url = httpx2.URL(server.base_url)
    head = (
        f"GET /tm/lease HTTP/1.1\r\nHost: {url.host}:{url.port}\r\nX-Api-Key: {server.key}\r\n\r\n"
    )
    with server as api:
        leases = [connect(server.base_url, head.encode()) for _ in range(8)]
        assert all(b"200 OK" in lease.recv(65536) for lease in leases)
        refused = api.get("/profiles")
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert "Too many clients" in refused.json()["error"]
        leases[0].close()
        assert eventually(lambda: api.get("/profiles").status_code == 200)


@pytest.mark.skipif(os.name != "posix", reason="limits of open files")
def test_a_server_out_of_descriptors_reports_it_a_few_times_and_recovers(tmp_path, connect):
    server = LimitedServer(tmp_path / "data", "64", "0.5")
    waiting = [connect(server.base_url) for _ in range(20)]
    with server as api:
        assert eventually(lambda: api.get("/profiles").status_code) == 200
        assert len(waiting) == 20
    assert any("cannot accept a connection" in line for line in server.log)
    assert len(server.log) < 20


def test_unauthenticated_connections_do_not_delay_the_end_of_the_server(server, connect):
    half = [connect(server.info.base_url, b"GET / HTTP/1.1\r\n") for _ in range(50)]
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 2
    assert closed_by_reset(half[0]) < 1


UNUSABLE_UPGRADE = "Connection: upgrade\r\nUpgrade: websocket\r\nA: " + "x" * 9000 + "\r\n"


def test_an_upgrade_that_is_none_does_not_break_the_end_of_the_server(server, connect):
    upgrade = request(server, path="/tm/agent", extra=UNUSABLE_UPGRADE)
    connection = connect(server.info.base_url, upgrade)
    with server.client() as client:
        assert client.get("/api/v1/profiles").status_code == 200  # the upgrade was read before
    server.stop()  # raises what the server raised
    assert closed_by_reset(connection) < 1


def test_an_upgrade_that_is_none_has_the_deadline_of_a_head(quick_server, connect):
    upgrade = request(quick_server, path="/tm/agent", extra=UNUSABLE_UPGRADE)
    assert closed_by_reset(connect(quick_server.info.base_url, upgrade)) < 2


def test_a_connection_that_is_over_holds_no_place():
    async def scenario():
        connections = ClientConnections(4)
        for _ in range(10):
            gone = connections.add()
            gone.ended()
            gone.mark_authenticated()
        return [connections.add().mark_authenticated() for _ in range(3)]

    assert asyncio.run(scenario()) == [True, True, False]


LIMITS = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
from tm_cli.server.web.connections import connections_allowed
print(connections_allowed(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.skipif(os.name != "posix", reason="limits of open files")
@pytest.mark.parametrize(
    ("soft", "hard", "allowed", "raised"),
    [(20, 20, 8, 20), (64, 64, 16, 64), (64, 256, 112, 256), (256, 1024, 496, 1024)],
)
def test_connections_get_at_most_half_of_the_descriptors(soft, hard, allowed, raised):
    command = [sys.executable, "-c", LIMITS, str(soft), str(hard)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert found.stdout.split() == [str(allowed), str(raised)]
