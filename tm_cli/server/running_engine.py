"""What a run needs of its load generator: one engine, or a group of several."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from tm_cli.server.engine.job import EngineJob
from tm_cli.server.engine_events import EngineEvent


class RunningEngine(Protocol):
    """Has its job already; nothing here waits except `events` and `close`."""

    def send(self, command: str, **details: object) -> None: ...

    def events(self, *, patience: float) -> AsyncIterator[EngineEvent]:
        """Its events until it ends.

        Raises ValueError for an invalid event, TimeoutError after `patience` seconds without one.
        """
        ...

    async def close(self) -> int:
        """End it if it has not ended, and return its exit code."""
        ...

    def hang_up(self) -> None:
        """Close its input, which means: stop at once."""
        ...

    def kill(self) -> None: ...

    @property
    def last_error(self) -> str | None:
        """The last error outside of its events."""
        ...


Launch = Callable[[str, EngineJob], Awaitable[RunningEngine]]
"""Starts what generates load in a region for a job; OSError when that is impossible."""
