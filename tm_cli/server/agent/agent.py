"""The agent: keeps connections to a server and runs its jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from tm_cli.runtime.signals import signals_set
from tm_cli.server.agent.connection import AgentOptions, ServerConnection
from tm_cli.server.agent.tasks import RunTask, RunTasks
from tm_cli.server.targets import TargetRule
from tm_cli.server.workers.agent_protocol import Frame, exchange_frames

FIRST_PAUSE = 0.5
MAX_PAUSE = 10.0


@dataclass(frozen=True, slots=True)
class Agent:
    """Keeps a connection per worker; `log` gets a line for each connection and run."""

    options: AgentOptions
    log: Callable[[str], None]
    _targets: TargetRule = field(init=False)

    def __post_init__(self) -> None:
        allow_public = self.options.allow_public_targets
        object.__setattr__(self, "_targets", TargetRule(allow_public=allow_public))

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set or a signal comes.

        Raises TmError when the server refuses the agent.
        """
        with signals_set(stop):
            numbers = range(1, self.options.workers + 1)
            workers = [asyncio.create_task(self._keep_connected(number)) for number in numbers]
            stopping = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait([*workers, stopping], return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (*workers, stopping):
                    task.cancel()
                results = await asyncio.gather(*workers, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _keep_connected(self, number: int) -> None:
        pause = FIRST_PAUSE
        who = f"worker {number}: " if self.options.workers > 1 else ""
        while True:
            try:
                link = await ServerConnection.open(self.options)
                pause = FIRST_PAUSE
                self.log(f"{who}connected to {self.options.server} as {self._title}")
                await self._work(link)
            except ConnectionError as error:
                self.log(
                    f"{who}no connection to {self.options.server}: {error}; retrying in {pause:g} s"
                )
            await asyncio.sleep(pause)
            pause = min(2 * pause, MAX_PAUSE)

    @property
    def _title(self) -> str:
        return f"{self.options.region}/{self.options.name}"

    async def _work(self, link: ServerConnection) -> None:
        """Execute the server's jobs; raises ConnectionError once it is gone."""
        outgoing: asyncio.Queue[Frame] = asyncio.Queue()

        def run_task(run_id: str) -> RunTask:
            command = self.options.engine_command
            return RunTask(run_id, command, self._targets, outgoing.put_nowait)

        tasks = RunTasks(run_task, self.log)
        try:
            await exchange_frames(link.receive, link.send, outgoing, tasks.take)
        finally:
            await tasks.leave()
            await link.close()
