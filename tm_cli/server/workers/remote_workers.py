"""Workers on other hosts: the agents that are present, and the tunnels of their workers."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence

from tm_cli.server.engine.job import MAX_SLOTS, EngineJob
from tm_cli.server.profiles import LOCAL
from tm_cli.server.web.bodies import Refusal
from tm_cli.server.workers.agent_protocol import (
    Message,
    TunnelTicket,
    exchange_messages,
    first_to_end,
)
from tm_cli.server.workers.distributed_run import (
    DistributedRun,
    WorkerSpec,
    WorkerTicket,
    start_locally,
)
from tm_cli.server.workers.engine_events import Launch, RunningEngine
from tm_cli.server.workers.local_worker import EngineProcess
from tm_cli.server.workers.tunnel import CHUNK, Link, carry
from tm_cli.values.text import sanitize

MAX_CONNECTIONS = 64


class RemoteWorker:
    """A worker of one run behind an agent, until its tunnel ends."""

    def __init__(self, ticket: WorkerTicket) -> None:
        self._ticket = ticket
        self._secret = secrets.token_urlsafe(32)
        self._is_claimed = False
        self._ended = asyncio.Event()

    @property
    def message(self) -> Message:
        """What its agent is told."""
        ticket = TunnelTicket(
            run=self._ticket.run_id,
            worker=self._ticket.label,
            secret=self._secret,
            keys=self._ticket.keys,
        )
        return ticket.model_dump(mode="json")

    def claims(self, run_id: str, secret: str) -> bool:
        """Whether a tunnel may be opened with this secret, which from then on opens no other."""
        fits = (
            run_id == self._ticket.run_id
            and secrets.compare_digest(self._secret.encode(), secret.encode())
            and not self._is_claimed
            and not self._ended.is_set()
        )
        self._is_claimed |= fits
        return fits

    async def carry(self, link: Link) -> None:
        """Connect the worker with its master until one of them closes, or the worker is ended."""
        fault = "its connection was closed"
        try:
            fault = await first_to_end(self._carry(link), self._wait())
        finally:
            self.end(fault or "its master has closed the connection")

    async def _carry(self, link: Link) -> str:
        try:
            first = await link.receive_bytes()  # so the worker has connected
            port = self._ticket.port
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=CHUNK)
        except OSError as error:
            return str(error)
        return await carry(link, reader, writer, first)

    async def _wait(self) -> str:
        await self._ended.wait()
        return ""

    def end(self, reason: str) -> None:
        """Close the tunnel, or let none be opened, and tell the run."""
        if not self._ended.is_set():
            self._ended.set()
            self._ticket.gone(reason)

    @property
    def has_ended(self) -> bool:
        return self._ended.is_set()

    def kill(self) -> None:
        self.end("it was given up")

    async def close(self) -> int:
        """End it without waiting for the other host; its exit code stays unknown, so 0."""
        self.kill()
        return 0


class AgentConnection:
    """The presence of one worker of an agent, which takes part in each run of its region."""

    def __init__(self, region: str, name: str, label: str) -> None:
        self.region = region
        self.name = name
        self.label = label
        """Distinguishes the connections of a region."""
        self._outgoing: asyncio.Queue[Message] = asyncio.Queue()
        self._workers: list[RemoteWorker] = []
        self._is_open = True

    async def start(self, ticket: WorkerTicket) -> RemoteWorker:
        if not self._is_open:
            raise ConnectionError("its agent is gone")
        worker = RemoteWorker(ticket)
        self._workers = [each for each in self._workers if not each.has_ended] + [worker]
        self._outgoing.put_nowait(worker.message)
        return worker

    def worker_for(self, run_id: str, secret: str) -> RemoteWorker | None:
        return next((each for each in self._workers if each.claims(run_id, secret)), None)

    async def serve(
        self, receive: Callable[[], Awaitable[str]], send: Callable[[str], Awaitable[None]]
    ) -> None:
        reason = "the server is stopping"
        try:
            await exchange_messages(receive, send, self._outgoing, _refuse)
        except ConnectionError as error:
            reason = f"its agent is gone: {error}"
            raise
        finally:
            self._is_open = False
            for worker in self._workers:
                worker.end(reason)


def _refuse(message: Message) -> None:
    raise ValueError("agents send heartbeats alone")


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

    def worker_for(self, run_id: str, secret: str) -> RemoteWorker:
        """The worker whose only tunnel a secret opens; raises `Refusal` if it opens none."""
        for connections in self._connections.values():
            for connection in connections:
                if worker := connection.worker_for(run_id, secret):
                    return worker
        raise Refusal(f"run {sanitize(run_id, longest=64)} expects no such worker", status=404)

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
    ca_file: str | None = None,
) -> Launch:
    """How runs are launched; `slots` requests of a local run may be under way at the same time.

    In other regions each worker has so many, at most `MAX_SLOTS`. A journey may need more. Local
    runs trust `ca_file`.
    """

    async def launch(region: str, job: EngineJob) -> RunningEngine:
        if region != LOCAL:
            workers = agents.workers_in(region)
            if not workers:
                raise OSError(f"no agent is connected in region {region}")
            senders = max(slots * len(workers), job.senders(slots))
            senders = min(senders, MAX_SLOTS * len(workers))
            return await DistributedRun.start(command, workers, job, senders=senders)
        job = job.model_copy(update={"ca_file": ca_file})
        senders = job.senders(slots)
        if senders <= MAX_SLOTS:
            first_line = _with_slots(job, senders).to_line()
            return await EngineProcess.start(command, first_line, hide=job.hide)
        return await start_locally(command, job, senders)

    return launch


def _with_slots(job: EngineJob, slots: int) -> EngineJob:
    return job.model_copy(update={"slots": slots})
