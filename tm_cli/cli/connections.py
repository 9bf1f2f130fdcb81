"""From settings to a connection: a configured server, or the embedded one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tm_cli.api.retry import RequestBudget
from tm_cli.api.transport import Connection, Transport
from tm_cli.errors import ConfigurationError
from tm_cli.settings import TRAFFICMORPH, Endpoint, read_key_file
from tm_cli.values.urls import LOCAL

if TYPE_CHECKING:
    from tm_cli.cli.session import Session
    from tm_cli.values.api_key import ApiKey

STOP_TIMEOUT = 1.5
"""Seconds for the request that stops a run when a signal has come."""


def connect(session: Session) -> Connection:
    """Return the connection that the settings ask for.

    Raises ConfigurationError when there is no server and none may be started.
    """
    endpoint = session.settings.endpoint(TRAFFICMORPH)
    if endpoint.base_url in (None, LOCAL):
        return _embedded(session)
    return reach(session, endpoint, endpoint.key)


def connect_to(session: Session, system: str) -> Connection:
    """Return a connection to the configured server of another system than TrafficMorph.

    Raises ConfigurationError when there is no key for it.
    """
    endpoint = session.settings.endpoint(system)
    return reach(session, endpoint, endpoint.key)


def reach(session: Session, endpoint: Endpoint, key: ApiKey) -> Connection:
    """Return a connection to a server that is there, with a key that need not be stored yet."""
    settings = endpoint.settings
    return Connection(
        base_url=str(endpoint.base_url),
        key=key,
        bearer=endpoint.system != TRAFFICMORPH,
        clock=session.context.clock,
        timeout=settings.value("timeout"),
        environ=session.context.environ,
        ca_file=settings.value("ca_file"),
        on_exchange=session.show_exchange if session.verbose else None,
        budget=RequestBudget(session.context.clock),
    )


def for_a_stop(connection: Connection) -> Connection:
    """Return the connection for the request that stops a run: it must not take long."""
    timeout = min(connection.timeout, STOP_TIMEOUT)
    return replace(connection, timeout=timeout, budget=None, revive=None)


def open_transport(session: Session, connection: Connection) -> Transport:
    """Return a transport that is closed when the command ends."""
    transport = Transport(connection)
    session.keep_open(transport.close)
    return transport


def _embedded(session: Session) -> Connection:
    if session.settings.server is None and session.context.environ.get("CI"):
        raise ConfigurationError(
            "no server is configured",
            hint="set TM_BASE_URL and TM_API_KEY, or TM_BASE_URL=local for the embedded server",
        )
    return _lease(session, session.settings.find_data_dir(session.context.cwd))


def _lease(session: Session, directory: Path) -> Connection:
    """Find or start the server of `directory` and keep it until the command ends."""
    server = session.context.launch(directory)
    session.keep_open(server.close)
    began = "started" if server.started_here else "found"
    session.note(f"tm: {began} the embedded server at {server.base_url} (data in {directory})")
    return Connection(
        base_url=server.base_url,
        key=read_key_file(server.api_key_file),
        clock=session.context.clock,
        timeout=session.settings.value("timeout"),
        environ=session.context.environ,
        on_exchange=session.show_exchange if session.verbose else None,
        revive=lambda: _lease(session, directory),
    )
