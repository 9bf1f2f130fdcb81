"""Several engines that act as one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tm_cli.runtime.clock import Clock
from tm_cli.server.engine.distributed.aggregate import WholePlan
from tm_cli.server.engine.distributed.coordinator import Coordinator
from tm_cli.server.engine.job import EngineJob
from tm_cli.server.engine.schedule import Share
from tm_cli.server.workers.engine_events import EngineEvent, EngineStarted, RunningEngine
from tm_cli.values.text import sanitize

_TICK = 0.25

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """A worker that can be started; `name` is for messages."""

    name: str
    start: Callable[[EngineJob], Awaitable[RunningEngine]]


class WorkerGroup:
    """Engines that share one curve. Its events are those of a single engine."""

    def __init__(self, names: Sequence[str], job: EngineJob, clock: Clock) -> None:
        self._clock = clock
        self._engines: dict[int, RunningEngine] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()
        self._bug: Exception | None = None
        self._coordinator = Coordinator(
            names,
            WholePlan(job.plan),
            request_timeout=job.arrival_timeout,
            now=clock.monotonic(),
            probe_timeout=job.probe.wait + 3 * job.timeout if job.probe else 0.0,
        )

    @classmethod
    async def start(
        cls, workers: Sequence[WorkerSpec], job: EngineJob, clock: Clock
    ) -> WorkerGroup:
        """Start an engine for each; one that cannot be started is left out."""
        group = cls([worker.name for worker in workers], job, clock)
        try:
            for index, worker in enumerate(workers):
                share = Share(index, len(workers))
                await group._start_worker(
                    index, worker, job.model_copy(update={"share": share, "hold": True})
                )
        except BaseException:
            group.kill()
            await group.close()
            raise
        return group

    async def _start_worker(self, index: int, worker: WorkerSpec, job: EngineJob) -> None:
        try:
            self._engines[index] = await worker.start(job)
        except OSError as error:
            reason = f"its load generator could not be started: {sanitize(error)}"
            self._coordinator.on_worker_lost(index, reason, self._clock.monotonic())

    def send(self, command: str, **details: Any) -> None:
        self._coordinator.command(command, **details)
        self._send_commands()

    async def events(self, *, patience: float) -> AsyncIterator[EngineEvent]:
        """The merged events of all engines; never raises TimeoutError.

        An engine that is silent for `patience` seconds is lost; with the last one the run fails.
        """
        for index, engine in self._engines.items():
            self._tasks.append(asyncio.create_task(self._follow(index, engine, patience)))
        self._tasks.append(asyncio.create_task(self._tick()))
        while True:
            self._changed.clear()
            if self._bug is not None:
                raise self._bug
            self._send_commands()
            events, self._coordinator.events = self._coordinator.events, []
            for event in events:
                # the clocks of other hosts may be wrong
                yield (
                    EngineStarted(self._clock.now()) if isinstance(event, EngineStarted) else event
                )
            if self._coordinator.is_over:
                return
            if not events:
                await self._changed.wait()

    async def _follow(self, index: int, engine: RunningEngine, patience: float) -> None:
        reason = ""
        try:
            async for event in engine.events(patience=patience):
                self._coordinator.on_event(index, event, self._clock.monotonic())
                self._changed.set()
        except TimeoutError:
            reason = f"no message for {patience:g} s"
        except ValueError as error:
            reason = str(error)
        except Exception:  # a bug; the others continue
            logger.exception("the events of worker %d could not be processed", index)
            reason = "its events could not be processed"
        reason = reason or engine.last_error or "it ended without a final event"
        self._coordinator.on_worker_lost(index, sanitize(reason), self._clock.monotonic())
        self._changed.set()

    async def _tick(self) -> None:
        try:
            while True:
                await asyncio.sleep(_TICK)
                self._coordinator.tick(self._clock.monotonic())
                self._changed.set()
        except Exception as bug:  # or the run would never end
            self._bug = bug
            self._changed.set()

    def _send_commands(self) -> None:
        commands, self._coordinator.commands = self._coordinator.commands, []
        for command in commands:
            engine = self._engines.get(command.worker)
            if engine is None:
                continue
            if command.command == "kill":
                engine.kill()
            else:
                engine.send(command.command, **command.details)

    async def close(self) -> int:
        """End those that have not ended; return the first exit code that is not 0."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        codes = await asyncio.gather(*(engine.close() for engine in self._engines.values()))
        return next((code for code in codes if code), 0)

    def hang_up(self) -> None:
        for engine in self._engines.values():
            engine.hang_up()

    def kill(self) -> None:
        for engine in self._engines.values():
            engine.kill()

    @property
    def last_error(self) -> str | None:
        found = (engine.last_error for engine in self._engines.values())
        return next((text for text in found if text), None)
