"""The connections of the load generator; in a process of its own, as gevent is."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import gevent
import gevent.socket
import pytest

from tm_cli.server.engine.http1.connections import Address, Connection

PROBE = """
import socket
from tm_cli.server.engine.http1.connections import ConnectionPool
from tm_cli.server.engine.job import EngineJob, RequestTarget

with socket.create_server(("127.0.0.1", 0)) as listener:
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    job = EngineJob(run_id="r", target_url=url, points=[(0, 1)], duration=1)
    connections = ConnectionPool(RequestTarget.parse(url), most=1, timeout=5.0)
    print(connections.take().sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
"""


@pytest.mark.process
def test_requests_are_sent_at_once() -> None:
    probe = subprocess.run(
        [sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=30
    )
    assert probe.stderr == ""
    assert int(probe.stdout) != 0


@pytest.fixture
def ends() -> Iterator[tuple[Connection, Any]]:
    ours, theirs = gevent.socket.socketpair()
    connection = Connection(Address(0, 0, 0, ("127.0.0.1", 1)), ours, 0.0, is_tls=False)
    with theirs, gevent.Timeout(9):
        yield connection, theirs
        connection.close()


def test_a_request_that_does_not_fit_into_the_buffer_is_sent_whole(
    ends: tuple[Connection, Any],
) -> None:
    connection, theirs = ends
    request = b"POST / HTTP/1.1\r\n\r\n" + bytes(range(256)) * 20_000
    received = bytearray()

    def receive() -> None:
        while len(received) < len(request):
            received.extend(theirs.recv(65536))

    receiving = gevent.spawn(receive)
    connection.send(request)
    receiving.get()
    assert received == request


def test_all_bytes_and_the_end_are_received_whatever_was_there_before(
    ends: tuple[Connection, Any],
) -> None:
    connection, theirs = ends
    theirs.sendall(b"a" * 25)
    assert [connection.recv(10) for _ in range(3)] == [b"a" * 10, b"a" * 10, b"a" * 5]
    theirs.sendall(b"b" * 10)
    assert connection.recv(10) == b"b" * 10
    gevent.spawn_later(0.01, theirs.sendall, b"c")
    assert connection.recv(10) == b"c"
    gevent.spawn_later(0.01, theirs.close)
    assert connection.recv(10) == b""
