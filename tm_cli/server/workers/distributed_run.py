"""A run of several load generators, as the server sees it: one engine, its master."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from tm_cli.server.engine.distributed.roles import (
    MasterRole,
    WorkerKeys,
    WorkerRole,
    run_keys,
)
from tm_cli.server.engine.job import MAX_SLOTS, EngineJob
from tm_cli.server.profiles import LOCAL
from tm_cli.server.workers.engine_events import (
    EngineEvent,
    EngineFailed,
    MasterListening,
    WorkerDropped,
)
from tm_cli.server.workers.local_worker import EngineProcess, LocalWorker
from tm_cli.values.text import sanitize

_LISTEN_TIMEOUT = 30.0


class StartedWorker(Protocol):
    """A worker that was started; nothing here waits except `close`."""

    def kill(self) -> None:
        """End it at once: the run goes on without it, or is over."""
        ...

    async def close(self) -> int:
        """Wait a moment for its end, which its master has asked for, then enforce it.

        Return its exit code, 0 where it is unknown.
        """
        ...


@dataclass(frozen=True, slots=True)
class WorkerTicket:
    """What a worker of one run needs: the master is reached at `port` of this machine's loopback.

    `gone(reason)` tells the run at once that the worker has ended, has lost its connection, or
    could not start; later calls change nothing. The keys are secret.
    """

    run_id: str
    label: str
    port: int
    keys: WorkerKeys
    gone: Callable[[str], None]

    def role(self, **details: object) -> WorkerRole:
        """The worker's first line is `role().to_line()`, if it runs on this machine."""
        return WorkerRole.model_validate(
            {"port": self.port, "name": self.label, "keys": self.keys, **details}
        )


StartWorker = Callable[[WorkerTicket], Awaitable[StartedWorker]]
"""Starts one worker, without waiting until it has connected; OSError if that is impossible."""


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """A worker that can be started; `label` is unique in the run, and for messages."""

    label: str
    start: StartWorker


class DistributedRun:
    """The master of a run and the workers that were started for it: a `RunningEngine`.

    Its events are those of a single engine. A worker takes its job and its orders from the master;
    the server tells the master only what it knows sooner: that a worker is `gone`.
    """

    def __init__(self, master: EngineProcess, keys: WorkerKeys, run_id: str) -> None:
        self._master = master
        self._keys = keys
        self._run_id = run_id
        self._workers: dict[str, StartedWorker] = {}
        self.port = 0
        """Where the master listens on this machine's loopback."""

    @classmethod
    async def start(
        cls, command: Sequence[str], workers: Sequence[WorkerSpec], job: EngineJob, *, senders: int
    ) -> DistributedRun:
        """Start the master, wait until it listens, and start the workers.

        `senders` are dealt out to them. A worker that cannot be started is left out; OSError if the
        master cannot.
        """
        for_master, for_workers = run_keys()
        role = MasterRole(
            job=job, workers=[spec.label for spec in workers], senders=senders, keys=for_master
        )
        master = await EngineProcess.start(
            command, role.to_line(), hide=job.hide, workers=len(workers)
        )
        run = cls(master, for_workers, job.run_id)
        try:
            await run._wait_until_listening()
            for spec in workers:  # each start of a process stops all else here for a moment
                await run._start_worker(spec)
        except BaseException:
            run.kill()
            await run.close()
            raise
        return run

    async def _wait_until_listening(self) -> None:
        events = self._master.events(patience=_LISTEN_TIMEOUT)
        try:
            event = await anext(events, None)
        except (TimeoutError, ValueError) as error:
            raise OSError(f"the master of the run did not start: {sanitize(error)}") from error
        match event:
            case MasterListening():
                self.port = event.port
            case EngineFailed():
                raise OSError(event.message)
            case _:
                raise OSError(sanitize(self._master.last_error or "the master of the run ended"))

    async def _start_worker(self, spec: WorkerSpec) -> None:
        gone = partial(self.gone, spec.label)
        ticket = WorkerTicket(self._run_id, spec.label, self.port, self._keys, gone)
        try:
            self._workers[spec.label] = await spec.start(ticket)
        except OSError as error:
            gone(f"its load generator could not be started: {sanitize(error)}")

    def gone(self, label: str, reason: str) -> None:
        """Tell the run that a worker has ended or cannot be reached any more."""
        self._master.send("gone", worker=label, reason=sanitize(reason))

    def send(self, command: str, **details: object) -> None:
        self._master.send(command, **details)

    async def events(self, *, patience: float) -> AsyncIterator[EngineEvent]:
        async for event in self._master.events(patience=patience):
            if not isinstance(event, WorkerDropped):
                yield event
            elif worker := self._workers.get(event.worker):
                worker.kill()

    async def close(self) -> int:
        """End master and workers; return the first exit code that is not 0."""
        code = await self._master.close()
        codes = await asyncio.gather(*(worker.close() for worker in self._workers.values()))
        return next((each for each in (code, *codes) if each), 0)

    def hang_up(self) -> None:
        self._master.hang_up()

    def kill(self) -> None:
        self._master.kill()
        for worker in self._workers.values():
            worker.kill()

    @property
    def last_error(self) -> str | None:
        return self._master.last_error


async def start_locally(command: Sequence[str], job: EngineJob, senders: int) -> DistributedRun:
    """Have as few workers as possible on this machine send a job with so many senders."""

    async def start(ticket: WorkerTicket) -> StartedWorker:
        role = ticket.role(trusts_addresses=True, ca_file=job.ca_file)
        process = await EngineProcess.start(command, role.to_line(), hide=job.hide)
        return LocalWorker(process, ticket.gone)

    count = math.ceil(senders / MAX_SLOTS)
    workers = [WorkerSpec(f"{LOCAL}/{number}", start) for number in range(1, count + 1)]
    return await DistributedRun.start(command, workers, job, senders=senders)
