"""Takes the place of the load generator: sends nothing, and says what its play says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from tm_cli.server.engine.job import EngineJob
from tm_cli.server.engine_events import EngineEvent, EngineStarted
from tm_cli.server.scripted.play import Ending, ScriptedRun, finished, progress

_BROKEN = 3


class ScriptedEngine:
    """A `RunningEngine` that plays its whole curve at once."""

    def __init__(self, play: ScriptedRun, job: EngineJob) -> None:
        self._play = play
        self._job = job
        self._stopped = asyncio.Event()

    def send(self, command: str, **details: object) -> None:
        """Obey `stop`; a pause means nothing to it."""
        if command == "stop":
            self._stopped.set()

    async def events(self, *, patience: float) -> AsyncIterator[EngineEvent]:
        """The events of the play."""
        buckets = self._play.buckets(self._job)
        yield EngineStarted(datetime.now(UTC))
        for bucket in buckets:
            yield bucket
        yield progress(buckets)
        if self._play.ending is Ending.BROKEN:
            return
        if self._play.ending is Ending.HANGS:
            await self._stopped.wait()
        yield finished(buckets, completed_curve=self._play.ending is Ending.COMPLETED)

    async def close(self) -> int:
        """Return the exit code that a process would have."""
        return _BROKEN if self._play.ending is Ending.BROKEN else 0

    def hang_up(self) -> None:
        """Stop at once."""
        self._stopped.set()

    def kill(self) -> None:
        """Stop at once."""
        self._stopped.set()

    @property
    def last_error(self) -> str | None:
        """Why it died, if it did."""
        return "as scripted" if self._play.ending is Ending.BROKEN else None
