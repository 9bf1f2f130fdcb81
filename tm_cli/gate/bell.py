"""Lets a backend's event stream wake the scheduler before the next poll is due."""

from __future__ import annotations

import threading

from tm_cli.clock import Clock


class Wakeup:
    """Set for a run from any thread; only the loop that follows the runs waits for it."""

    def __init__(self) -> None:
        self._positions: set[int] = set()
        self._event = threading.Event()
        self._lock = threading.Lock()

    def set(self, position: int) -> None:
        """Say that a poll of the run at `position` may show something new."""
        with self._lock:
            self._positions.add(position)
            self._event.set()

    def wait(self, seconds: float, clock: Clock) -> bool:
        """Pause until it is set, at most for `seconds`; return whether it was."""
        return clock.wait(self._event, seconds)

    def drain(self) -> frozenset[int]:
        """Return the runs for which it was set since the last call."""
        with self._lock:
            taken = frozenset(self._positions)
            self._positions.clear()
            self._event.clear()
        return taken
