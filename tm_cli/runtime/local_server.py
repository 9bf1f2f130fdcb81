"""The embedded server as a child process: found or started, held by a lease, gone afterwards.

Every command holds one HTTP request open, the lease. The server leaves when the last lease and the
last run are gone, so that several commands share one, a killed command leaks nothing, and a run
without a waiting command still runs to its end.
"""

from __future__ import annotations

import http
import importlib.util
import math
import os
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tm_cli.errors import ConfigurationError, TmError, Unavailable
from tm_cli.exit_codes import ExitCode
from tm_cli.runtime import child_environment
from tm_cli.runtime.announcement import (
    ServerAnnouncement,
    connect_proven,
    exchange,
    read_announcement,
)
from tm_cli.runtime.trusted_files import LOG_FILE, check_data_dir, open_data_file, prepare_data_dir

LONGEST_START = 30.0
LOOK_EVERY = 0.05
SHORTEST_PAUSE = 0.1
PROOF_TIMEOUT = 3.0
LEASE_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class LocalServerLease:
    """A running server and our lease on it."""

    base_url: str
    api_key_file: Path
    pid: int
    started_here: bool
    lease: socket.socket
    allows_public_targets: bool = False

    def close(self) -> None:
        """Give the lease back; the server leaves when it was the last."""
        self.lease.close()


def is_server_installed() -> bool:
    """Whether the extra `local` is there, without importing it."""
    return all(importlib.util.find_spec(name) is not None for name in ("uvicorn", "locust"))


def launch(data_dir: Path) -> LocalServerLease:
    """Return the server of `data_dir`, started if none runs there.

    Raises ConfigurationError when the extra `local` is missing, the directory is not to be trusted,
    or the server refuses to start.
    """
    if not is_server_installed():
        raise ConfigurationError(
            "no server is configured, and the embedded one is not installed",
            hint="pip install 'tm-cli[local]', or set TM_BASE_URL and TM_API_KEY",
        )
    check_data_dir(data_dir, os.environ)
    absent = read_announcement(data_dir, os.environ)
    if absent is not None and (found := _take_lease(absent, started_here=False)) is not None:
        return found
    child = _spawn(data_dir)
    deadline = time.monotonic() + LONGEST_START
    pause, again_at = SHORTEST_PAUSE, math.inf
    while (now := time.monotonic()) < deadline:
        announced = read_announcement(data_dir, os.environ)
        if announced not in (None, absent) and (found := _take_lease(announced, started_here=True)):
            child.returncode = 0  # it outlives us if others use it: nothing to warn about
            return found
        if now >= again_at:
            child, again_at = _spawn(data_dir), math.inf
        elif again_at == math.inf and child.poll() is not None:
            # It lost a race against a server that is leaving or coming.
            if not _is_taken(child, data_dir):
                raise _refusal(child, data_dir)
            absent = None  # a server is there after all, and was slow to answer
            # Many commands that come at once must not hold up the server that they wait for.
            again_at, pause = time.monotonic() + pause, pause * 2
        time.sleep(LOOK_EVERY)
    child.kill()
    raise _no_start(data_dir)


def _take_lease(announced: ServerAnnouncement, *, started_here: bool) -> LocalServerLease | None:
    """Take a lease from the server if it is there; another program at its port gets no key."""
    if (connection := connect_proven(announced, PROOF_TIMEOUT)) is None:
        return None
    deadline = time.monotonic() + LEASE_TIMEOUT
    with suppress(OSError, ValueError):
        answer = exchange(connection, announced, "/tm/lease", deadline, key=announced.key.reveal())
        if answer.status == http.HTTPStatus.OK:
            return LocalServerLease(
                announced.base_url,
                announced.key_file,
                announced.pid,
                started_here,
                connection,
                announced.allows_public_targets,
            )
    connection.close()
    return None


def _spawn(data_dir: Path) -> subprocess.Popen[bytes]:
    try:
        prepare_data_dir(data_dir, os.environ)
        log = _open_log(data_dir)
    except OSError as problem:
        raise ConfigurationError(
            f"cannot keep the embedded server's data in {data_dir}: {problem.strerror}",
            hint="choose another directory with TM_DATA_DIR",
        ) from None
    command = [*child_environment.command("tm_cli"), "serve", "--exit-when-unused", "--port", "0"]
    # A group of its own: Ctrl-C at the terminal is for the command, not for the server.
    detached = (
        {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}  # type: ignore[attr-defined]
        if os.name == "nt"
        else {"start_new_session": True}
    )
    with log:
        return subprocess.Popen(  # noqa: S603
            [*command, "--data-dir", str(data_dir)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            env=child_environment.environment(os.environ, child_environment.SERVER),
            **detached,
        )


def _open_log(data_dir: Path) -> BinaryIO:
    """Open the log for a new server; it is emptied only once it is known to be one of ours."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND  # children of other commands write there, too
    log = os.fdopen(open_data_file(data_dir / LOG_FILE, flags, os.environ), "wb")
    log.truncate()
    return log


def _is_taken(child: subprocess.Popen[bytes], data_dir: Path) -> bool:
    """Whether it says so, wherever in the log that it shares with the server that is there.

    A log that is empty was emptied for another child since.
    """
    lines = _log_lines(data_dir)
    says_so = not lines or any(" is in use by " in line for line in lines)
    return child.returncode == ExitCode.CONFIGURATION and says_so


def _refusal(child: subprocess.Popen[bytes], data_dir: Path) -> TmError:
    """What a server that has ended tells: why it may not start here, or that it could not."""
    message, hint = _last_words(data_dir)
    if child.returncode == ExitCode.CONFIGURATION:
        return ConfigurationError(f"the embedded server does not start: {message}", hint=hint)
    return _no_start(data_dir)


def _no_start(data_dir: Path) -> Unavailable:
    return Unavailable(
        f"the embedded server did not start: {_last_words(data_dir)[0]}",
        hint=f"its log is {data_dir / LOG_FILE}; `tm serve` runs it in the foreground",
    )


def _last_words(data_dir: Path) -> tuple[str, str | None]:
    """The last message in the log, and the hint after it."""
    hint = None
    for line in reversed(_log_lines(data_dir)):
        if line.startswith("hint: "):
            hint = line.removeprefix("hint: ")
        elif line.strip():
            return line.removeprefix("tm: "), hint
    return "no message in its log", None


def _log_lines(data_dir: Path) -> list[str]:
    try:
        log = open_data_file(data_dir / LOG_FILE, os.O_RDONLY, os.environ)
    except (OSError, ConfigurationError):
        return []
    with os.fdopen(log, encoding="utf-8", errors="replace") as file:
        return file.read().splitlines()
