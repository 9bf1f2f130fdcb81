"""From settings to a connection: a configured server, or the embedded one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tm_cli.api.retry import RequestBudget
from tm_cli.api.transport import Connection, Transport
from tm_cli.errors import ConfigurationError
from tm_cli.runtime.ci_platform import ci_platform
from tm_cli.runtime.trusted_files import DATABASE
from tm_cli.settings import TRAFFICMORPH, Endpoint, read_key_file
from tm_cli.values.text import sanitize
from tm_cli.values.urls import LOCAL

if TYPE_CHECKING:
    from tm_cli.api.middleware import Exchange
    from tm_cli.runtime.environment import Environment
    from tm_cli.runtime.local_server import LocalServerLease
    from tm_cli.settings import Settings
    from tm_cli.values.api_key import ApiKey

STOP_TIMEOUT = 1.5
"""Seconds for the request that stops a run when a signal has come."""


class Owner(Protocol):
    """What closes its connections when it ends, as a session does."""

    def keep_open(self, close: Callable[[], None]) -> None:
        """Call `close` at the end."""


@dataclass(frozen=True)
class Connector:
    """Opens connections for a command; what it starts is closed with its owner.

    `on_exchange` is called with each request, `note` with a line that is not a result.
    """

    context: Environment
    settings: Settings
    owner: Owner
    note: Callable[[str], None]
    on_exchange: Callable[[Exchange], None] | None = None

    def connect(self) -> Connection:
        """Return the connection to TrafficMorph that the settings ask for.

        Raises ConfigurationError when there is no server and none may be started.
        """
        endpoint = self.settings.endpoint(TRAFFICMORPH)
        if endpoint.base_url in (None, LOCAL):
            return self._embedded()
        return self._configured(endpoint)

    def connect_to(self, system: str) -> Connection:
        """Return a connection to the configured server of another system than TrafficMorph.

        Raises ConfigurationError when there is no key for it.
        """
        return self._configured(self.settings.endpoint(system))

    def _configured(self, endpoint: Endpoint) -> Connection:
        if warning := endpoint.credential.warning:
            self.note(f"tm: {sanitize(warning)}")
        connection = self.reach(endpoint, endpoint.key)
        return replace(connection, read_key_again=endpoint.read_key_again)

    def reach(self, endpoint: Endpoint, key: ApiKey) -> Connection:
        """Return a connection to an existing server, with a key that need not be stored yet."""
        settings = endpoint.settings
        return Connection(
            base_url=str(endpoint.base_url),
            key=key,
            bearer=endpoint.system != TRAFFICMORPH,
            clock=self.context.clock,
            timeout=settings.value("timeout"),
            environ=self.context.environ,
            ca_file=settings.value("ca_file"),
            on_exchange=self.on_exchange,
            budget=RequestBudget(self.context.clock),
        )

    def _embedded(self) -> Connection:
        if self.settings.server is None and ci_platform(self.context.environ):
            raise ConfigurationError(
                "no server is configured",
                hint="set TM_BASE_URL and TM_API_KEY, or TM_BASE_URL=local for the embedded server",
            )
        return self._lease(self.settings.find_data_dir(self.context.cwd))

    def _lease(self, directory: Path) -> Connection:
        """Find or start the server of `directory` and keep it until the owner ends."""
        is_new = not (directory / DATABASE).exists()
        server = self.context.launch(directory)
        self.owner.keep_open(server.close)
        if is_new or self.on_exchange:  # it is news once
            began = "started" if server.started_here else "found"
            self.note(f"tm: {began} the embedded server at {server.base_url} (data in {directory})")
        self._compare_settings(server)
        return Connection(
            base_url=server.base_url,
            key=read_key_file(server.api_key_file),
            read_key_again=lambda: read_key_file(server.api_key_file),
            clock=self.context.clock,
            timeout=self.settings.value("timeout"),
            environ=self.context.environ,
            on_exchange=self.on_exchange,
            reconnect=lambda: self._lease(directory),
        )

    def _compare_settings(self, server: LocalServerLease) -> None:
        """Tell that a server which another command has started goes by the settings of that one."""
        wanted, has = self.settings.value("allow_public_targets"), server.allows_public_targets
        if wanted != has:
            self.note(
                f"tm: it {'permits' if has else 'refuses'} public targets, as it was started; "
                f"allow_public_targets={str(wanted).lower()} has no effect here "
                f"until process {server.pid} has ended"
            )


def for_a_stop(connection: Connection) -> Connection:
    """Return the connection for the request that stops a run: it must not take long."""
    timeout = min(connection.timeout, STOP_TIMEOUT)
    return replace(connection, timeout=timeout, budget=None, reconnect=None)


def open_transport(owner: Owner, connection: Connection) -> Transport:
    """Return a transport that is closed when its owner ends."""
    transport = Transport(connection)
    owner.keep_open(transport.close)
    return transport
