"""What the answers to a trigger prove: a refusal, a wait, or nothing."""

from __future__ import annotations

from tm_cli.api.errors import ApiError, HttpError, NotReached
from tm_cli.api.strait.models import Triggered
from tm_cli.errors import Refused, TmError

REFUSALS = frozenset({400, 402, 404, 405, 406, 409, 410, 413, 415, 422, 429})
NO_ACCESS = frozenset({401, 403})
BUSY = "being processed"
"""In the answer to a key whose first request the server is still working on."""

MAYBE_MADE = "admission control"
"""In the answer of a database too busy to commit; it may have committed all the same."""


def why_kept(answer: Triggered) -> str:
    """Say why a trigger that was accepted names no run."""
    if answer.debounced:
        until = f", until {answer.fire_at:%Y-%m-%d %H:%M:%SZ}" if answer.fire_at else ""
        return f"the job waits for more triggers before it runs (its debounce window{until})"
    return "the job collects triggers before it runs (its batch window)"


def is_refused_key(error: ApiError) -> bool:
    """Whether the key may not do this; asking again with it counts against the address."""
    return isinstance(error, HttpError) and error.status in NO_ACCESS


def is_refusal(error: ApiError) -> bool:
    """Whether the answer is the API's own no, which no repetition changes."""
    if not isinstance(error, HttpError):
        return False
    if error.status in NO_ACCESS:
        return True
    if error.status not in REFUSALS or not error.from_api or MAYBE_MADE in error.message:
        return False
    if error.status == 429:  # a daily budget that is used up does not say when to come back
        return error.retry_after is None
    return not (error.status == 409 and BUSY in error.message)


def may_have_started(error: ApiError) -> bool:
    """Whether the server may have made a run before this answer, or without any."""
    match error:
        case NotReached():
            return error.maybe_sent
        case HttpError() if error.status == 429:
            return MAYBE_MADE in error.message
        case HttpError() if error.status in NO_ACCESS:
            return False
    return not is_refusal(error)


def refusal(error: ApiError) -> TmError:
    """Return what to raise when nothing was started."""
    if isinstance(error, NotReached) or is_refused_key(error):
        return error
    return Refused(f"not started: {error.message}", hint=error.hint, code=error.code)
