"""Keeps a server that was started on demand alive for as long as a client holds a lease."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

UNUSED_GRACE = 0.5
NEVER_USED_GRACE = 30.0
_HEARTBEAT_INTERVAL = 3.0
_POLL_INTERVAL = 0.1


class Leases:
    """Counts the clients that hold the server; each holds one open response."""

    def __init__(self) -> None:
        self.held = 0
        self.ever_held = False
        self._closing = asyncio.Event()

    async def hold(self) -> AsyncIterator[bytes]:
        """Yield a line now and then, until the client disconnects or the server ends."""
        self.held += 1
        self.ever_held = True
        try:
            while not self._closing.is_set():
                yield b"\n"
                await _first(self._closing, _HEARTBEAT_INTERVAL)
        finally:
            self.held -= 1

    @property
    def is_closed(self) -> bool:
        """Whether the server is stopping and grants no more leases."""
        return self._closing.is_set()

    def close(self) -> None:
        self._closing.set()


async def _first(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return


class UnusedRule:
    """Decides when a server has been unused for long enough."""

    def __init__(self, now: float) -> None:
        self._unused_since: float | None = now

    def should_exit(self, now: float, *, in_use: bool, ever_used: bool) -> bool:
        """Whether to exit at `now`; call it often."""
        if in_use:
            self._unused_since = None
            return False
        if self._unused_since is None:
            self._unused_since = now
        grace = UNUSED_GRACE if ever_used else NEVER_USED_GRACE
        return now - self._unused_since >= grace


async def wait_until_unused(
    leases: Leases, is_busy: Callable[[], bool], monotonic: Callable[[], float]
) -> None:
    """Close the leases once none has been held and no run active for long enough.

    Nothing is awaited in between, so that no lease is granted by a server that is stopping.
    """
    rule = UnusedRule(monotonic())
    while not rule.should_exit(
        monotonic(), in_use=leases.held > 0 or is_busy(), ever_used=leases.ever_held
    ):
        await asyncio.sleep(_POLL_INTERVAL)
    leases.close()
