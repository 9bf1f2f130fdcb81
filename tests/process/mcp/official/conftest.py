"""The official MCP server and ours, each driven by the official client."""

import json
import sys

import pytest

from tests.process.mcp.official.conversation import OFFICIAL_SERVER, PYTHON, Client, Conversation
from tests.process.mcp.official.internet import Internet
from tests.unit.server.capture_sources.memory_source import MemorySource
from tests.unit.server.running_server import RunningServer

CAPTURE = "".join(
    json.dumps({"t": number / 2, "method": "GET", "url": f"http://127.0.0.1:9/users/{number % 7}"})
    + "\n"
    for number in range(40)
).encode()


@pytest.fixture(scope="module")
def captures(tmp_path_factory):
    """The directory that both servers read captures from."""
    root = tmp_path_factory.mktemp("captures")
    (root / "traffic.jsonl").write_bytes(CAPTURE)
    return root


@pytest.fixture(scope="module")
def internet():
    with Internet() as found:
        yield found


@pytest.fixture(scope="module")
def embedded(internet, tmp_path_factory):
    """An embedded server with a capture source for each of both, and domains to verify."""
    sources = [MemorySource(name, {"traffic.jsonl": [CAPTURE]}) for name in ("a", "b")]
    running = RunningServer(
        tmp_path_factory.mktemp("server") / "data",
        capture_sources=sources,
        dns_server=internet.name_server,
        web_ports=(("http", internet.web_port),),
    ).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def conversations(environ, captures, tmp_path_factory):
    """Both servers, driven by one client and started at the same time."""
    if not PYTHON.exists():
        pytest.fail("tests of the official MCP server need .venv-official: run `make setup`")
    environ = {**environ, "TM_MCP_CAPTURE_ROOT": str(captures)}
    servers = (OFFICIAL_SERVER, (sys.executable, "-m", "tm_cli", "mcp"))
    client = Client(servers, environ, tmp_path_factory.mktemp("work"))
    yield [Conversation(client, place) for place in range(len(servers))]
    client.close()


@pytest.fixture(scope="module")
def official(conversations):
    return conversations[0]


@pytest.fixture(scope="module")
def ours(conversations):
    return conversations[1]
