"""What an agent is told at its start."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from tm_cli import __version__
from tm_cli.errors import TmError
from tm_cli.runtime.locustfile import may_be_read
from tm_cli.server.workers.agent_protocol import PATH, TUNNELS
from tm_cli.server.workers.local_worker import DEFAULT_COMMAND
from tm_cli.values.api_key import ApiKey
from tm_cli.values.proxy import choose_proxy
from tm_cli.values.urls import certificate_name


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """`server` is a base URL ending in `/`; `tls` is None for plain http.

    `read_key_again` returns the key as it is now, where a file holds it. `ca_file` has certificates
    that are trusted for targets in addition to the system's. `locustfiles` may be played here, and
    `certificates` shown to targets.
    """

    server: str
    key: ApiKey
    region: str
    name: str
    read_key_again: Callable[[], ApiKey] | None = None
    workers: int = 1
    allow_public_targets: bool = False
    tls: ssl.SSLContext | None = None
    ca_file: str | None = None
    locustfiles: Sequence[Path] = ()
    certificates: Sequence[Path] = ()
    engine_command: Sequence[str] = DEFAULT_COMMAND

    @property
    def presence_url(self) -> str:
        query = urlencode({"region": self.region, "name": self.name, "version": __version__})
        return self._url(f"{PATH}?{query}")

    def tunnel_url(self, run_id: str) -> str:
        return self._url(f"{TUNNELS}/{run_id}")

    def _url(self, path: str) -> str:
        scheme, _, rest = self.server.partition("://")
        return f"{'wss' if scheme.lower() == 'https' else 'ws'}://{rest}{path}"

    @property
    def certificate_name(self) -> dict[str, Any]:
        """The name that the certificate must be for, where it is not the one in the URL."""
        host = urlsplit(self.server).hostname or ""
        name = certificate_name(host)
        return {"server_hostname": name} if self.tls and name != host else {}

    @property
    def variables(self) -> dict[str, str]:
        """What locustfiles may read of this process's environment; none of tm's own settings."""
        if not self.locustfiles:
            return {}
        return {name: text for name, text in os.environ.items() if may_be_read(name)}

    @property
    def proxy(self) -> str | None:
        """The address of the proxy that the environment names for this server."""
        chosen = choose_proxy(self.server, os.environ).proxy
        return chosen.address if chosen else None

    def with_new_key(self) -> AgentOptions:
        """The same with the key as it is now; while its file is replaced it may be missing."""
        try:
            return replace(self, key=self.read_key_again()) if self.read_key_again else self
        except TmError:
            return self
