"""The embedded server as commands meet it: started, shared, left to nobody. Real processes."""

from __future__ import annotations

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import pytest
from filelock import FileLock

from tm_cli.errors import ConfigurationError
from tm_cli.runtime.local_server import LocalServerLease, launch

pytestmark = pytest.mark.process

PATIENCE = 20.0


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def has_left(server: LocalServerLease, data_dir: Path) -> bool:
    return not (data_dir / "server.json").exists()


def tm(cwd: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TM_")}
    return subprocess.run(
        [sys.executable, "-m", "tm_cli", *argv],
        cwd=cwd,
        env={**kept, "TM_BASE_URL": "local"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


@pytest.fixture
def data_dir(tmp_path):
    return tmp_path / ".tm"


def test_commands_share_one_server_and_the_last_ends_it(data_dir):
    first = launch(data_dir)
    second = launch(data_dir)
    assert (first.started_here, second.started_here) == (True, False)
    assert first.pid == second.pid
    first.close()
    third = launch(data_dir)
    assert third.pid == second.pid
    second.close()
    third.close()
    assert eventually(lambda: has_left(first, data_dir))


def test_lease_of_a_server_that_is_leaving_is_not_trusted(data_dir, tmp_path):
    for pause in (0.3, 0.45, 0.5, 0.55, 0.6, 0.8):
        server = launch(data_dir)
        server.close()
        time.sleep(pause)
        result = tm(tmp_path, "profiles", "list")
        assert result.returncode == 0, result.stderr


def test_data_is_private_and_ignored_by_git(data_dir):
    server = launch(data_dir)
    server.close()
    assert (data_dir / ".gitignore").read_text(encoding="utf-8") == "*\n"
    if os.name == "posix":
        assert data_dir.stat().st_mode & 0o777 == 0o700
        assert server.api_key_file.stat().st_mode & 0o777 == 0o600
    assert eventually(lambda: has_left(server, data_dir))


def test_directory_that_cannot_be_made_is_a_configuration_error(tmp_path):
    (tmp_path / ".tm").write_text("a file", encoding="utf-8")
    result = tm(tmp_path, "profiles", "list")
    assert result.returncode == 78
    assert "cannot keep the embedded server's data" in result.stderr
    assert "Traceback" not in result.stderr


class Sink(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def target():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_killed_server_is_started_again_and_its_run_is_undecided(tmp_path, target):
    document = {"name": "p", "duration": 30, "endpointUrl": target, "points": [[0, 5], [30, 5]]}
    (tmp_path / "p.json").write_text(json.dumps(document), encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TM_")}
    gate = subprocess.Popen(
        [sys.executable, "-m", "tm_cli", "runs", "start", "p.json", "--wait", "--fail-on", "FAIL"],
        cwd=tmp_path,
        env={**kept, "TM_BASE_URL": "local", "TM_POLL_INTERVAL": "200ms"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    info = tmp_path / ".tm" / "server.json"

    def is_running() -> bool:
        return info.exists() and "RUNNING" in tm(tmp_path, "runs", "status", "p").stdout

    assert eventually(is_running)
    os.kill(json.loads(info.read_text(encoding="utf-8"))["pid"], signal.SIGTERM)
    output, errors = gate.communicate(timeout=PATIENCE)
    assert gate.returncode == 5, errors
    assert "interrupted" in output


@pytest.mark.skipif(os.name != "posix", reason="links and pipes are POSIX")
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_log_that_is_no_file_is_refused_and_left_as_it_is(data_dir, tmp_path, kind):
    data_dir.mkdir()
    (tmp_path / "victim").write_text("old")
    if kind == "pipe":
        os.mkfifo(data_dir / "server.log")
    else:
        (data_dir / "server.log").symlink_to(tmp_path / "victim")
    with pytest.raises(ConfigurationError, match=r"is a link|is not a regular file"):
        launch(data_dir)
    assert (tmp_path / "victim").read_text() == "old"


def test_a_start_that_loses_a_race_waits_for_the_end_of_the_other_server(data_dir):
    """The other one writes into the same log, behind the refusal of the one that lost."""
    data_dir.mkdir(mode=0o700)
    log = data_dir / "server.log"
    found: list[LocalServerLease] = []
    thread = threading.Thread(target=lambda: found.append(launch(data_dir)))
    with FileLock(data_dir / "server.lock"):
        thread.start()
        assert eventually(log.exists)
        with log.open("a", encoding="utf-8") as other:
            assert eventually(lambda: write(other) and " is in use by " in log.read_text())
            for _ in range(20):
                write(other)
                thread.join(0.02)
            assert thread.is_alive(), "the start was given up"
    thread.join(PATIENCE)
    assert len(found) == 1
    found[0].close()
    assert eventually(lambda: has_left(found[0], data_dir))


def write(log: TextIO) -> bool:
    log.write("tm: a message of the other server\n")
    log.flush()
    return True
