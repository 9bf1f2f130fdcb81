"""Replaces the load generator: sends no load, and reports the events of its script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from tm_cli.server.engine.job import EngineJob
from tm_cli.server.engine_events import EngineEvent, EngineStarted
from tm_cli.server.scripted.play import Ending, ScriptedRun, finished, progress

_BROKEN = 3


class ScriptedEngine:
    """A `RunningEngine` that reports its whole curve at once."""

    def __init__(self, script: ScriptedRun, job: EngineJob) -> None:
        self._script = script
        self._job = job
        self._stopped = asyncio.Event()

    def send(self, command: str, **details: object) -> None:
        if command == "stop":
            self._stopped.set()

    async def events(self, *, patience: float) -> AsyncIterator[EngineEvent]:
        buckets = self._script.buckets(self._job)
        yield EngineStarted(datetime.now(UTC))
        for bucket in buckets:
            yield bucket
        yield progress(buckets)
        if self._script.ending is Ending.BROKEN:
            return
        if self._script.ending is Ending.HANGS:
            await self._stopped.wait()
        yield finished(buckets, completed_curve=self._script.ending is Ending.COMPLETED)

    async def close(self) -> int:
        return _BROKEN if self._script.ending is Ending.BROKEN else 0

    def hang_up(self) -> None:
        self._stopped.set()

    def kill(self) -> None:
        self._stopped.set()

    @property
    def last_error(self) -> str | None:
        return "as scripted" if self._script.ending is Ending.BROKEN else None
