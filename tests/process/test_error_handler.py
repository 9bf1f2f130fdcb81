"""The error boundary, the streams and signals: seen from outside, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tm_cli.exit_codes import ExitCode
from tm_cli.runtime.ci_platform import VARIABLES

pytestmark = pytest.mark.process

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")
as_root = pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0, reason="only root can become another user"
)
UNKNOWN = 54321


def tm(*argv: str, environ: Mapping[str, str] | None = None, **options) -> subprocess.Popen[str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("TM_") and name not in VARIABLES
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tm_cli", *argv],
        env={**kept, **(environ or {})},
        stdin=subprocess.DEVNULL,
        stdout=options.pop("stdout", subprocess.PIPE),
        stderr=options.pop("stderr", subprocess.PIPE),
        text=True,
        encoding="utf-8",
        **options,
    )


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["--version"], 0, ""),
        (["version"], 0, ""),
        (["rusn"], 64, "Did you mean 'runs'?"),
        (["runs", "start"], 64, "PROFILE"),
        (["runs", "start", "1", "--wiat"], 64, "--wait"),
        (["profiles", "list", "--base-url", "x"], 64, "--base-url"),
    ],
)
def test_exit_code_and_message(argv, code, words):
    process = tm(*argv)
    _, errors = process.communicate()
    assert process.returncode == code
    assert words in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    "variable", ["CI", "TEAMCITY_VERSION", "TF_BUILD", "CODEBUILD_BUILD_ID", "bamboo_buildKey"]
)
def test_without_a_server_ci_is_told_what_to_set(tmp_path, variable):
    process = tm("profiles", "list", environ={variable: "true"}, cwd=tmp_path)
    output, errors = process.communicate()
    assert (process.returncode, output) == (78, "")
    assert "TM_BASE_URL=local" in errors
    assert not list(tmp_path.iterdir())


def test_errors_are_json_where_json_is_asked_for():
    process = tm("profiles", "list", "--json", environ={"TM_BASE_URL": "nowhere"})
    output, errors = process.communicate()
    assert process.returncode == 78
    assert '"exit_name": "CONFIGURATION"' in output
    assert "TM_BASE_URL" in errors


@posix
def test_closed_standard_output_is_no_traceback():
    process = tm("config", "show", stdout=None, preexec_fn=lambda: os.close(1))
    _, errors = process.communicate()
    assert process.returncode == ExitCode.OUTPUT
    assert "Traceback" not in errors


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_full_disk_is_no_success():
    with open("/dev/full", "w") as full:  # noqa: PTH123
        process = tm("config", "show", stdout=full)
        _, errors = process.communicate()
    assert process.returncode == ExitCode.OUTPUT
    assert "could not be written" in errors


@posix
def test_a_reader_that_has_left_is_no_loss():
    reader, writer = os.pipe()
    os.close(reader)
    process = tm("config", "show", stdout=writer)
    os.close(writer)
    _, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")


class Slow(BaseHTTPRequestHandler):
    """Says that a request has come, and answers it never."""

    arrived = threading.Event()

    def do_GET(self) -> None:
        self.arrived.set()
        self.server.gate.wait(30)  # type: ignore[attr-defined]

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def stuck():
    server = HTTPServer(("127.0.0.1", 0), Slow)
    server.gate = threading.Event()  # type: ignore[attr-defined]
    Slow.arrived.clear()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.gate.set()  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()


@posix
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_signal_ends_with_its_code(stuck, number, code):
    process = tm("profiles", "list", environ={"TM_BASE_URL": stuck, "TM_API_KEY": "tm_canary"})
    assert Slow.arrived.wait(20)
    process.send_signal(number)
    output, errors = process.communicate(timeout=10)
    assert process.returncode == code
    assert output == ""
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert "canary" not in errors


@posix
def test_signal_that_is_ignored_stays_ignored(stuck):
    def ignore_hangup() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    settings = {"TM_BASE_URL": stuck, "TM_API_KEY": "tm_k", "TM_TIMEOUT": "1s"}
    process = tm("profiles", "list", environ=settings, preexec_fn=ignore_hangup)
    assert Slow.arrived.wait(20)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=20)
    assert process.returncode == ExitCode.UNAVAILABLE


def test_bug_is_an_internal_error_and_no_verdict(tm_in_process):
    def broken(_data_dir):
        raise ZeroDivisionError("oops")

    result = tm_in_process("profiles", "list", launch=broken)
    assert result.exit_code == ExitCode.INTERNAL
    assert "internal error: ZeroDivisionError: oops" in result.stderr
    assert "report it" in result.stderr


@pytest.fixture
def tm_in_process(request):
    return request.getfixturevalue("tm")


@as_root
def test_a_user_without_a_home_is_told_what_to_set():
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH")}
    answer = subprocess.run(
        [sys.executable, "-m", "tm_cli", "runs", "wait", "--last"],
        env=kept,
        cwd="/",
        user=UNKNOWN,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == ExitCode.CONFIGURATION, answer.stderr
    assert "has no home directory" in answer.stderr
    assert "TM_STATE_DIR" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("home", [{}, {"HOME": "/root"}])
@as_root
def test_a_gate_with_address_and_key_needs_no_home(home):
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH")}
    server = {"TM_BASE_URL": "http://127.0.0.1:9", "TM_API_KEY": "tm_test-key-1234567890"}
    answer = subprocess.run(
        [sys.executable, "-m", "tm_cli", "runs", "start", "1", "--wait", "--fail-on", "FAIL"],
        env={**kept, **home, **server},
        cwd="/",
        user=UNKNOWN,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == ExitCode.UNAVAILABLE, answer.stderr


@posix
@pytest.mark.parametrize("words", [("profiles", "list"), ("config", "show", "--json")])
def test_a_directory_that_was_deleted_is_a_refusal_with_a_hint(tmp_path, words):
    answer = subprocess.run(
        [
            "/bin/sh",
            "-c",
            'rmdir "$PWD" && exec "$@"',
            "sh",
            sys.executable,
            "-m",
            "tm_cli",
            *words,
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == ExitCode.CONFIGURATION, answer.stderr
    assert answer.stderr.splitlines() == [
        "tm: cannot use the current directory: No such file or directory",
        "hint: it may have been deleted; change to another one",
    ]
    assert ("configuration" in answer.stdout) == ("--json" in words)


@pytest.mark.parametrize("path", ["a" * 5000, "d/" * 3000 + "x"], ids=["name", "path"])
@pytest.mark.parametrize(
    "words",
    [("runs", "start", "42", "--wait", "--report", "json={}"), ("runs", "start", "{}.yaml")],
    ids=["report", "profile"],
)
def test_a_path_that_is_too_long_is_a_usage_error(tm, words, path):
    environ = {"TM_BASE_URL": "http://127.0.0.1:1/", "TM_API_KEY": "tm_k"}
    outcome = tm(*(word.format(path) for word in words), environ=environ)
    assert outcome.exit_code == ExitCode.USAGE, outcome.stderr[-300:]
