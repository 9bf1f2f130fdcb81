"""A key comes from a terminal that does not show it, or from a pipe; real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

KEY = "tm_canary-key-0123456789"
LOGIN = (
    sys.executable, "-m", "tm_cli", "auth", "login", "--no-check", "--json",
    "--base-url", "http://127.0.0.1:9",
)  # fmt: skip


@pytest.fixture
def environ(tmp_path):
    directories = {"TM_CONFIG_DIR": str(tmp_path / "user"), "TM_STATE_DIR": str(tmp_path / "state")}
    plain = {name: value for name, value in os.environ.items() if not name.startswith("TM_")}
    return {**plain, **directories}


def stored(output):
    path = Path(json.loads(output)["data"]["stored_in"])
    return json.loads(path.read_text(encoding="utf-8"))["key"]


@pytest.mark.parametrize(
    "piped",
    [KEY, f"{KEY}\n", f"{KEY}\r\n", f"\ufeff{KEY}\r\n"],
    ids=["bare", "line", "dos-line", "powershell"],
)
def test_key_is_read_from_a_pipe(piped, environ, tmp_path):
    done = subprocess.run(
        LOGIN, input=piped.encode(), capture_output=True, env=environ, cwd=tmp_path, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert stored(done.stdout) == KEY
    assert KEY.encode() not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("piped", "words"),
    [(b"", "empty"), (b"a\nb\n", "0x0A"), (b"x" * 70_000, "too long"), (b"tm_\xff\n", "not UTF-8")],
    ids=["nothing", "two-lines", "a-file", "bytes"],
)
def test_pipe_that_holds_no_key_is_refused(piped, words, environ, tmp_path):
    done = subprocess.run(
        LOGIN, input=piped, capture_output=True, env=environ, cwd=tmp_path, timeout=60
    )
    assert done.returncode in {64, 78}
    assert words in done.stderr.decode()
    assert not list((tmp_path / "user").rglob("*.json"))


@pytest.mark.skipif(os.name != "posix", reason="pipes that do not block are POSIX")
def test_key_that_comes_late_through_a_pipe_that_does_not_block(environ, tmp_path):
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    told, tell = os.pipe()
    program = f"""
import os, select
wait = select.select
def tell(*arguments):
    os.write({tell}, b"waits")
    return wait(*arguments)
select.select = tell
from tm_cli.main import run
run()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, *LOGIN[3:]],
        stdin=reader,
        stdout=subprocess.PIPE,
        env={**environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=tmp_path,
        pass_fds=[tell],
    ) as process:
        os.close(tell)
        assert os.read(told, 5) == b"waits"
        os.write(writer, KEY.encode())
        os.close(writer)
        output, _ = process.communicate(timeout=60)
    for descriptor in (reader, told):
        os.close(descriptor)
    assert process.returncode == 0
    assert stored(output) == KEY


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are POSIX")
def test_terminal_does_not_show_what_is_entered(environ, tmp_path):
    ours, theirs = os.openpty()
    with subprocess.Popen(
        LOGIN,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=environ,
        cwd=tmp_path,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        shown = b""
        while b"not shown" not in shown:
            shown += os.read(ours, 1024)
        os.write(ours, KEY.encode() + b"\n")
        output, _ = process.communicate(timeout=60)
        with suppress(OSError):  # what a terminal whose other end is closed may raise
            shown += os.read(ours, 1024)
    os.close(ours)
    assert process.returncode == 0
    assert stored(output) == KEY
    assert KEY.encode() not in shown
