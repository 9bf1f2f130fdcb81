"""Ctrl-C while the server works on a change: it may have been made, and the message says so."""

import signal
import threading

import pytest
from werkzeug import Response

from tm_cli.exit_codes import ExitCode

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "pthread_kill"), reason="a thread cannot signal another one"
)

GROUP = {"method": "GET", "urlSkeleton": "https://shop.test/", "rowCount": 1}
ANALYSIS = {"stats": {"totalRequests": 1, "durationSeconds": 0.0}, "groups": [GROUP]}


@pytest.fixture
def interrupts(httpserver):
    """Let the arrival of a request send SIGINT to the command."""

    def on(method, path):
        def press(_request):
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            return Response("{}", content_type="application/json")

        httpserver.expect_request(f"/api/v1{path}", method=method).respond_with_handler(press)

    return on


@pytest.fixture
def capture(tm):
    (tm.cwd / "t.jsonl").write_text('{"t": 1, "method": "GET", "url": "https://shop.test/"}\n')


@pytest.mark.parametrize(
    ("method", "path", "argv"),
    [
        ("DELETE", "/history/7", ("history", "delete", "7", "--yes")),
        ("POST", "/domains", ("domains", "add", "shop.example")),
    ],
)
def test_an_interrupted_change_may_have_been_made(gate, server, interrupts, method, path, argv):
    interrupts(method, path)
    result = gate(*argv)
    assert result.exit_code == ExitCode.INTERRUPTED
    assert result.stderr == (
        "tm: interrupted\n"
        f"hint: the server may have carried out {method} /api/v1{path}: "
        "look before you repeat the command\n"
    )


def test_an_interrupted_import_names_what_it_may_have_made(gate, server, interrupts, capture):
    server.answer("POST", "/captures/analyse", ANALYSIS)
    interrupts("POST", "/captures/import")
    result = gate("captures", "import", "t.jsonl", "--select", "1")
    assert result.exit_code == ExitCode.INTERRUPTED
    assert "profiles may have been made: look at `tm profiles list`" in result.stderr


@pytest.mark.parametrize(
    ("method", "path", "argv"),
    [
        ("GET", "/domains", ("domains", "list")),
        ("POST", "/captures/analyse", ("captures", "analyse", "t.jsonl")),
        (
            "POST",
            "/captures/analyse-remote",
            ("captures", "analyse", "--source", "1", "--path", "t.jsonl"),
        ),
    ],
)
def test_an_interrupted_read_has_nothing_to_look_for(
    gate, server, interrupts, capture, method, path, argv
):
    if "--source" in argv:
        server.answer("GET", "/capture-sources", [{"id": 1, "name": "logs", "kind": "S3"}])
    interrupts(method, path)
    result = gate(*argv)
    assert (result.exit_code, result.stderr) == (ExitCode.INTERRUPTED, "tm: interrupted\n")
