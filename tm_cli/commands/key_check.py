"""Whether a server takes a key: the cheapest request that needs one."""

from __future__ import annotations

from tm_cli.api.errors import HttpError, NotUnderstood
from tm_cli.api.trafficmorph.client import Client
from tm_cli.api.transport import Connection, Transport
from tm_cli.commands.session import LONGEST_PAUSE
from tm_cli.settings import RUNLOOP, STRAIT, TRAFFICMORPH

_CHEAPEST = {RUNLOOP: "v1/benchmark_runs", STRAIT: "v1/runs"}
_UNKNOWN_ROUTE = 404


def check_key(connection: Connection, system: str) -> None:
    """Ask the server for something small that only a valid key gets.

    Raises HttpError for a key that is refused, NotReached or NotUnderstood when nothing is known.
    """
    transport = Transport(connection)
    try:
        if system == TRAFFICMORPH:
            client = Client(transport, connection.clock)
            _read_account(client.pausing_at_most(LONGEST_PAUSE))
        elif not isinstance(transport.get(_CHEAPEST[system], {"limit": 1}), (dict, list)):
            raise NotUnderstood(f"{connection.base_url} does not answer as {system} does")
    finally:
        transport.close()


def _read_account(client: Client) -> None:
    try:
        client.get_account()
    except HttpError as error:
        if error.status != _UNKNOWN_ROUTE:  # early servers have no accounts
            raise
        client.list_profiles()
