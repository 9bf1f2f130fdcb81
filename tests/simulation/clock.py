"""Time that only passes when somebody spends it."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

EPOCH = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LONGEST_SLEEP = 300.0
MOST_STEPS = 3000


class Hang(BaseException):
    """The program under test never comes to an end."""


class ImpossibleSleep(BaseException):
    """Somebody slept backwards, or longer than anything may pause."""


class VirtualClock:
    """Sleeping moves it forward and fires, on the way, what was planned for that time.

    `elapsed` is the true time in seconds since the beginning; the wall clock may be stepped.
    """

    def __init__(self) -> None:
        self.elapsed = 0.0
        self.steps = 0
        self.wall_offset = 0.0
        self._order = itertools.count()
        self._planned: list[tuple[float, int, Callable[[], None]]] = []

    def monotonic(self) -> float:
        return 1000.0 + self.elapsed

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.elapsed + self.wall_offset)

    def sleep(self, seconds: float) -> None:
        if not 0 <= seconds <= LONGEST_SLEEP + 1e-6:
            raise ImpossibleSleep(f"slept for {seconds} s")
        self.spend(seconds)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Sleep until the event is set, which meanwhile only something planned can do."""
        until = self.elapsed + seconds
        while not event.is_set() and self._planned and self._planned[0][0] <= until:
            self.sleep(max(self._planned[0][0] - self.elapsed, 0.0))
        if not event.is_set():
            self.sleep(max(until - self.elapsed, 0.0))
        return event.is_set()

    def spend(self, seconds: float) -> None:
        """Let time pass; a planned event may let more of it pass, or raise."""
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise Hang(f"{self.steps} steps, {self.elapsed:.0f} s")
        until = self.elapsed + seconds
        while self._planned and self._planned[0][0] <= until:
            at, _, action = heapq.heappop(self._planned)
            self.elapsed = max(self.elapsed, at)
            action()
        self.elapsed = max(self.elapsed, until)

    def plan(self, at: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._planned, (at, next(self._order), action))

    def suspend(self, seconds: float) -> None:
        """The machine sleeps; boot time, which tm reads, goes on."""
        self.elapsed += seconds

    def step_wall(self, seconds: float) -> None:
        self.wall_offset += seconds
