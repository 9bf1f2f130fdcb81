"""`tm mcp` as a process: what it writes where, and how it ends."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from tests.unit.server.running_server import eventually

pytestmark = pytest.mark.process

HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
READY = {"jsonrpc": "2.0", "method": "notifications/initialized"}
WITHOUT_EXTRA = """
import sys
sys.modules["mcp"] = None
from tm_cli.main import main
sys.exit(main(["mcp"]))
"""


class Process:
    """A `tm mcp` that is spoken to by hand."""

    def __init__(self, environ, cwd, stdin=subprocess.PIPE):
        self.child = subprocess.Popen(
            [sys.executable, "-m", "tm_cli", "mcp"],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**environ, "SYSTEMROOT": os.environ.get("SYSTEMROOT", "")},
            cwd=cwd,
        )
        self.written = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.child.stdout:
            self.written.append(json.loads(line))

    def say(self, message):
        self.child.stdin.write(json.dumps(message).encode() + b"\n")
        self.child.stdin.flush()

    def greet(self):
        self.say(HELLO)
        eventually(lambda: self.answer(1), patience=20)
        self.say(READY)

    def call(self, number, name, **arguments):
        meta = {"progressToken": f"token-{number}"}
        params = {"name": name, "arguments": arguments, "_meta": meta}
        self.say({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})

    def answer(self, number):
        return next((item for item in self.written if item.get("id") == number), None)

    def note(self):
        """The newest notification of progress."""
        notes = [item for item in self.written if item.get("method") == "notifications/progress"]
        return notes[-1] if notes else None

    def end(self):
        code = self.child.wait(15)
        self._reader.join(15)
        return code

    def close(self):
        self.child.kill()
        self.child.wait()
        for stream in (self.child.stdin, self.child.stdout, self.child.stderr):
            with contextlib.suppress(OSError):
                stream.close()


@pytest.fixture
def process(environ, tmp_path):
    found = Process(environ, tmp_path)
    yield found
    found.close()


def test_an_older_client_is_served_until_the_end_of_input_and_its_run_goes_on(process, api):
    """Even one that cuts a text within an emoji: half a character leaves no call unanswered."""
    profile = api.save("left by the end of input", "mode=hold")
    process.greet()
    process.call(2, "half \ud83d and whole \U0001f680 \\ud83d \ude00")
    process.call(3, "tm_list_profiles")
    named = eventually(lambda: process.answer(2), patience=20)["error"]["message"]
    assert named == "unknown tool 'half \ufffd and whole \U0001f680 \\\\ud83d \ufffd'"
    answer = eventually(lambda: process.answer(3), patience=20)
    assert answer["result"]["isError"] is False
    assert answer["result"]["structuredContent"]["exit_code"] == 0
    process.call(4, "tm_start_run", profile_id=profile, wait=True, fail_on_verdict=["FAIL"])
    eventually(process.note, patience=20)
    process.child.stdin.close()
    check_end(process, api, profile)
    assert all(item["jsonrpc"] == "2.0" for item in process.written)


def check_end(process, api, profile):
    """The process has ended without a failure, and left the run of call 4 as it was."""
    assert process.end() == 0
    (line,) = process.child.stderr.read().splitlines()
    assert b"nothing was done to run" in line
    assert api.status(profile)["status"] == "RUNNING"
    answer = process.answer(4)
    assert answer is None or "error" in answer


@pytest.mark.skipif(os.name != "posix", reason="pipes that do not block are POSIX")
def test_input_that_does_not_block_is_waited_for(environ, tmp_path):
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    process = Process(environ, tmp_path, stdin=reader)
    os.close(reader)
    with os.fdopen(writer, "wb") as process.child.stdin:
        process.greet()  # by the first answer, the second read has found nothing
        process.say({"jsonrpc": "2.0", "id": 2, "method": "tools/list"})
        answered = eventually(lambda: process.answer(2), patience=20)
    code, errors = process.end(), process.child.stderr.read()
    process.close()
    assert answered["result"]["tools"]
    assert (code, errors) == (0, b"")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM to catch")
def test_a_signal_during_a_wait_leaves_the_run_going(process, api):
    profile = api.save("left by a signal", "mode=hold")
    process.greet()
    process.call(4, "tm_start_run", profile_id=profile, wait=True, fail_on_verdict=["FAIL"])
    eventually(process.note, patience=20)
    process.child.send_signal(signal.SIGTERM)
    check_end(process, api, profile)


def test_without_the_extra_one_line_says_what_to_install():
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRA], capture_output=True, text=True, check=False
    )
    assert result.returncode == 78
    assert result.stdout == ""
    assert "pip install 'tm-cli[mcp]'" in result.stderr
    assert len(result.stderr.splitlines()) == 2
