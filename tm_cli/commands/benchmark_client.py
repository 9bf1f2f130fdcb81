"""Clients of the configured Runloop server."""

from __future__ import annotations

from dataclasses import replace

from tm_cli.api.budget import RequestBudget
from tm_cli.api.runloop.client import Client, explain
from tm_cli.api.transport import Connection, Transport
from tm_cli.commands.following import Line
from tm_cli.commands.session import Session
from tm_cli.settings import RUNLOOP

SYSTEM = RUNLOOP

PER_MINUTE = 300
"""Requests that we allow ourselves; the service publishes no limit."""

PER_LOOK = 2
"""Requests of one look at a run: the run and its scenario runs."""

STOP_PATIENCE = 1.5
"""Seconds for the request that cancels a run when a signal has come."""


def benchmark_client(session: Session) -> Client:
    """Return a client; raises ConfigurationError when no key is configured."""
    budget = RequestBudget(session.context.clock, PER_MINUTE)
    return _client(session, replace(_connection(session), budget=budget))


def hasty_client(session: Session) -> Client:
    """Return a client for what must not take long."""
    connection = _connection(session)
    timeout = min(connection.timeout, STOP_PATIENCE)
    return _client(session, replace(connection, timeout=timeout, budget=None))


def line_to(session: Session) -> Line:
    """Return where all runs of this call are."""
    return Line(_connection(session).base_url, PER_MINUTE // PER_LOOK)


def server_name(session: Session) -> str:
    """Return the server as `--last` remembers it."""
    return _connection(session).base_url


def _connection(session: Session) -> Connection:
    return replace(session.connect_to(RUNLOOP), explain=explain)


def _client(session: Session, connection: Connection) -> Client:
    transport = Transport(connection)
    session.keep_open(transport.close)
    client = Client(transport, session.context.clock, session.context.make_token)
    return client.pausing_at_most(session.longest_pause)
