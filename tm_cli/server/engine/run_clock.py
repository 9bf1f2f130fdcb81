"""Curve time: the seconds since a run started, pauses left out."""

import math
from collections.abc import Callable


class RunClock:
    """A stopwatch that can be paused. `monotonic` supplies seconds that never go back."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._zero = math.inf
        self._paused_at: float | None = None
        self._is_stopped = False

    def start(self, lead: float = 0.0) -> None:
        """Curve second 0 is `lead` seconds from now, or from the end of a pause."""
        now = self._monotonic()
        self._zero = now + lead
        if self._paused_at is not None:
            self._paused_at = now

    @property
    def is_paused(self) -> bool:
        return self._paused_at is not None

    def elapsed(self) -> float:
        """Curve seconds so far; 0 until started and the lead has passed."""
        now = self._monotonic() if self._paused_at is None else self._paused_at
        return max(0.0, now - self._zero)

    def instant(self, second: float) -> float:
        """The monotonic time of a curve second, if no further pause comes before it."""
        return self._zero + second

    def pause(self) -> None:
        """Stop curve time; a second call changes nothing."""
        if self._paused_at is None:
            self._paused_at = self._monotonic()

    def resume(self) -> None:
        """Let curve time go on from where it was paused; not after `stop`."""
        if self._paused_at is not None and not self._is_stopped:
            self._zero += self._monotonic() - self._paused_at
            self._paused_at = None

    def stop(self) -> None:
        self.pause()
        self._is_stopped = True
