"""Which failed reads are repeated, and when a 404 is believed."""

from __future__ import annotations

from tm_cli.api.errors import HttpError
from tm_cli.api.retry import retry_pause
from tm_cli.api.runloop.client import Client
from tm_cli.clock import Clock
from tm_cli.errors import TmError
from tm_cli.systems.runloop.pinning import NOT_THERE

REPLICA_LAG = 30.0
"""Seconds after a start in which a replica may not know the run yet."""


class NotFoundGrace:
    """Treats 404 as transient for REPLICA_LAG seconds after a start, until the run was seen."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: float | None = None

    def started(self) -> None:
        """Note that the run has been made just now."""
        self._until = self._clock.monotonic() + REPLICA_LAG

    def seen(self) -> None:
        """Note that the server knows the run: it must not forget it again."""
        self._until = None

    def excuses(self, error: TmError) -> bool:
        """Whether a run that was made just now may be unknown to the replica that answered."""
        return (
            isinstance(error, HttpError)
            and error.status in NOT_THERE
            and self._until is not None
            and self._clock.monotonic() < self._until
        )

    def retry_pause(self, error: TmError) -> float | None:
        """Return the least pause in seconds before the next read; None when that is useless."""
        if self.excuses(error):
            return 1.0
        return retry_pause(error, Client.may_read_again)
