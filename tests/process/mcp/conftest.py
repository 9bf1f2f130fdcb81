"""Assistants: over stdio to a real `tm mcp`, and in memory with the clock of a test."""

from __future__ import annotations

import io
from contextlib import ExitStack

import pytest

from tests.process.mcp.assistant import Assistant, over_stdio
from tests.unit.server.running_server import Api, RunningServer
from tm_cli.cli.global_options import GLOBAL_OPTIONS
from tm_cli.cli.session import CommandContext
from tm_cli.mcp.calls import Calls
from tm_cli.mcp.server import new_server
from tm_cli.mcp.tools import select_tools
from tm_cli.runtime.environment import Environment
from tm_cli.runtime.terminal import Terminal


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """An embedded server whose engine only pretends to send traffic."""
    running = RunningServer(tmp_path_factory.mktemp("server") / "data").start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def api(embedded):
    with embedded.client() as client:
        yield Api(client)


@pytest.fixture(scope="module")
def environ(embedded, tmp_path_factory):
    """What `tm mcp` finds in its environment."""
    home = tmp_path_factory.mktemp("home")
    return {
        "TM_BASE_URL": embedded.info.base_url,
        "TM_API_KEY": embedded.key,
        "TM_STATE_DIR": str(home / "state"),
        "TM_CONFIG_DIR": str(home / "config"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }


@pytest.fixture(scope="module")
def assistant(environ, tmp_path_factory):
    with Assistant(over_stdio(environ, tmp_path_factory.mktemp("work"))) as found:
        yield found


@pytest.fixture
def in_memory(tmp_path, clock):
    """Speak with the tools in this process; no server may be started."""
    opened = ExitStack()
    work = tmp_path / "work"
    work.mkdir()

    def open_assistant(environ=None, **seams):
        log = io.StringIO()
        context = Environment(
            environ=environ or {},
            terminal=Terminal(None, log),
            clock=seams.get("clock", clock),
            cwd=work,
            find_user_dir=lambda: tmp_path / "home",
            find_state_dir=lambda: tmp_path / "state",
            launch=seams.get("launch", _no_launch),
            make_token=lambda: "0123456789abcdef",
        )
        calls = Calls(CommandContext(context, flags=dict.fromkeys(GLOBAL_OPTIONS)))
        tools = select_tools(seams.get("tools"))
        assistant = opened.enter_context(Assistant(lambda: new_server(calls, tools)))
        assistant.log = log
        return assistant

    yield open_assistant
    opened.close()


def _no_launch(_data_dir):
    raise AssertionError("this test must not start a server")
