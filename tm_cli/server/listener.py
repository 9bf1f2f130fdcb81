"""The listening socket: on loopback and nowhere else."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tm_cli.errors import ConfigurationError

_ADDRESSES = {"127.0.0.1": "127.0.0.1", "localhost": "127.0.0.1", "::1": "::1"}


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Take the port, 0 meaning any free one; raises ConfigurationError when that fails."""
    address = _ADDRESSES.get(host)
    if address is None:
        raise ConfigurationError(
            f"the embedded server listens on loopback only, not on {host}",
            hint="use 127.0.0.1, localhost or ::1",
        )
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        _claim_exclusively(listener)
        try:
            listener.bind((address, port))
            listener.listen(128)
        except (OSError, OverflowError) as error:
            raise ConfigurationError(
                f"cannot listen on {host} port {port}: {error}",
                hint="choose another port; 0 takes any free one",
            ) from error
        yield listener


def _claim_exclusively(listener: socket.socket) -> None:
    """Allow a quick restart on the same port; on Windows that option would allow stealing it."""
    if sys.platform == "win32":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def port_of(listener: socket.socket) -> int:
    """The port that was taken."""
    return int(listener.getsockname()[1])


def base_url_of(listener: socket.socket) -> str:
    """What clients call the server."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
