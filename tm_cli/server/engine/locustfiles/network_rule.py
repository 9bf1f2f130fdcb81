"""The target rule for code that opens its own connections: a locustfile."""

import ipaddress
import socket
import sys
from collections.abc import Iterator

from tm_cli.server.engine.locustfiles.reference import LocustfilePlace
from tm_cli.server.targets import IPAddress, address_refusal, is_own_address, plain

_EVENTS = {"socket.connect", "socket.sendto", "socket.sendmsg"}


class TargetRefused(OSError):
    """The target rule does not allow a connection to this address."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"the locustfile may not connect to {address}: {reason}")
        self.address = address


def enforce(place: LocustfilePlace) -> None:
    """From now on, refuse every connection and datagram of this process that the rule refuses.

    An audit hook sees all of Python's sockets, those of gevent and of threads, too. It is no
    sandbox: code that does not want to be held by it finds a way around.
    """

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in _EVENTS:
            _check(arguments[-1], place)

    sys.addaudithook(hook)


def _check(destination: object, place: LocustfilePlace) -> None:
    if not (isinstance(destination, tuple) and len(destination) >= 2):
        return  # a Unix socket, or a datagram for where the socket is connected to
    host, port = destination[:2]
    for address in _addresses(host):
        refusal = address_refusal(address, allow_public=place.allow_public)
        if refusal is None and _is_server(plain(address), port, place):
            refusal = "it is the server of this run"
        if refusal:
            shown = f"[{host}]" if ":" in str(host) else host
            raise TargetRefused(f"{shown}:{port}", refusal)


def _is_server(address: IPAddress, port: object, place: LocustfilePlace) -> bool:
    if (str(address), port) in place.servers:
        return True
    return port in place.own_ports and (address.is_loopback or is_own_address(address))


def _addresses(host: object) -> Iterator[IPAddress]:
    text = host.decode("latin-1") if isinstance(host, bytes | bytearray) else str(host)
    try:
        yield ipaddress.ip_address(text.partition("%")[0])
    except ValueError:  # sockets take names as well, and resolve them after this hook
        for entry in socket.getaddrinfo(text, None):
            yield ipaddress.ip_address(str(entry[4][0]).partition("%")[0])
