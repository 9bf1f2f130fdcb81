"""Which requests are repeated, how often, and after which pause.

Only reads are repeated freely; a write is repeated by its caller where it knows that the server
has not acted. `Retry-After` is honoured within limits (RFC 9110, section 10.2.3).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from tm_cli.api.errors import ApiError, ConnectionFailed, HttpError, InvalidResponse
from tm_cli.errors import TmError
from tm_cli.runtime.clock import Clock
from tm_cli.values.durations import format_duration
from tm_cli.values.sliding_window import SlidingWindow

DEFAULT_PER_MINUTE = 60
"""Requests in a minute that an account has unless its server says otherwise (section 4)."""

LONGEST_PAUSE = 300.0
FIRST_PAUSE = 0.5
TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)


def is_transient(error: ApiError) -> bool:
    """Whether a failed read says nothing about the server's state, so that it may be repeated."""
    match error:
        case ConnectionFailed() | InvalidResponse():
            return True
        case HttpError():
            return error.status in TRANSIENT_STATUSES
    return False


def is_no_answer(error: ApiError) -> bool:
    """Whether a read during a wait has had no answer of the API itself, so that the wait goes on.

    A page with an error status, whichever it is, comes from a proxy or firewall in front of it.
    """
    is_page = isinstance(error, HttpError) and (not error.from_api or error.status >= 500)
    return is_page or is_transient(error)


def requested_pause(error: TmError) -> float:
    """The seconds that the server asks to wait for; 0 when it asks for nothing."""
    return (error.retry_after or 0.0) if isinstance(error, HttpError) else 0.0


def retry_pause(
    error: TmError, may_repeat: Callable[[ApiError], bool] = is_transient
) -> float | None:
    """Return the least pause in seconds before a wait repeats a read; None when that is useless."""
    if not isinstance(error, ApiError) or not (is_no_answer(error) or may_repeat(error)):
        return None
    return requested_pause(error)


def pause_before_retry(error: ApiError, attempt: int) -> float:
    """Seconds to wait after the failed `attempt` (counted from 0), at most five minutes."""
    backoff = FIRST_PAUSE * 2.0 ** min(attempt, 10)
    return min(max(backoff, requested_pause(error)), LONGEST_PAUSE)


class Attempts:
    """Counts the attempts at one request, of which there are `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._failed = 0

    @property
    def is_last(self) -> bool:
        return self._failed + 1 >= self._most

    def next_pause(self, error: ApiError) -> float:
        """Return the seconds before the next attempt; raises `error` after the last one."""
        if self.is_last:
            raise error
        self._failed += 1
        return pause_before_retry(error, self._failed - 1)


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
    """The pause that a server asks for, as text; longer ones are read as LONGEST_PAUSE."""
    return format_duration(seconds) + (" or more" if seconds >= LONGEST_PAUSE else "")


def _http_date(text: str) -> datetime | None:
    try:
        parsed = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


class RequestBudget:
    """At most `per_minute` requests in any sixty seconds, counted as the server counts them.

    For a server that estimates that, `window` is a stricter one.
    """

    def __init__(
        self,
        clock: Clock,
        per_minute: int = DEFAULT_PER_MINUTE,
        window: SlidingWindow | None = None,
    ) -> None:
        self._clock = clock
        self._window = window or SlidingWindow(per_minute, clock.monotonic)

    @property
    def per_minute(self) -> int:
        """Requests that fit into a minute; it may be changed at any time."""
        return self._window.limit

    @per_minute.setter
    def per_minute(self, requests: int) -> None:
        self._window.limit = requests

    @property
    def delay(self) -> float:
        """Seconds until one more request fits."""
        return self._window.delay()

    def take(self, *, deadline: float | None = None) -> None:
        """Wait until one more request fits, and count it.

        Raises ConnectionFailed at the deadline when none fits before it.
        """
        delay, now = self.delay, self._clock.monotonic()
        if deadline is not None and now + delay > deadline and delay > 0:
            self._clock.sleep(max(deadline - now, 0.0))
            raise ConnectionFailed(
                f"{self.per_minute} requests have been sent in this minute, which is the limit",
                maybe_sent=False,
            )
        if delay > 0:
            self._clock.sleep(delay)
        self._window.count()
