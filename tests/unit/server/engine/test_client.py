"""The connections of the load generator; in a process of its own, as gevent is."""

import subprocess
import sys

import pytest

PROBE = """
import socket
from tm_cli.server.engine.connections import ConnectionPool
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
