"""Hands every request over when it is due, by a clock of curve time that can be paused."""

import math
from collections.abc import Callable
from typing import Generic, TypeVar

from tm_cli.server.engine.schedule import RequestPlan


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
        """Continue curve time from where it was paused; not after `stop`."""
        if self._paused_at is not None and not self._is_stopped:
            self._zero += self._monotonic() - self._paused_at
            self._paused_at = None

    def stop(self) -> None:
        self.pause()
        self._is_stopped = True


_SLEEP = 0.05  # seconds within which a pause or stop is noticed
_BURST = 16  # requests handed over in a row when late, before the senders get their turn
AHEAD = 0.25
"""Seconds; whether and by whom a request farther ahead is sent may still change."""

Place = TypeVar("Place")
"""Where a request counts."""


class Dispatcher(Generic[Place]):
    """Walks the curve and hands over the requests of this worker's share.

    `claim(number, second)` returns where a request counts, and is called as soon as this worker is
    known to send it. `hand_over(place, due, now, number)` gets monotonic instants, `sleep(0)`
    yields. `while_paused` is called when the clock is paused, and returns when it may have been
    resumed.
    """

    def __init__(
        self,
        plan: RequestPlan,
        clock: RunClock,
        claim: Callable[[int, float], Place],
        hand_over: Callable[[Place, float, float, int], None],
        *,
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
        while_paused: Callable[[], None],
    ) -> None:
        self._plan = plan
        self._curve = plan.curve
        self._clock = clock
        self._claim = claim
        self._hand_over = hand_over
        self._monotonic = monotonic
        self._sleep = sleep
        self._while_paused = while_paused
        self._is_stopped = False
        self.end = math.inf if self._curve.loop else self._curve.duration
        """The second at which the curve ends."""

    def stop(self) -> None:
        self._is_stopped = True

    def finish(self, second: float) -> None:
        """End the curve at this second, which is farther ahead than the requests being decided."""
        self.end = min(self.end, second)

    def run(self) -> bool:
        """Walk to the end of the curve; False if stopped before."""
        in_a_row, horizon = 0, AHEAD
        for number, second in enumerate(self._curve.arrivals()):
            if second > horizon:
                self._wait_until(second - AHEAD)
                horizon = self._clock.elapsed() + AHEAD
            if self._is_stopped:
                return False
            if second >= self.end:
                break
            in_a_row += 1
            if self._plan.takes(number) and self._dispatch(number, second):
                in_a_row = 0
            if in_a_row >= _BURST:
                in_a_row = 0
                self._sleep(0)
        self._wait_until(self.end)
        return not self._is_stopped

    def _dispatch(self, number: int, second: float) -> bool:
        """Hand over one request when it is due; True if that took waiting."""
        place = self._claim(number, second)
        waited = self._wait_until(second)
        if not self._is_stopped:
            self._hand_over(place, self._clock.instant(second), self._monotonic(), number)
        return waited

    def _wait_until(self, second: float) -> bool:
        """Wait for a curve second, the end or a stop; True if there was anything to wait for."""
        waited = False
        while not self._is_stopped and (left := min(second, self.end) - self._clock.elapsed()) > 0:
            waited = True
            if self._clock.is_paused:
                self._while_paused()
            else:
                self._sleep(min(left, _SLEEP))
        return waited
