"""The listening sockets: on loopback always, elsewhere only behind TLS."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tm_cli.errors import ConfigurationError
from tm_cli.server.options import ServeOptions

_LOOPBACK = {"127.0.0.1": "127.0.0.1", "localhost": "127.0.0.1", "::1": "::1"}
_QUEUE = 1024  # connections that wait to be accepted; the system may keep fewer


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A listening socket; `names` are hosts that a request may give in addition to the address."""

    listener: socket.socket
    tls: ssl.SSLContext | None = None
    names: Sequence[str] = ()

    @property
    def address(self) -> str:
        return str(self.listener.getsockname()[0])

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    @property
    def scheme(self) -> str:
        return "https" if self.tls else "http"

    @property
    def base_url(self) -> str:
        host = self.names[0] if self.tls and self.names else self.address
        shown = f"[{host}]" if ":" in host else host
        return f"{self.scheme}://{shown}:{self.port}"


@contextmanager
def open_listeners(options: ServeOptions) -> Iterator[list[Endpoint]]:
    """Open the endpoint for this machine first, then, with TLS, the one for others.

    Raises ConfigurationError when a port is taken, or when the key could be read on its way.
    """
    with ExitStack() as endpoints:
        tls = _tls(options)
        if tls is None:
            address = _loopback(options.host)
            inside = endpoints.enter_context(_listening(address, options.port))
            yield [Endpoint(inside, names=options.hostnames)]
            return
        outside = endpoints.enter_context(_listening(_address(options.host), options.port))
        inside = endpoints.enter_context(_listening("127.0.0.1", 0))
        yield [Endpoint(inside), Endpoint(outside, tls, options.hostnames)]


def _tls(options: ServeOptions) -> ssl.SSLContext | None:
    if options.tls_cert is None and options.tls_key is None:
        return None
    if options.tls_cert is None or options.tls_key is None:
        raise ConfigurationError("--tls-cert and --tls-key belong together: one is missing")
    return _context(options.tls_cert, options.tls_key)


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")  # or it would ask
    except (OSError, ssl.SSLError, ValueError) as error:
        raise ConfigurationError(
            f"cannot use the certificate {certificate} with the key {key}: {error}",
            hint="both are PEM files, and the key has no passphrase",
        ) from error
    return context


def _loopback(host: str) -> str:
    address = _LOOPBACK.get(host)
    if address is None:
        _address(host)
        raise ConfigurationError(
            f"without TLS the server listens on loopback only, not on {host}: "
            "the API key could be read on its way",
            hint="add --tls-cert and --tls-key, or put a proxy with TLS in front of 127.0.0.1",
        )
    return address


def _address(host: str) -> str:
    if host in _LOOPBACK:
        return _LOOPBACK[host]
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        raise ConfigurationError(
            f"the server cannot listen on {host!r}: not an address",
            hint="give an address of this machine, or 0.0.0.0 or :: for all of them",
        ) from None


@contextmanager
def _listening(address: str, port: int) -> Iterator[socket.socket]:
    """Take the port, 0 meaning any free one."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is given, and with it every answer
    # waits for the client's delayed acknowledgement.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        _claim_exclusively(listener)
        try:
            listener.bind((address, port))
            listener.listen(_QUEUE)
        except (OSError, OverflowError) as error:
            raise ConfigurationError(
                f"cannot listen on {address} port {port}: {error}",
                hint="choose another port; 0 takes any free one",
            ) from error
        yield listener


def _claim_exclusively(listener: socket.socket) -> None:
    """Allow a quick restart on the same port; on Windows that option would allow hijacking."""
    if sys.platform == "win32":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
