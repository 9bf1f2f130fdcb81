"""What `tm agent` says before and instead of working."""

import os
import signal
import socketserver
import threading

import pytest

from tests.unit.server.running_server import eventually
from tm_cli.exit_codes import ExitCode

pytestmark = pytest.mark.process

KEY = {"TM_API_KEY": "tm_secret"}
HERE = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("words", "environ", "code", "said"),
    [
        (["--server", HERE], KEY, ExitCode.USAGE, "--region is missing"),
        (["--server", HERE, "--region", "local"], KEY, ExitCode.USAGE, "the server's own machine"),
        (["--server", HERE, "--region", "EU West"], KEY, ExitCode.USAGE, "the region needs"),
        (["--server", HERE, "--region", "eu", "--name", "A"], KEY, ExitCode.USAGE, "the agent"),
        (
            ["--server", "ftp://x", "--region", "eu"],
            KEY,
            ExitCode.USAGE,
            "the scheme must be http or https",
        ),
        (["--region", "eu"], KEY, ExitCode.CONFIGURATION, "no server is configured"),
        (["--server", "local", "--region", "eu"], KEY, ExitCode.CONFIGURATION, "no server"),
        (["--server", HERE, "--region", "eu"], {}, ExitCode.CONFIGURATION, "no API key"),
        (
            ["--server", "http://load.example", "--region", "eu"],
            KEY,
            ExitCode.USAGE,
            "unencrypted",
        ),
        (
            ["--server", "https://load.example", "--region", "eu"],
            {**KEY, "TM_CA_FILE": "missing.pem"},
            ExitCode.CONFIGURATION,
            "certificates in missing.pem",
        ),
        (
            ["--server", HERE, "--region", "eu", "--client-certificate", "missing.pem"],
            KEY,
            ExitCode.CONFIGURATION,
            "missing.pem cannot be read on this machine",
        ),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_sent(tm, words, environ, code, said):
    result = tm("agent", *words, environ=environ)
    assert result.exit_code == code
    assert said in result.stderr
    assert result.stdout == ""


def test_a_wrong_key_is_an_authentication_error(tm, server):
    words = ["--server", server.info.base_url, "--region", "eu"]
    result = tm("agent", *words, environ={"TM_API_KEY": "tm_wrong"})
    assert result.exit_code == ExitCode.AUTHENTICATION
    assert "Authentication required" in result.stderr
    assert "tm_wrong" not in result.stderr


@pytest.mark.skipif(os.name != "posix", reason="needs SIGINT for the own process")
def test_an_agent_that_leaves_reports_it(tm, server):
    def interrupt():
        with server.client() as client:
            eventually(lambda: "eu" in client.get("/api/v1/regions").text)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    words = ["--server", server.info.base_url, "--region", "eu", "--name", "a1"]
    result = tm("agent", *words, environ={"TM_API_KEY": server.key})
    thread.join()
    assert result.exit_code == ExitCode.OK
    assert result.stderr.splitlines()[-1] == f"tm: eu/a1 has left {server.info.base_url}/"


@pytest.fixture
def answering():
    """Start a server that gives everybody the same answer: its URL, and the request lines."""
    started = []

    def start(status, *headers, body=b""):
        lines = []

        class Answer(socketserver.StreamRequestHandler):
            def handle(self):
                lines.append(self.rfile.readline().decode().strip())
                while self.rfile.readline().strip():
                    pass
                head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers, "", ""]
                self.wfile.write("\r\n".join(head).encode() + body)

        server = socketserver.TCPServer(("127.0.0.1", 0), Answer)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        started.append((server, thread))
        return f"http://127.0.0.1:{server.server_address[1]}", lines

    yield start
    for server, thread in started:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "code", "said"),
    [
        (404, b'{"error": "Not\\u001b[31m Found"}', ExitCode.CONFIGURATION, "Not [31m Found"),
        (200, b"<html>", ExitCode.CONFIGURATION, "status 200"),
        (403, b'["x"]', ExitCode.AUTHENTICATION, "status 403"),
        (421, b"", ExitCode.CONFIGURATION, "--hostname"),
    ],
)
def test_what_a_server_refuses_ends_the_agent(tm, answering, status, body, code, said):
    url, _ = answering(status, body=body)
    result = tm("agent", "--server", url, "--region", "eu", environ=KEY)
    assert result.exit_code == code
    assert said in result.stderr
    assert "\x1b" not in result.stderr


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_does_not_carry_the_key_away(tm, answering, status):
    other, heard = answering(200)
    url, _ = answering(status, f"Location: {other.replace('http', 'ws', 1)}/tm/agent")
    result = tm("agent", "--server", url, "--region", "eu", environ=KEY)
    assert result.exit_code == ExitCode.CONFIGURATION
    assert heard == []
