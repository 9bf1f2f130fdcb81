"""The workers on other hosts: who is connected, in which region."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tm_cli.server.crew.conversation import exchange_frames
from tm_cli.server.crew.crew import WorkerSpec
from tm_cli.server.crew.frames import Frame
from tm_cli.server.crew.remote_engine import RemoteEngine
from tm_cli.server.engine.job import EngineJob
from tm_cli.server.refusal import Refusal
from tm_cli.server.running_engine import RunningEngine

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
        error_text = "the server is leaving"
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
    """Links by region. Regions stay known, with the names seen in them, until the server ends."""

    def __init__(self) -> None:
        self._names: dict[str, set[str]] = {}
        self._links: dict[str, list[AgentConnection]] = {}

    def join(self, region: str, name: str) -> AgentConnection:
        if sum(map(len, self._links.values())) >= MAX_CONNECTIONS:
            raise Refusal(f"{MAX_CONNECTIONS} workers are connected already", status=503)
        links = self._links.setdefault(region, [])
        link = AgentConnection(region, name, self._label(region, name))
        links.append(link)
        self._names.setdefault(region, set()).add(name)
        return link

    def leave(self, link: AgentConnection) -> None:
        self._links[link.region].remove(link)

    def _label(self, region: str, name: str) -> str:
        taken = {link.label for link in self._links[region]}
        label, number = f"{region}/{name}", 1
        while label in taken:
            number += 1
            label = f"{region}/{name}#{number}"
        return label

    def workers_in(self, region: str) -> list[WorkerSpec]:
        links = sorted(self._links.get(region, []), key=lambda link: link.label)
        return [WorkerSpec(link.label, link.start) for link in links]

    @property
    def regions(self) -> dict[str, tuple[int, int]]:
        return {
            region: (len(names), len(self._links[region]))
            for region, names in sorted(self._names.items())
        }

    @property
    def workers(self) -> dict[str, int]:
        return {region: connections for region, (_, connections) in self.regions.items()}
