"""What is said when the answer to a request is lost that makes runs and must not be repeated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tm_cli.api.errors import ApiError, HttpError, NotReached
from tm_cli.errors import StartUnknown


@contextmanager
def told_when_lost() -> Iterator[None]:
    """Turn an error that leaves open whether there are new runs into StartUnknown."""
    try:
        yield
    except ApiError as error:
        is_refused = isinstance(error, HttpError) and error.status < 500 and error.from_api
        never_sent = isinstance(error, NotReached) and not error.maybe_sent
        no_access = isinstance(error, HttpError) and error.status in {401, 403, 429}
        if is_refused or never_sent or no_access:
            raise
        raise StartUnknown(
            f"there may or may not be new runs: {error.message}",
            hint="look with `tm jobs list`; tm does not repeat this",
        ) from None
