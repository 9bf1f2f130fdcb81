"""Workers on other hosts: connected agents and their engines; how a run gets its workers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from tm_cli.runtime.clock import Clock
from tm_cli.server.engine.job import MAX_SLOTS, EngineJob
from tm_cli.server.profiles import LOCAL
from tm_cli.server.web.bodies import Refusal
from tm_cli.server.workers.agent_protocol import HANG_UP, KILL, Frame, exchange_frames
from tm_cli.server.workers.distributed_run import start_locally
from tm_cli.server.workers.engine_events import EngineEvent, Launch, RunningEngine, parse_event
from tm_cli.server.workers.local_worker import EngineProcess
from tm_cli.server.workers.worker_group import WorkerGroup, WorkerSpec

_MAX_BUFFERED = 16 * 1024 * 1024  # characters


class RemoteEngine:
    """Sends frames with `post`; its agent's connection passes on the replies."""

    def __init__(self, job: EngineJob, post: Callable[[Frame], None]) -> None:
        self.run_id = job.run_id
        self._post = post
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._waiting = 0
        self._error: str | None = None
        self._is_over = False
        self._write(job.to_line())

    def take(self, frame: Frame) -> None:
        if frame.line is not None and not self._is_over:
            self._waiting += len(frame.line)
            if self._waiting > _MAX_BUFFERED:
                self.kill()
                self.end("it sends more than can be processed")
                return
            self._lines.put_nowait(frame.line)
        if frame.over is not None:
            self.end(frame.over)

    def end(self, error_text: str) -> None:
        if not self._is_over:
            self._is_over = True
            self._error = error_text or None
            self._lines.put_nowait(None)

    def send(self, command: str, **details: object) -> None:
        self._write(json.dumps({"command": command, **details}))

    def _write(self, line: str) -> None:
        if not self._is_over:
            self._post(Frame(self.run_id, line=line))

    async def events(self, *, patience: float) -> AsyncIterator[EngineEvent]:
        """The engine's events until it ends or its agent is gone.

        Raises ValueError for an invalid event, TimeoutError after `patience` seconds without one.
        """
        while (line := await self._next_line(patience)) is not None:
            self._waiting -= len(line)
            event = parse_event(line.encode())
            if event is not None:
                yield event

    async def _next_line(self, patience: float) -> str | None:
        async with asyncio.timeout(patience):
            return await self._lines.get()

    async def close(self) -> int:
        """End it without waiting for the other host; its exit code stays unknown, so 0."""
        self.hang_up()
        return 0

    def hang_up(self) -> None:
        if not self._is_over:
            self._post(Frame(self.run_id, order=HANG_UP))

    def kill(self) -> None:
        if not self._is_over:
            self._post(Frame(self.run_id, order=KILL))

    @property
    def last_error(self) -> str | None:
        return self._error


MAX_CONNECTIONS = 64


class AgentConnection:
    """One connection, which is one worker for each run."""

    def __init__(self, region: str, name: str, label: str) -> None:
        self.region = region
        self.name = name
        self.label = label
        """Distinguishes the connections of a region."""
        self._outgoing: asyncio.Queue[Frame] = asyncio.Queue()
        self._engines: dict[str, RemoteEngine] = {}
        self._is_open = True

    async def start(self, job: EngineJob) -> RunningEngine:
        if not self._is_open:
            raise ConnectionError("its agent is gone")
        engine = RemoteEngine(job, self._outgoing.put_nowait)
        self._engines[engine.run_id] = engine
        return engine

    async def serve(
        self, receive: Callable[[], Awaitable[str]], send: Callable[[str], Awaitable[None]]
    ) -> None:
        error_text = "the server is stopping"
        try:
            await exchange_frames(receive, send, self._outgoing, self._take)
        except ConnectionError as error:
            error_text = f"its connection is gone: {error}"
            raise
        finally:
            self._is_open = False
            for engine in self._engines.values():
                engine.end(error_text)

    def _take(self, frame: Frame) -> None:
        engine = self._engines.get(frame.run)
        if engine:
            engine.take(frame)
        if frame.over is not None:
            self._engines.pop(frame.run, None)


class Agents:
    """Connections by region. Regions and agent names stay known until the server ends."""

    def __init__(self) -> None:
        self._names: dict[str, set[str]] = {}
        self._connections: dict[str, list[AgentConnection]] = {}

    def join(self, region: str, name: str) -> AgentConnection:
        if sum(map(len, self._connections.values())) >= MAX_CONNECTIONS:
            raise Refusal(f"{MAX_CONNECTIONS} workers are connected already", status=503)
        connections = self._connections.setdefault(region, [])
        connection = AgentConnection(region, name, self._label(region, name))
        connections.append(connection)
        self._names.setdefault(region, set()).add(name)
        return connection

    def leave(self, connection: AgentConnection) -> None:
        self._connections[connection.region].remove(connection)

    def _label(self, region: str, name: str) -> str:
        taken = {connection.label for connection in self._connections[region]}
        label, number = f"{region}/{name}", 1
        while label in taken:
            number += 1
            label = f"{region}/{name}#{number}"
        return label

    def workers_in(self, region: str) -> list[WorkerSpec]:
        connections = sorted(
            self._connections.get(region, []), key=lambda connection: connection.label
        )
        return [WorkerSpec(connection.label, connection.start) for connection in connections]

    @property
    def regions(self) -> dict[str, tuple[int, int]]:
        """How many agents were seen and how many connections are open, by region."""
        return {
            region: (len(names), len(self._connections[region]))
            for region, names in sorted(self._names.items())
        }

    @property
    def workers(self) -> dict[str, int]:
        """How many workers a run gets, by region."""
        return {region: connections for region, (_, connections) in self.regions.items()}


def launch_with(
    agents: Agents,
    command: Sequence[str],
    *,
    slots: int,
    clock: Clock,
    ca_file: str | None = None,
) -> Launch:
    """How runs are launched; `slots` requests of a local run may be under way at the same time.

    In other regions each worker has so many, at most `MAX_SLOTS`. Local runs trust `ca_file`.
    """

    async def launch(region: str, job: EngineJob) -> RunningEngine:
        if region != LOCAL:
            workers = agents.workers_in(region)
            if not workers:
                raise OSError(f"no agent is connected in region {region}")
            return await WorkerGroup.start(workers, _with_slots(job, min(slots, MAX_SLOTS)), clock)
        job = job.model_copy(update={"ca_file": ca_file})
        if slots <= MAX_SLOTS:
            first_line = _with_slots(job, slots).to_line()
            return await EngineProcess.start(command, first_line, hide=job.hide)
        return await start_locally(command, job, slots)

    return launch


def _with_slots(job: EngineJob, slots: int) -> EngineJob:
    return job.model_copy(update={"slots": slots})
