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
from dataclasses import dataclass
from urllib.parse import urlsplit

from tm_cli.server.web.bodies import Refusal

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Host and port to the addresses they resolve to; OSError when they don't."""

_PRIVATE = [
    ipaddress.ip_network(text)
    for text in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1", "fc00::/7")
]
_METADATA = {ipaddress.ip_address("100.100.100.200"), ipaddress.ip_address("fd00:ec2::254")}
_METADATA_NAMES = {"metadata.google.internal", "metadata"}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def plain(address: IPAddress) -> IPAddress:
    """The IPv4 address inside an IPv6 one that only wraps it, else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def address_refusal(address: IPAddress, *, allow_public: bool) -> str | None:
    address = plain(address)
    kinds = {
        "a metadata service": address in _METADATA,
        "unspecified": address.is_unspecified,
        "link-local": address.is_link_local,
        "multicast": address.is_multicast,
    }
    for kind, applies in kinds.items():
        if applies:
            return f"{address} is {kind}"
    if any(address in network for network in _PRIVATE):
        return None
    if not allow_public:
        return f"{address} is public; TM_ALLOW_PUBLIC_TARGETS=true would permit it"
    return None if address.is_global else f"{address} is reserved"


def literal_refusal(host: str) -> str | None:
    """The reason why `host` may not even be saved, without asking the DNS, or None."""
    if host.rstrip(".").lower() in _METADATA_NAMES:
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

    `own_address` is where it listens in addition to loopback.
    """

    own_ports: Collection[int] = ()
    allow_public: bool = False
    resolve: Resolve = system_resolve
    resolve_timeout: float = 5.0
    own_address: str | None = None

    async def check(self, url: str) -> list[str]:
        """Return the addresses behind `url`; raises `Refusal` unless all of them are allowed."""
        host, port = self.check_literally(url)
        addresses = await self._addresses(host, port)
        self._check_all(addresses, port)
        return addresses

    def check_literally(self, url: str) -> tuple[str, int]:
        """Judge `url` without asking the DNS, for a host that sees other addresses than this one.

        Return its host and port.
        """
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.username is not None:
            raise Refusal("targetUrl carries credentials; send them in a request header instead")
        if refusal := literal_refusal(host):
            raise Refusal(f"targetUrl cannot be used: {refusal}")
        return host, parts.port or (443 if parts.scheme == "https" else 80)

    async def _addresses(self, host: str, port: int) -> list[str]:
        try:
            return await asyncio.wait_for(self.resolve(host, port), self.resolve_timeout)
        except (OSError, UnicodeError, TimeoutError) as error:
            reason = str(error) or "no answer in time"
            raise Refusal(f"targetUrl cannot be used: {host} does not resolve: {reason}") from error

    def _check_all(self, texts: Iterable[str], port: int) -> None:
        for text in texts:
            address = ipaddress.ip_address(text.partition("%")[0])
            if refusal := address_refusal(address, allow_public=self.allow_public):
                raise Refusal(f"targetUrl cannot be used: {refusal}")
            is_here = plain(address).is_loopback or str(plain(address)) == self.own_address
            if is_here and port in self.own_ports:
                raise Refusal("targetUrl cannot be used: it is this server itself")
