"""Files that are replaced in one step."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tm_cli.errors import ConfigurationError
from tm_cli.runtime.environment import Environment
from tm_cli.runtime.files import write_atomic

posix = pytest.mark.skipif(os.name != "posix", reason="permissions and devices are POSIX")

INTERRUPTED_TWICE = """
import signal, sys
from pathlib import Path
from tm_cli.runtime.signals import SignalReceived, signals_raised
from tm_cli.runtime.files import write_atomic

class Slow(str):
    def encode(self):
        signal.raise_signal(signal.SIGTERM)

with signals_raised(restore=True):
    try:
        signal.raise_signal(signal.SIGTERM)
    except SignalReceived:
        write_atomic(Path(sys.argv[1]), Slow("half"))
"""


class Unwritable(str):
    def encode(self):
        raise OSError("no space left")


def test_the_file_is_replaced_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    write_atomic(path, "neu: ü\n")
    assert path.read_bytes() == "neu: ü\n".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_leaves_the_old_file_and_no_draft(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    with pytest.raises(OSError, match="no space left"):
        write_atomic(path, Unwritable("new"))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@posix
def test_a_private_file_replaces_one_that_others_could_read(tmp_path):
    path = tmp_path / "key"
    path.write_text("old")
    path.chmod(0o644)
    write_atomic(path, b"secret", mode=0o600)
    assert path.stat().st_mode & 0o777 == 0o600


@posix
def test_a_pipe_stays_one_and_is_written_to(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_atomic(path, "all of it")
        assert os.read(reader, 100) == b"all of it"
    finally:
        os.close(reader)
    assert path.is_fifo()


@pytest.mark.process
@posix
def test_a_second_signal_ends_at_once_and_leaves_no_draft(tmp_path):
    argv = [sys.executable, "-c", INTERRUPTED_TWICE, str(tmp_path / "report.json")]
    assert subprocess.run(argv, check=False).returncode == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("variable", ["TM_CONFIG_DIR", "TM_STATE_DIR"])
def test_a_directory_in_the_home_is_not_one_called_tilde(monkeypatch, tmp_path, variable):
    """Variables of a pipeline are not read by a shell."""
    for home in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(home, str(tmp_path))
    monkeypatch.setenv(variable, "~/tm")
    system = Environment.system()
    find = system.find_user_dir if variable == "TM_CONFIG_DIR" else system.find_state_dir
    assert find() == tmp_path / "tm"
    monkeypatch.setenv(variable, "~no-such-user/tm")
    with pytest.raises(ConfigurationError, match=f"{variable} names ~no-such-user/tm"):
        find()


@pytest.mark.parametrize("variable", ["TM_CONFIG_DIR", "TM_STATE_DIR"])
@pytest.mark.parametrize("name", ["", " ", "config.toml", "config.toml/deep"])
def test_a_variable_that_names_no_directory_is_refused(monkeypatch, tmp_path, variable, name):
    """With TM_CONFIG_DIR=/etc/tm/config.toml the settings of that file would be lost."""
    (tmp_path / "config.toml").write_text("fail_on = 'FAIL'")
    monkeypatch.setenv(variable, str(tmp_path / name) if name.strip() else name)
    system = Environment.system()
    find = system.find_user_dir if variable == "TM_CONFIG_DIR" else system.find_state_dir
    with pytest.raises(ConfigurationError, match=f"{variable} (is empty|names .* not a directory)"):
        find()
