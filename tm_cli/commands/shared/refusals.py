"""What a server that refuses a change was asked for, with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tm_cli.errors import Refused
from tm_cli.values.text import sanitize

REFUSING = frozenset({400, 409, 413, 422})
"""The statuses of a request that was understood, and not carried out."""


@contextmanager
def refused(attempt: str, hint: str | None = None) -> Iterator[None]:
    """Turn a refusal of the server into `cannot <attempt>: <reason>`."""
    from tm_cli.api.errors import HttpError

    try:
        yield
    except HttpError as error:
        if error.status not in REFUSING:
            raise
        message = sanitize(f"cannot {attempt}: {error.message}")
        raise Refused(message, hint=hint, code=error.code) from None
