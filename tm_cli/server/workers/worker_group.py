"""Several engines behind the face of one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tm_cli.runtime.clock import Clock
from tm_cli.server.workers.aggregate import WholePlan
from tm_cli.server.workers.coordinator import Foreman
from tm_cli.server.workers.engine_events import Event, RunningEngine, Started
from tm_cli.values.text import clean

_TICK = 0.25

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recruit:
    """A worker that can be started; `name` is for people."""

    name: str
    start: Callable[[Mapping[str, Any]], Awaitable[RunningEngine]]


class Crew:
    """Engines that share one curve. Its events are those of one engine that plays it alone."""

    def __init__(self, names: Sequence[str], job: Mapping[str, Any], clock: Clock) -> None:
        self._clock = clock
        self._engines: dict[int, RunningEngine] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._news = asyncio.Event()
        self._bug: Exception | None = None
        self._foreman = Foreman(
            names, WholePlan(job), request_timeout=job["timeout"], now=clock.monotonic()
        )

    @classmethod
    async def start(cls, recruits: Sequence[Recruit], job: Mapping[str, Any], clock: Clock) -> Crew:
        """Start an engine for each; one that cannot be started is left out."""
        crew = cls([recruit.name for recruit in recruits], job, clock)
        try:
            for index, recruit in enumerate(recruits):
                share = {"index": index, "count": len(recruits)}
                await crew._enlist(index, recruit, {**job, "share": share, "hold": True})
        except BaseException:
            crew.kill()
            await crew.close()
            raise
        return crew

    async def _enlist(self, index: int, recruit: Recruit, job: Mapping[str, Any]) -> None:
        try:
            self._engines[index] = await recruit.start(job)
        except OSError as error:
            reason = f"its load generator could not be started: {clean(error)}"
            self._foreman.lose(index, reason, self._clock.monotonic())

    def send(self, command: str, **details: object) -> None:
        """Send `pause`, `resume` or `stop` to all."""
        self._foreman.order(command)
        self._carry_out()

    async def events(self, *, patience: float) -> AsyncIterator[Event]:
        """What all of them say, as one; silence of the last one raises TimeoutError no more.

        Whoever is silent for `patience` seconds is lost, and with the last one the run has failed.
        """
        for index, engine in self._engines.items():
            self._tasks.append(asyncio.create_task(self._follow(index, engine, patience)))
        self._tasks.append(asyncio.create_task(self._look_around()))
        while True:
            self._news.clear()
            if self._bug is not None:
                raise self._bug
            self._carry_out()
            told, self._foreman.events = self._foreman.events, []
            for event in told:
                # the clocks of other hosts may be wrong
                yield Started(self._clock.now()) if isinstance(event, Started) else event
            if self._foreman.is_over:
                return
            if not told:
                await self._news.wait()

    async def _follow(self, index: int, engine: RunningEngine, patience: float) -> None:
        reason = ""
        try:
            async for event in engine.events(patience=patience):
                self._foreman.hear(index, event, self._clock.monotonic())
                self._news.set()
        except TimeoutError:
            reason = f"not a word for {patience:g} s"
        except ValueError as error:
            reason = str(error)
        except Exception:  # a bug; the others go on
            logger.exception("what worker %d says could not be followed", index)
            reason = "what it says could not be followed"
        reason = reason or engine.last_complaint or "it ended without a last word"
        self._foreman.lose(index, clean(reason), self._clock.monotonic())
        self._news.set()

    async def _look_around(self) -> None:
        try:
            while True:
                await asyncio.sleep(_TICK)
                self._foreman.look(self._clock.monotonic())
                self._news.set()
        except Exception as bug:  # or the run would never end
            self._bug = bug
            self._news.set()

    def _carry_out(self) -> None:
        orders, self._foreman.orders = self._foreman.orders, []
        for order in orders:
            engine = self._engines.get(order.worker)
            if engine is None:
                continue
            if order.command == "kill":
                engine.kill()
            else:
                engine.send(order.command, **order.details)

    async def close(self) -> int:
        """End those that have not ended; return the first exit code that is not 0."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        codes = await asyncio.gather(*(engine.close() for engine in self._engines.values()))
        return next((code for code in codes if code), 0)

    def hang_up(self) -> None:
        """Tell all that nobody is in charge any more."""
        for engine in self._engines.values():
            engine.hang_up()

    def kill(self) -> None:
        """End all without asking."""
        for engine in self._engines.values():
            engine.kill()

    @property
    def last_complaint(self) -> str | None:
        """What one of them last complained about."""
        found = (engine.last_complaint for engine in self._engines.values())
        return next((text for text in found if text), None)
