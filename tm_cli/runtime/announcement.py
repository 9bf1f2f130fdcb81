"""Where the embedded server listens, and how it proves its identity.

`server.json` outlives a server that was killed, and then its port may be another program's. So a
client asks first: the server answers a random challenge with the key, which is not sent.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tm_cli.errors import ConfigurationError
from tm_cli.runtime.trusted_files import (
    INFO_FILE,
    KEY_FILE,
    check_data_dir,
    is_private_dir,
    read_key,
    read_private_file,
)
from tm_cli.values.api_key import ApiKey

IDENTITY_PATH = "/tm/identity"
CHALLENGE = re.compile(r"[0-9a-f]{64}")

_LABEL = "tm embedded server, identity 1"
_ADDRESS = re.compile(r"http://(127\.0\.0\.1|\[::1\]):([1-9][0-9]{0,4})")
_LONGEST_INFO = 64 * 1024
_LONGEST_HEAD = 8 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: |\r)")


@dataclass(frozen=True, slots=True)
class ServerAnnouncement:
    """A server of this user on this machine, as it is announced; it may have been killed since."""

    host: str
    port: int
    pid: int
    key: ApiKey = field(compare=False)
    key_file: Path
    allows_public_targets: bool = False

    @property
    def base_url(self) -> str:
        """The address as clients are given it."""
        return f"http://{self.authority}/"

    @property
    def authority(self) -> str:
        """Host and port as they stand in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def find_running(
    data_dir: Path, environ: Mapping[str, str], patience: float
) -> ServerAnnouncement | None:
    """Return the server of `data_dir` if it proves within `patience` seconds that it is there.

    None as well for a directory that is not to be believed.
    """
    try:
        check_data_dir(data_dir, environ)
    except ConfigurationError:
        return None
    return find_running_in_checked(data_dir, environ, patience)


def find_running_in_checked(
    data_dir: Path, environ: Mapping[str, str], patience: float
) -> ServerAnnouncement | None:
    """Return the same for a directory that was checked."""
    announcement = read_announcement(data_dir, environ)
    if announcement is None or (proven := connect_proven(announcement, patience)) is None:
        return None
    proven.close()
    return announcement


def read_announcement(data_dir: Path, environ: Mapping[str, str]) -> ServerAnnouncement | None:
    """Return where the server of a directory that was checked says it is; None if not believed.

    It is believed when it names loopback and the key file that lies with it, and when only
    the user can have written either.
    """
    key_file = data_dir / KEY_FILE
    try:
        if not is_private_dir(data_dir):
            return None
        info = json.loads(read_private_file(data_dir / INFO_FILE, environ, _LONGEST_INFO))
        host, port = _address(info["base_url"])
        if not _is_same_path(info["api_key_file"], key_file):
            return None
        key = ApiKey(read_key(data_dir, environ))
        allows_public = info.get("allow_public_targets") is True
        return ServerAnnouncement(host, port, _pid(info["pid"]), key, key_file, allows_public)
    except (ConfigurationError, OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _address(base_url: str) -> tuple[str, int]:
    """Host and port of loopback, in the one spelling that servers use."""
    found = _ADDRESS.fullmatch(base_url)
    if found is None or int(found[2]) > 65535:
        raise ValueError("no address of an embedded server")
    return found[1].strip("[]"), int(found[2])


def _pid(value: object) -> int:
    if type(value) is not int or value <= 0:
        raise ValueError("no process id")
    return value


def _is_same_path(named: str, key_file: Path) -> bool:
    """Compare the texts: what is named is not even looked at."""
    ours = (key_file, Path(os.path.realpath(key_file.parent)) / key_file.name)
    return _plain(named) in {_plain(path) for path in ours}


def _plain(path: str | Path) -> str:
    return os.path.normcase(os.path.abspath(path))  # noqa: PTH100 - `resolve` would look there


def connect_proven(announcement: ServerAnnouncement, patience: float) -> socket.socket | None:
    """Connect to the server; None unless it proves within `patience` seconds that it has the key.

    What is sent over this connection afterwards goes to the server that has proved it.
    """
    deadline = time.monotonic() + patience
    challenge = secrets.token_hex(32)
    try:
        connection = socket.create_connection(
            (announcement.host, announcement.port), timeout=patience
        )
    except OSError:
        return None
    try:
        answer = exchange(
            connection, announcement, f"{IDENTITY_PATH}?challenge={challenge}", deadline
        )
        proof = proof_of_identity(
            announcement.key.reveal(), challenge, announcement.host, announcement.port
        )
        if answer.status == 200 and hmac.compare_digest(answer.body, proof.encode()):
            return connection
    except (OSError, ValueError):
        pass
    connection.close()
    return None


def proof_of_identity(key: bytes, challenge: str, host: str, port: int) -> str:
    """Return what only a holder of the key can answer.

    Address and port are part of it, so that a program elsewhere cannot pass the question on to the
    server and the answer back.
    """
    message = f"{_LABEL}\n{challenge}\n{host}\n{port}"
    return hmac.new(key, message.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class ServerReply:
    """Status and body; of a body without a length, nothing."""

    status: int
    body: bytes


def exchange(
    connection: socket.socket,
    announcement: ServerAnnouncement,
    target: str,
    deadline: float,
    key: bytes = b"",
) -> ServerReply:
    """Send a GET and return the answer, and leave the connection open.

    Whatever comes back, it takes until `deadline` (monotonic) at most. Raises OSError when it
    passes or the connection ends, ValueError for any other answer.
    """
    request = f"GET {target} HTTP/1.1\r\nHost: {announcement.authority}\r\n".encode()
    request += b"X-Api-Key: " + key + b"\r\n" if key else b""
    _set_time_left(connection, deadline)
    connection.sendall(request + b"\r\n")
    head = _read_until(connection, b"\r\n\r\n", deadline)
    head, _, body = head.partition(b"\r\n\r\n")
    if (status := _STATUS.match(head)) is None:
        raise ValueError("no answer in HTTP")
    found = re.search(rb"\r\ncontent-length: *([0-9]{1,4})(?:\r|$)", head, re.IGNORECASE)
    length = int(found[1]) if found else 0
    while len(body) < length:
        body += _receive(connection, deadline)
    return ServerReply(int(status[1]), body[:length])


def _read_until(connection: socket.socket, end: bytes, deadline: float) -> bytes:
    received = b""
    while end not in received:
        if len(received) > _LONGEST_HEAD:
            raise ValueError("the head of the answer has no end")
        received += _receive(connection, deadline)
    return received


def _receive(connection: socket.socket, deadline: float) -> bytes:
    _set_time_left(connection, deadline)
    if received := connection.recv(4096):
        return received
    raise ConnectionError("the connection was closed")


def _set_time_left(connection: socket.socket, deadline: float) -> None:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    connection.settimeout(left)
