"""What a server that refuses a change was asked for, with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tm_cli.errors import Refused

REFUSING = frozenset({400, 409, 413, 422})
"""The statuses of a request that was understood, and not carried out."""


@contextmanager
def refused(attempt: str, hint: str | None = None) -> Iterator[None]:
    """Turn a refusal of the server into `cannot <attempt>: <reason>`."""
    with _explained(f"cannot {attempt}", hint):
        yield


@contextmanager
def not_accepted(what: str) -> Iterator[None]:
    """Turn a refusal of the server into `the server does not accept <what>: <reason>`."""
    with _explained(f"the server does not accept {what}"):
        yield


@contextmanager
def _explained(problem: str, hint: str | None = None) -> Iterator[None]:
    from tm_cli.api.errors import HttpError

    try:
        yield
    except HttpError as error:
        if error.status not in REFUSING:
            raise
        raise Refused(f"{problem}: {error.message}", hint=hint, code=error.code) from None
