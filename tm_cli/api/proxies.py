"""Which proxy the environment names for a server; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # not in typeshed

from tm_cli.base_url import is_loopback


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


def choose_proxy(base_url: str, environ: Mapping[str, str]) -> NamedProxy | None:
    """Return the proxy for this server, None for a direct way; never one for this machine."""
    if is_loopback(base_url):
        return None
    parts = urlsplit(base_url)
    named = {
        name.lower().removesuffix("_proxy"): NamedProxy(name, value)
        for name, value in environ.items()
        if name.lower().endswith("_proxy") and value
    }
    values = {kind: proxy.address for kind, proxy in named.items()}
    chosen = named.get(parts.scheme) or named.get("all")
    if chosen is None or proxy_bypass_environment(parts.netloc, values):
        return None
    return chosen
