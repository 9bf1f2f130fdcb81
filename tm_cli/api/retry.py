"""What may be repeated, and after how long; pure.

Only reads are ever repeated. `Retry-After` is honoured within limits (RFC 9110, section 10.2.3).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from tm_cli.api.errors import ApiError, HttpError, NotReached, NotUnderstood
from tm_cli.runtime.clock import Clock
from tm_cli.values.durations import format_duration

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


WINDOW = 60.0
USUAL = 60
"""Requests in a minute that an account has unless its server says otherwise (section 4)."""


class RequestBudget:
    """At most `per_minute` requests in any sixty seconds, by a sliding window as the server's."""

    def __init__(self, clock: Clock, per_minute: int = USUAL) -> None:
        self.per_minute = per_minute
        self._clock = clock
        self._sent: deque[float] = deque()

    def take(self, *, deadline: float | None = None) -> None:
        """Wait until one more request fits, and count it.

        Raises NotReached at the deadline when none fits before it.
        """
        now = self._clock.monotonic()
        while self._sent and now - self._sent[0] >= WINDOW:
            self._sent.popleft()
        excess = len(self._sent) + 1 - self.per_minute
        if excess > 0:
            self._wait_until(self._sent[excess - 1] + WINDOW, deadline)
        self._sent.append(self._clock.monotonic())

    def _wait_until(self, moment: float, deadline: float | None) -> None:
        now = self._clock.monotonic()
        if deadline is None or moment <= deadline:
            self._clock.sleep(max(moment - now, 0.0))
            return
        self._clock.sleep(max(deadline - now, 0.0))
        raise NotReached(
            f"{self.per_minute} requests have been sent in this minute, which is the limit",
            maybe_sent=False,
        )
