"""ID of an ended run: fetched, or said in plain words that the history has none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tm_cli.api.errors import HttpError
from tm_cli.api.trafficmorph.client import Client
from tm_cli.api.trafficmorph.models import HistoryRow
from tm_cli.errors import TmError

_NOT_THERE = frozenset({400, 404})


def find_ended_run(client: Client, history_id: int) -> HistoryRow:
    """Return the run in detail; raises TmError when the history has none of this id."""
    with not_found_as_error(history_id):
        return client.get_history_item(history_id)


@contextmanager
def not_found_as_error(history_id: int) -> Iterator[None]:
    """Turn the API's refusal of an id into an error that names it."""
    try:
        yield
    except HttpError as error:
        if error.status not in _NOT_THERE or not error.from_api:
            raise
        raise TmError(
            f"there is no run {history_id} in the history",
            hint="`tm history list` shows what is there",
            code="unknown_run",
        ) from None
