"""A bell that cuts a pause short: whoever hears news of a run rings it."""

from __future__ import annotations

import threading

from tm_cli.clock import Clock


class Bell:
    """Rung for a run from any thread; only the loop that follows the runs waits for it."""

    def __init__(self) -> None:
        self._rung: set[int] = set()
        self._event = threading.Event()
        self._lock = threading.Lock()

    def ring(self, position: int) -> None:
        """Say that a look at the run at `position` may show something new."""
        with self._lock:
            self._rung.add(position)
            self._event.set()

    def wait(self, seconds: float, clock: Clock) -> bool:
        """Pause until it rings, at most for `seconds`; return whether it did."""
        return clock.wait(self._event, seconds)

    def take(self) -> frozenset[int]:
        """Return for whom it has rung since it was last asked."""
        with self._lock:
            taken = frozenset(self._rung)
            self._rung.clear()
            self._event.clear()
        return taken
