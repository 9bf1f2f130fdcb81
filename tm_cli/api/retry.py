"""What may be repeated, and after how long; pure.

Only reads are ever repeated. `Retry-After` is honoured within limits (RFC 9110, section 10.2.3).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from tm_cli.api.errors import ApiError, HttpError, NotReached, NotUnderstood
from tm_cli.durations import format_duration

LONGEST_PAUSE = 300.0
FIRST_PAUSE = 0.5
TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})

_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)


def observed_nothing(error: ApiError) -> bool:
    """Whether a failed read says nothing about the server's state, so that it may be repeated."""
    match error:
        case NotReached() | NotUnderstood():
            return True
        case HttpError():
            return error.status in TRANSIENT_STATUSES
    return False


def pause_before_retry(error: ApiError, attempt: int) -> float:
    """Seconds to wait after the failed `attempt` (counted from 0), at most five minutes."""
    backoff = FIRST_PAUSE * 2.0 ** min(attempt, 10)
    asked = error.retry_after if isinstance(error, HttpError) else None
    return min(max(backoff, asked or 0.0), LONGEST_PAUSE)


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that `Retry-After` asks for, or None when it is missing or unreadable.

    A date is compared with the answer's own `Date`, so that a wrong local clock does no harm.
    """
    text = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), LONGEST_PAUSE)
    until, sent = _http_date(text), _http_date(headers.get("date", ""))
    if until is None or sent is None:
        return None
    return min(max((until - sent).total_seconds(), 0.0), LONGEST_PAUSE)


def describe_pause(seconds: float) -> str:
    """The pause that a server asks for, in words; longer ones are read as LONGEST_PAUSE."""
    return format_duration(seconds) + (" or more" if seconds >= LONGEST_PAUSE else "")


def _http_date(text: str) -> datetime | None:
    try:
        parsed = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
