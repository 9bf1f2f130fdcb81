"""A clock whose pauses end with the call that they belong to."""

from __future__ import annotations

import signal
import threading
from datetime import datetime

from tm_cli.clock import SLICE, Clock
from tm_cli.signals import SignalReceived


class CallClock:
    """The given clock until `cancel` is called; after that it answers as Ctrl-C would.

    Whoever pauses then is interrupted, and so is whoever is about to start something: the wall
    clock is read just before a start is sent. What is on its way is not torn.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._cancelled = threading.Event()
        self._is_told = False

    def cancel(self) -> None:
        """End the pauses of this call; from any thread."""
        self._cancelled.set()

    @property
    def is_cancelled(self) -> bool:
        """Whether the call is over for its client."""
        return self._cancelled.is_set()

    def monotonic(self) -> float:
        """Seconds that never step backwards."""
        return self._clock.monotonic()

    def now(self) -> datetime:
        """The wall clock in UTC; once after the end, SignalReceived."""
        if self._cancelled.is_set() and not self._is_told:
            self._interrupt()
        return self._clock.now()

    def sleep(self, seconds: float) -> None:
        """Pause; raises SignalReceived when the call ends before."""
        if self._clock.wait(self._cancelled, seconds):
            self._interrupt()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Pause until `event` is set; raises SignalReceived when the call ends before."""
        deadline = self.monotonic() + seconds
        while not self._cancelled.is_set():
            remaining = deadline - self.monotonic()
            if event.is_set() or remaining <= 0:
                return event.is_set()
            self._clock.wait(event, min(remaining, SLICE))
        self._interrupt()
        return False

    def _interrupt(self) -> None:
        self._is_told = True
        raise SignalReceived(signal.SIGINT)
