"""The embedded server as commands meet it: started, shared, left to nobody. Real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tm_cli.embedded import EmbeddedServer, launch

PATIENCE = 20.0


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def has_left(server: EmbeddedServer, data_dir: Path) -> bool:
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
