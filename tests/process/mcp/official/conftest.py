"""The official MCP server and ours, each driven by the official client."""

import json
import sys

import pytest

from tests.process.mcp.official.conversation import OFFICIAL_SERVER, PYTHON, Conversation

CAPTURE = [
    {"t": second / 2, "method": "GET", "url": f"http://127.0.0.1:9/users/{second % 7}?mode=quick"}
    for second in range(40)
]


@pytest.fixture(scope="module")
def captures(tmp_path_factory):
    """The directory that both servers read captures from."""
    root = tmp_path_factory.mktemp("captures")
    lines = "".join(json.dumps(event) + "\n" for event in CAPTURE)
    (root / "traffic.jsonl").write_text(lines, encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def conversations(environ, captures, tmp_path_factory):
    """Both servers, started and ended at the same time: each takes a second or two."""
    if not PYTHON.exists():
        pytest.fail("tests of the official MCP server need .venv-official: run `make setup`")
    environ = {**environ, "TM_MCP_CAPTURE_ROOT": str(captures)}
    opened = [
        Conversation(server, environ, tmp_path_factory.mktemp("work"))
        for server in (OFFICIAL_SERVER, (sys.executable, "-m", "tm_cli", "mcp"))
    ]
    yield opened
    for conversation in opened:
        conversation.leave()
    for conversation in opened:
        conversation.close()


@pytest.fixture(scope="module")
def official(conversations):
    return conversations[0]


@pytest.fixture(scope="module")
def ours(conversations):
    return conversations[1]
