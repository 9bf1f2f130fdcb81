"""What a run needs of that which generates its load: one engine, or a crew of several."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from tm_cli.server.engine.job import EngineJob
from tm_cli.server.engine_events import EngineEvent


class RunningEngine(Protocol):
    """Has its job already; nothing here waits except `events` and `close`."""

    def send(self, command: str, **details: object) -> None:
        """Send a command of the engine's protocol."""
        ...

    def events(self, *, patience: float) -> AsyncIterator[EngineEvent]:
        """What it says until it is over.

        Raises ValueError when that makes no sense, TimeoutError after `patience` seconds without
        a word.
        """
        ...

    async def close(self) -> int:
        """End it if it has not ended, and return its exit code."""
        ...

    def hang_up(self) -> None:
        """Tell it that nobody is in charge any more, which means: stop at once."""
        ...

    def kill(self) -> None:
        """End it without asking."""
        ...

    @property
    def last_error(self) -> str | None:
        """What it last complained about outside of its events."""
        ...


Launch = Callable[[str, EngineJob], Awaitable[RunningEngine]]
"""Starts what generates load in a region for a job; OSError when that is impossible."""
