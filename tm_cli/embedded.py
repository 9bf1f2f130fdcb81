"""The embedded server as a child process: found or started, held by a lease, gone afterwards.

Every command holds one HTTP request open, the lease. The server leaves when the last lease and the
last run are gone, so that several commands share one, a killed command leaks nothing, and a run
that nobody waits for is still played to its end.
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tm_cli import children
from tm_cli.errors import ConfigurationError, Unavailable
from tm_cli.exit_codes import ExitCode
from tm_cli.private_dir import make_private_dir

LONGEST_START = 30.0
LOOK_EVERY = 0.05
LEASE_TIMEOUT = 5.0
LOG = "server.log"


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A running server and our lease on it."""

    base_url: str
    api_key_file: Path
    pid: int
    started_here: bool
    lease: http.client.HTTPConnection

    def close(self) -> None:
        """Give the lease back; the server leaves when it was the last."""
        self.lease.close()


def launch(data_dir: Path) -> EmbeddedServer:
    """Return the server of `data_dir`, started if none runs there.

    Raises ConfigurationError when the extra `local` is missing or the server refuses to start.
    """
    if importlib.util.find_spec("uvicorn") is None or importlib.util.find_spec("locust") is None:
        raise ConfigurationError(
            "no server is configured, and the embedded one is not installed",
            hint="pip install 'tm-cli[local]', or set TM_BASE_URL and TM_API_KEY",
        )
    if (found := _attach(data_dir, started_here=False)) is not None:
        return found
    child = _spawn(data_dir)
    deadline = time.monotonic() + LONGEST_START
    while time.monotonic() < deadline:
        if (found := _attach(data_dir, started_here=True)) is not None:
            child.returncode = 0  # it outlives us if others use it: nothing to warn about
            return found
        if child.poll() is not None:  # it lost a race against a server that is leaving or coming
            if child.returncode != ExitCode.CONFIGURATION or not _is_taken(data_dir):
                break
            child = _spawn(data_dir)
        time.sleep(LOOK_EVERY)
    child.kill()
    raise Unavailable(
        f"the embedded server did not start: {_last_words(data_dir)}",
        hint=f"its log is {data_dir / LOG}; `tm serve` runs it in the foreground",
    )


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a server says about itself in its directory, for as long as it runs or until it dies."""

    base_url: str
    api_key_file: Path
    pid: int


def read_announcement(data_dir: Path) -> Announcement | None:
    """Return where the server of `data_dir` says it is; None when it says nothing."""
    try:
        info = json.loads((data_dir / "server.json").read_text(encoding="utf-8"))
        url, pid = str(info["base_url"]).rstrip("/") + "/", int(info["pid"])
        return Announcement(url, Path(info["api_key_file"]), pid)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _attach(data_dir: Path, *, started_here: bool) -> EmbeddedServer | None:
    """Take a lease from the server that `server.json` names; None when nobody is there."""
    if (said := read_announcement(data_dir)) is None:
        return None
    try:
        address = urlsplit(said.base_url)
        key = said.api_key_file.read_text(encoding="utf-8").strip()
        lease = http.client.HTTPConnection(
            address.hostname or "", address.port or 80, timeout=LEASE_TIMEOUT
        )
    except (OSError, ValueError):
        return None
    with suppress(OSError, http.client.HTTPException):
        lease.request("GET", "/tm/lease", headers={"X-Api-Key": key})
        if lease.getresponse().status == http.client.OK:
            return EmbeddedServer(said.base_url, said.api_key_file, said.pid, started_here, lease)
    lease.close()
    return None


def _spawn(data_dir: Path) -> subprocess.Popen[bytes]:
    try:
        make_private_dir(data_dir)
    except OSError as problem:
        raise ConfigurationError(
            f"cannot keep the embedded server's data in {data_dir}: {problem.strerror}",
            hint="choose another directory with TM_DATA_DIR",
        ) from None
    command = [*children.command("tm_cli"), "serve", "--exit-when-unused", "--port", "0"]
    # A group of its own: Ctrl-C at the terminal is for the command, not for the server.
    detached = (
        {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}  # type: ignore[attr-defined]
        if os.name == "nt"
        else {"start_new_session": True}
    )
    _require_file(data_dir / LOG)
    with (data_dir / LOG).open("wb") as log:
        return subprocess.Popen(  # noqa: S603
            [*command, "--data-dir", str(data_dir)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            env=children.environment(os.environ, children.SERVER),
            **detached,
        )


def _require_file(path: Path) -> None:
    """Raise ConfigurationError for a link, which would empty another file, and for a pipe."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise ConfigurationError(
            f"cannot keep the embedded server's log in {path}: it is not a file",
            hint="remove it, or choose another directory with TM_DATA_DIR",
        )


def _is_taken(data_dir: Path) -> bool:
    return "in use" in _last_words(data_dir)


def _last_words(data_dir: Path) -> str:
    with suppress(OSError):
        lines = (data_dir / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
        said = [line for line in lines if line.strip() and not line.startswith("hint:")]
        if said:
            return said[-1].removeprefix("tm: ")
    return "it said nothing"
