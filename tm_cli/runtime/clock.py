"""Time as a seam: deadlines and pauses read a clock that tests can move."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Protocol

SLICE = 0.5
"""Seconds; on Windows a signal does not end a longer wait for an event."""


class Clock(Protocol):
    """The three questions tm asks about time; durations are float seconds."""

    def monotonic(self) -> float:
        """Seconds that never step backwards; for deadlines."""
        ...

    def now(self) -> datetime:
        """The wall clock in UTC; for what is compared with a server's times, and for display."""
        ...

    def sleep(self, seconds: float) -> None:
        """Pause."""
        ...

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Pause until another thread sets `event`, at most for `seconds`; whether it is set."""
        ...


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        """Seconds that go on counting while the machine is suspended, where the system can."""
        boottime = getattr(time, "CLOCK_BOOTTIME", None)  # Linux; the others count sleep already
        return time.monotonic() if boottime is None else time.clock_gettime(boottime)

    def now(self) -> datetime:
        """The wall clock in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Pause the thread."""
        time.sleep(seconds)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Pause the thread until `event` is set."""
        deadline = self.monotonic() + seconds
        while (remaining := deadline - self.monotonic()) > 0:
            if event.wait(min(remaining, SLICE)):
                return True
        return event.is_set()


LAST_READ = 2.0
"""Seconds that a read may take in any case, also one that begins right at a deadline."""

_read_deadline: ContextVar[float | None] = ContextVar("read_deadline", default=None)


@contextmanager
def reads_end_at(moment: float) -> Iterator[None]:
    """Let every read of a server inside end by this moment of the monotonic clock."""
    token = _read_deadline.set(moment)
    try:
        yield
    finally:
        _read_deadline.reset(token)


def reads_of_a_wait(deadline: float, clock: Clock) -> AbstractContextManager[None]:
    """Let reads end by the deadline of a wait; one that begins then still has LAST_READ."""
    return reads_end_at(max(deadline, clock.monotonic() + LAST_READ))


def read_deadline() -> float | None:
    """The moment by which reads must end; None where only the timeout of a request counts."""
    return _read_deadline.get()
