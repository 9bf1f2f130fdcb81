"""Which proxy the environment names for a server, and what NO_PROXY excludes."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from tm_cli.values.urls import comparable_host, is_loopback, port_of

_ENTRY = re.compile(r"(?:[a-z]+://)?(?:\[([0-9a-f:.]+)\]|([^:]+))(?::([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class NamedProxy:
    """A variable of the environment and what it holds; the address may have a password in it."""

    variable: str
    address: str

    def __repr__(self) -> str:
        return f"NamedProxy({self.variable})"

    @property
    def place(self) -> str:
        """Host and port, without credentials; empty when the address names no host."""
        try:
            parts = urlsplit(self.address)
            port = f":{parts.port}" if parts.port else ""
        except ValueError:
            return ""
        return f"{parts.hostname}{port}" if parts.hostname else ""


@dataclass(frozen=True, slots=True)
class ProxyChoice:
    """The proxy for a server, or None and the entry of NO_PROXY that says so, if one does."""

    proxy: NamedProxy | None = None
    exception: str | None = None


def choose_proxy(base_url: str, environ: Mapping[str, str]) -> ProxyChoice:
    """Return how to reach a server; one on this machine is never reached through a proxy.

    A variable in lower case takes precedence over the same in upper case.
    """
    if is_loopback(base_url):
        return ProxyChoice()
    named = {
        name.lower().removesuffix("_proxy"): NamedProxy(name, value)
        for name, value in sorted(environ.items())
        if name.lower().endswith("_proxy") and value
    }
    proxy = named.get(urlsplit(base_url).scheme) or named.get("all")
    no_proxy = named.get("no")
    if proxy and no_proxy and (entry := matching_entry(base_url, no_proxy.address)):
        return ProxyChoice(exception=f"{entry} in {no_proxy.variable}")
    return ProxyChoice(proxy)


def matching_entry(base_url: str, no_proxy: str) -> str | None:
    """Return the first entry of NO_PROXY that names the server, as it is written there.

    Entries are hosts with all of their subdomains (`tm.example`, `.tm.example`), subdomains only
    (`*.tm.example`), addresses and networks (`10.1.2.3`, `10.0.0.0/8`, `::1`, `fd00::/8`), each
    with a port if it is to apply to that port alone (`tm.example:8443`, `[::1]:8443`), and `*`.
    Names are not resolved.
    """
    parts = urlsplit(base_url)
    host, port = comparable_host(parts.hostname or ""), port_of(parts)
    entries = (entry for entry in re.split(r"[\s,;]+", no_proxy) if entry)
    return next((entry for entry in entries if _names(entry.lower(), host, port)), None)


def _names(entry: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    if (address := _address(host)) is not None and (network := _network(entry)):
        return address in network
    if not (parts := _ENTRY.fullmatch(entry)) or (parts[3] and int(parts[3]) != port):
        return False
    if address is not None:
        network = _network(parts[1] or parts[2])
        return network is not None and address in network
    written = parts[2] or ""
    name = comparable_host(written.removeprefix("*").removeprefix("."))
    is_itself = host == name and not written.startswith("*.")
    return bool(name) and (is_itself or host.endswith(f".{name}"))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return an address; that of IPv4 where it is written as one of IPv6."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return a network, or an address as the smallest one."""
    if (address := _address(text)) is not None:
        return ipaddress.ip_network(address)
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
