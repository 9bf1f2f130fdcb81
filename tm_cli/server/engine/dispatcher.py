"""Hands every request over at the moment it is due."""

from collections.abc import Callable

from tm_cli.curve import Curve
from tm_cli.server.engine.run_clock import RunClock

_NAP = 0.05  # seconds within which a pause or stop is noticed
_BURST = 16  # requests handed over in a row when late, before the senders get their turn


class Dispatcher:
    """Walks the curve. `hand_over(due, now)` gets monotonic instants; `sleep(0)` lets others run.

    `while_paused` is called when the clock is paused, and returns when it may have been resumed.
    """

    def __init__(
        self,
        curve: Curve,
        clock: RunClock,
        hand_over: Callable[[float, float], None],
        *,
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
        while_paused: Callable[[], None],
    ) -> None:
        self._curve = curve
        self._clock = clock
        self._hand_over = hand_over
        self._monotonic = monotonic
        self._sleep = sleep
        self._while_paused = while_paused
        self._is_stopped = False

    def stop(self) -> None:
        """End the walk: nothing more is handed over."""
        self._is_stopped = True

    def run(self) -> bool:
        """Walk to the end of the curve; False if stopped before."""
        in_a_row = 0
        for second in self._curve.arrivals():
            in_a_row = 0 if self._wait_until(second) else in_a_row + 1
            if self._is_stopped:
                return False
            self._hand_over(self._clock.instant(second), self._monotonic())
            if in_a_row >= _BURST:
                in_a_row = 0
                self._sleep(0)
        end = float("inf") if self._curve.loop else self._curve.duration
        self._wait_until(end)
        return not self._is_stopped

    def _wait_until(self, second: float) -> bool:
        """Wait for a curve second or for stop; True if there was anything to wait for."""
        waited = False
        while not self._is_stopped and (left := second - self._clock.elapsed()) > 0:
            waited = True
            if self._clock.is_paused:
                self._while_paused()
            else:
                self._sleep(min(left, _NAP))
        return waited
