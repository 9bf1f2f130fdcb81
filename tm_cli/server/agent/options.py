"""The options of an agent."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from tm_cli import __version__
from tm_cli.api_key import ApiKey
from tm_cli.base_url import is_loopback
from tm_cli.server.crew.frames import PATH
from tm_cli.server.engine_process import DEFAULT_COMMAND


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """`server` is a base URL ending in `/`; `tls` is None for plain http."""

    server: str
    key: ApiKey
    region: str
    name: str
    workers: int = 1
    allow_public_targets: bool = False
    tls: ssl.SSLContext | None = None
    engine_command: Sequence[str] = DEFAULT_COMMAND

    @property
    def url(self) -> str:
        query = urlencode({"region": self.region, "name": self.name, "version": __version__})
        scheme, _, rest = self.server.partition("://")
        return f"{'wss' if scheme.lower() == 'https' else 'ws'}://{rest}{PATH}?{query}"

    @property
    def may_use_proxy(self) -> bool:
        """Whether a proxy named by the environment is meant for this server."""
        return not is_loopback(self.server)
