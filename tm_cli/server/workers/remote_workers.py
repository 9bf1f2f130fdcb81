"""An engine on another host, reached through its agent."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from tm_cli.runtime.clock import Clock
from tm_cli.server.profiles import LOCAL
from tm_cli.server.web.bodies import Refusal
from tm_cli.server.workers.agent_protocol import HANG_UP, KILL, Frame, converse
from tm_cli.server.workers.engine_events import Event, Launch, RunningEngine, parse_event
from tm_cli.server.workers.local_worker import EngineProcess
from tm_cli.server.workers.worker_group import Crew, Recruit

_MOST_WAITING = 16 * 1024 * 1024  # characters


class RemoteEngine:
    """Sends by `post`; its agent's link puts in what comes back."""

    def __init__(self, run_id: str, job: Mapping[str, Any], post: Callable[[Frame], None]) -> None:
        self.run_id = run_id
        self._post = post
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._waiting = 0
        self._complaint: str | None = None
        self._is_over = False
        self._write({"job": job})

    def take(self, frame: Frame) -> None:
        """The agent told something of this engine."""
        if frame.line is not None and not self._is_over:
            self._waiting += len(frame.line)
            if self._waiting > _MOST_WAITING:
                self.kill()
                self.end("it says more than can be read")
                return
            self._lines.put_nowait(frame.line)
        if frame.over is not None:
            self.end(frame.over)

    def end(self, complaint: str) -> None:
        """Nothing will come any more."""
        if not self._is_over:
            self._is_over = True
            self._complaint = complaint or None
            self._lines.put_nowait(None)

    def send(self, command: str, **details: object) -> None:
        """Send a command of the engine's protocol."""
        self._write({"command": command, **details})

    def _write(self, message: Mapping[str, object]) -> None:
        if not self._is_over:
            self._post(Frame(self.run_id, line=json.dumps(message)))

    async def events(self, *, patience: float) -> AsyncIterator[Event]:
        """What the engine says until it is over or its agent is gone.

        Raises ValueError when that makes no sense, TimeoutError after `patience` seconds without
        a word.
        """
        while (line := await asyncio.wait_for(self._lines.get(), patience)) is not None:
            self._waiting -= len(line)
            event = parse_event(line.encode())
            if event is not None:
                yield event

    async def close(self) -> int:
        """Have it ended; nobody waits for hosts elsewhere, so its exit code stays unknown."""
        self.hang_up()
        return 0

    def hang_up(self) -> None:
        """Have its input closed, which means: stop at once."""
        if not self._is_over:
            self._post(Frame(self.run_id, order=HANG_UP))

    def kill(self) -> None:
        """Have it ended without asking."""
        if not self._is_over:
            self._post(Frame(self.run_id, order=KILL))

    @property
    def last_complaint(self) -> str | None:
        """What it, or its agent, last complained about."""
        return self._complaint


MOST_CONNECTIONS = 64


class AgentLink:
    """One connection, which is one worker for each run."""

    def __init__(self, region: str, name: str, label: str) -> None:
        self.region = region
        self.name = name
        self.label = label
        """Distinguishes the connections of a region."""
        self._outgoing: asyncio.Queue[Frame] = asyncio.Queue()
        self._engines: dict[str, RemoteEngine] = {}
        self._is_open = True

    async def start(self, job: Mapping[str, Any]) -> RunningEngine:
        """Have the agent start an engine; OSError when the agent is gone."""
        if not self._is_open:
            raise ConnectionError("its agent is gone")
        engine = RemoteEngine(job["run_id"], job, self._outgoing.put_nowait)
        self._engines[engine.run_id] = engine
        return engine

    async def serve(
        self, receive: Callable[[], Awaitable[str]], send: Callable[[str], Awaitable[None]]
    ) -> None:
        """Talk until the agent is gone; raises ConnectionError then."""
        complaint = "the server is leaving"
        try:
            await converse(receive, send, self._outgoing, self._take)
        except ConnectionError as error:
            complaint = f"its connection is gone: {error}"
            raise
        finally:
            self._is_open = False
            for engine in self._engines.values():
                engine.end(complaint)

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
        self._links: dict[str, list[AgentLink]] = {}

    def join(self, region: str, name: str) -> AgentLink:
        """Add a connection; raises `Refusal` when there are too many."""
        if sum(map(len, self._links.values())) >= MOST_CONNECTIONS:
            raise Refusal(f"{MOST_CONNECTIONS} workers are connected already", status=503)
        links = self._links.setdefault(region, [])
        link = AgentLink(region, name, self._label(region, name))
        links.append(link)
        self._names.setdefault(region, set()).add(name)
        return link

    def leave(self, link: AgentLink) -> None:
        """Take a connection away."""
        self._links[link.region].remove(link)

    def _label(self, region: str, name: str) -> str:
        taken = {link.label for link in self._links[region]}
        label, number = f"{region}/{name}", 1
        while label in taken:
            number += 1
            label = f"{region}/{name}#{number}"
        return label

    def recruits(self, region: str) -> list[Recruit]:
        """The workers that a run in this region gets."""
        links = sorted(self._links.get(region, []), key=lambda link: link.label)
        return [Recruit(link.label, link.start) for link in links]

    @property
    def regions(self) -> dict[str, tuple[int, int]]:
        """Agents seen and connections open, by region."""
        return {
            region: (len(names), len(self._links[region]))
            for region, names in sorted(self._names.items())
        }

    @property
    def workers(self) -> dict[str, int]:
        """How many workers a run gets in each region."""
        return {region: connections for region, (_, connections) in self.regions.items()}


MOST_SLOTS = 900
"""Requests under way at the same time that one engine can hold."""


def launch_with(agents: Agents, command: Sequence[str], *, slots: int, clock: Clock) -> Launch:
    """How runs are launched; `slots` requests of a local run may be under way at the same time.

    In other regions each worker has so many, at most `MOST_SLOTS`.
    """

    async def launch(region: str, job: Mapping[str, Any]) -> RunningEngine:
        if region != LOCAL:
            recruits = agents.recruits(region)
            if not recruits:
                raise OSError(f"no agent is connected in region {region}")
            return await Crew.start(recruits, {**job, "slots": min(slots, MOST_SLOTS)}, clock)
        shares = split(slots)
        if len(shares) == 1:
            return await EngineProcess.start(command, {**job, "slots": slots})
        return await Crew.start(_local_recruits(command, shares), job, clock)

    return launch


def split(slots: int) -> list[int]:
    """How many slots each of as few engines as possible gets."""
    count = math.ceil(slots / MOST_SLOTS)
    return [slots // count + (index < slots % count) for index in range(count)]


def _local_recruits(command: Sequence[str], shares: Sequence[int]) -> list[Recruit]:
    async def start(slots: int, job: Mapping[str, Any]) -> RunningEngine:
        return await EngineProcess.start(command, {**job, "slots": slots})

    return [
        Recruit(f"{LOCAL}/{number}", partial(start, slots))
        for number, slots in enumerate(shares, 1)
    ]
