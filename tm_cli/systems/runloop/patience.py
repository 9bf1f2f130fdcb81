"""Which failed reads say nothing about a run, so that it is looked at again."""

from __future__ import annotations

from tm_cli.api.errors import ApiError, HttpError
from tm_cli.api.runloop.client import Client
from tm_cli.clock import Clock
from tm_cli.errors import TmError
from tm_cli.systems.runloop.pinning import NOT_THERE

FRESH = 30.0
"""Seconds after a start in which a replica may not know the run yet."""


class Patience:
    """Rides out what observed nothing; `started` and `seen` tell when a 404 is believed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._fresh_until: float | None = None

    def started(self) -> None:
        """Note that the run has been made just now."""
        self._fresh_until = self._clock.monotonic() + FRESH

    def seen(self) -> None:
        """Note that the server knows the run: it must not forget it again."""
        self._fresh_until = None

    def excuses(self, error: TmError) -> bool:
        """Whether a run that was made just now may be unknown to the replica that answered."""
        return (
            isinstance(error, HttpError)
            and error.status in NOT_THERE
            and self._fresh_until is not None
            and self._clock.monotonic() < self._fresh_until
        )

    def pause_after(self, error: TmError) -> float | None:
        """Return the least pause in seconds before the next look; None when that is no use."""
        if self.excuses(error):
            return 1.0
        if not isinstance(error, ApiError) or not Client.may_read_again(error):
            return None
        asked = error.retry_after if isinstance(error, HttpError) else None
        return asked or 0.0
