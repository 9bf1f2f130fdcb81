"""Which addresses a run may target.

A load generator that any profile can point anywhere is a weapon and a way into the cloud's
metadata service. Loopback and private networks are allowed, public hosts only by option, and a
few addresses never.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from tm_cli.server.web.bodies import Refusal
from tm_cli.values.urls import ascii_host, port_of

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Host and port to the addresses they resolve to; OSError when they don't."""


def _networks(*texts: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    return [ipaddress.ip_network(text) for text in texts]


_PRIVATE = _networks(
    *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1", "fc00::/7"),
    *("100.64.0.0/10", "198.18.0.0/15"),  # carriers' and benchmarks' networks, never public
)
_METADATA = _networks(
    *("100.100.100.200", "fd00:ec2::/32", "fd20:ce::/32"),  # Alibaba, AWS, Google
    *("168.63.129.16", "192.0.0.192"),  # Azure, Oracle
)
_METADATA_NAMES = {"metadata.google.internal", "metadata", "instance-data"}
_WRAPS_IPV4 = _networks("64:ff9b::/96", "::/96")
_LOCAL_NAT64 = _networks("64:ff9b:1::/48")  # each network may place the IPv4 address elsewhere


def plain(address: IPAddress) -> IPAddress:
    """The IPv4 address inside an IPv6 one that only wraps it, else the address itself."""
    if isinstance(address, ipaddress.IPv4Address) or address.is_loopback or int(address) == 0:
        return address
    if _is_in(address, _WRAPS_IPV4):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def address_refusal(address: IPAddress, *, allow_public: bool) -> str | None:
    address = plain(address)
    kinds = {
        "a metadata service": _is_in(address, _METADATA),
        "unspecified": address.is_unspecified,
        "link-local": address.is_link_local,
        "multicast": address.is_multicast,
        "translated to an unknown one": _is_in(address, _LOCAL_NAT64),
    }
    for kind, applies in kinds.items():
        if applies:
            return f"{address} is {kind}"
    if _is_in(address, _PRIVATE):
        return None
    if not address.is_global or getattr(address, "is_site_local", False):
        return f"{address} is reserved"
    if allow_public:
        return None
    return f"{address} is public; TM_ALLOW_PUBLIC_TARGETS=true would permit it"


def _is_in(
    address: IPAddress, networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]
) -> bool:
    return any(address in network for network in networks)


def is_own_address(address: IPAddress) -> bool:
    """Whether this machine has the address: only then can a socket be bound to it."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def literal_refusal(host: str) -> str | None:
    """The reason why `host` may not even be saved, without asking the DNS, or None."""
    host = host.rstrip(".")
    if host.lower() in _METADATA_NAMES:
        return f"the host {host} is blocked"
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    refusal = address_refusal(address, allow_public=True)
    return f"the host {host} is blocked: {refusal}" if refusal else None


async def system_resolve(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


@dataclass(frozen=True, slots=True)
class TargetRule:
    """The rule of one host; `own_ports` are where the server itself listens, if it runs here.

    `server` is its address for a rule of another host, whose load must not be sent to it either.
    """

    own_ports: Collection[int] = ()
    allow_public: bool = False
    resolve: Resolve = system_resolve
    resolve_timeout: float = 5.0
    server: str | None = None
    is_own: Callable[[IPAddress], bool] = is_own_address

    async def check(self, url: str) -> list[str]:
        """Return the addresses behind `url`; raises `Refusal` unless all of them are allowed."""
        host, port = self.check_literally(url)
        addresses = await self._addresses(host, port)
        self._check_all(addresses, port)
        await self._check_server(addresses, port)
        return addresses

    def check_literally(self, url: str) -> tuple[str, int]:
        """Judge `url` without asking the DNS, for a host that sees other addresses than this one.

        Return its host and port.
        """
        parts = urlsplit(url)
        try:
            host = ascii_host(parts.hostname or "")
        except ValueError as error:
            raise Refusal(f"targetUrl cannot be used: {error}") from None
        if parts.username is not None:
            raise Refusal("targetUrl carries credentials; send them in a request header instead")
        if refusal := literal_refusal(host):
            raise Refusal(f"targetUrl cannot be used: {refusal}")
        return host, port_of(parts)

    async def _addresses(self, host: str, port: int) -> list[str]:
        try:
            async with asyncio.timeout(self.resolve_timeout):
                return await self.resolve(host, port)
        except (OSError, UnicodeError, TimeoutError) as error:
            reason = getattr(error, "strerror", None) or str(error) or "no answer in time"
            raise Refusal(f"targetUrl cannot be used: {host} does not resolve: {reason}") from error

    def _check_all(self, texts: Iterable[str], port: int) -> None:
        for text in texts:
            address = ipaddress.ip_address(text.partition("%")[0])
            if refusal := address_refusal(address, allow_public=self.allow_public):
                raise Refusal(f"targetUrl cannot be used: {refusal}")
            if port in self.own_ports and self._is_here(address):
                raise Refusal("targetUrl cannot be used: it is this server itself")

    def _is_here(self, address: IPAddress) -> bool:
        return plain(address).is_loopback or self.is_own(plain(address))

    async def _check_server(self, texts: Iterable[str], port: int) -> None:
        """Refuse the server of this rule, also where both are on this machine."""
        if self.server is None or port != port_of(urlsplit(self.server)):
            return
        server: list[str] = []
        with suppress(Refusal):  # only a proxy can reach it, perhaps
            server = await self._addresses(urlsplit(self.server).hostname or "", port)
        ours, theirs = (
            {plain(ipaddress.ip_address(text.partition("%")[0])) for text in found}
            for found in (server, texts)
        )
        are_here = any(map(self._is_here, ours)) and any(map(self._is_here, theirs))
        if ours & theirs or are_here:
            raise Refusal("targetUrl cannot be used: it is the server of this agent")
