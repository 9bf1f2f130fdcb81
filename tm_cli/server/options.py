"""The options of the embedded server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tm_cli.server.connections import HEAD_TIMEOUT


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Port 0 takes any free one; `exit_when_unused` ends the server with its last lease.

    With `tls_cert` and `tls_key` the server answers by https at `host` and `port`, and on a port of
    its own on loopback, too. `hostnames` are names under which clients may call it. `slots` is
    how many requests of one run may be under way at the same time. `head_timeout` is how many
    seconds a client has for a TLS handshake and the head of a request.
    """

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8092
    exit_when_unused: bool = False
    requests_per_minute: int = 600
    allow_public_targets: bool = False
    engine_command: Sequence[str] | None = None
    slots: int = 256
    tls_cert: Path | None = None
    tls_key: Path | None = None
    hostnames: Sequence[str] = ()
    head_timeout: float = HEAD_TIMEOUT
