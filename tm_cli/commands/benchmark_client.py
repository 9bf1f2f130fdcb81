"""Clients of the configured Runloop server."""

from __future__ import annotations

from dataclasses import replace

from tm_cli.api.budget import RequestBudget
from tm_cli.api.runloop.client import Client, explain
from tm_cli.api.transport import Connection
from tm_cli.commands.connecting import for_a_stop, open_transport
from tm_cli.commands.session import Session
from tm_cli.settings import RUNLOOP

PER_MINUTE = 300
"""Requests that we allow ourselves; the service publishes no limit."""


def benchmark_client(session: Session) -> Client:
    """Return a client; raises ConfigurationError when no key is configured."""
    budget = RequestBudget(session.context.clock, PER_MINUTE)
    return _client(session, replace(runloop_connection(session), budget=budget))


def stop_client(session: Session) -> Client:
    """Return a client for the request that stops a run."""
    return _client(session, for_a_stop(runloop_connection(session)))


def runloop_connection(session: Session) -> Connection:
    """Return the connection to the configured server."""
    return replace(session.connect_to(RUNLOOP), explain=explain)


def _client(session: Session, connection: Connection) -> Client:
    transport = open_transport(session, connection)
    client = Client(transport, session.context.clock, session.context.make_token)
    return client.pausing_at_most(session.longest_pause)
