"""`tm agent`: keeps connections to a server, and works for its runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from tm_cli.errors import TmError
from tm_cli.runtime.signals import signals_set
from tm_cli.server.agent.options import AgentOptions
from tm_cli.server.agent.server_connection import AuthenticationError, ServerConnection
from tm_cli.server.agent.worker import work
from tm_cli.server.workers.agent_protocol import Message, TunnelTicket, exchange_messages
from tm_cli.values.text import sanitize

MAX_RUNS = 4
"""Runs of one connection at the same time; a server does not start more."""
_MAX_TICKETS = 4 * MAX_RUNS
"""Those that are refused included."""


class Workers:
    """The workers of one connection; `log` gets a line for the start and the end of each.

    `starting` is held by the one of all connections that starts a process.
    """

    def __init__(
        self,
        link: ServerConnection,
        options: AgentOptions,
        log: Callable[[str], None],
        starting: asyncio.Lock,
    ) -> None:
        self._link = link
        self._options = options
        self._log = log
        self._starting = starting
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, message: Message) -> None:
        """Start a worker for a ticket; raises ValueError for anything else."""
        ticket = TunnelTicket.model_validate(message)
        if len(self._tasks) >= _MAX_TICKETS:
            raise ValueError("too many tickets")
        is_refused = len(self._tasks) >= MAX_RUNS
        task = asyncio.create_task(self._follow(ticket, is_refused=is_refused))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, ticket: TunnelTicket, *, is_refused: bool) -> None:
        fault = ""
        if not is_refused:
            self._log(f"run {ticket.run}: started")
        try:
            fault = await self._work(ticket, is_refused=is_refused)
        except (ConnectionError, TmError) as error:
            fault = f"its tunnel could not be opened: {sanitize(error)}"
        except Exception as bug:
            fault = f"internal error: {bug!r}"
        finally:
            self._log(f"run {ticket.run}: ended" + (f": {fault}" if fault else ""))

    async def _work(self, ticket: TunnelTicket, *, is_refused: bool) -> str:
        tunnel = await self._link.open_tunnel(self._options, ticket)
        if not is_refused:
            return await work(ticket, self._options, tunnel, self._starting)
        reason = f"this agent has {MAX_RUNS} runs already"
        await tunnel.close(reason)
        return reason

    async def leave(self) -> None:
        """End all workers at once, because the server is gone."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


FIRST_PAUSE = 0.5
MAX_PAUSE = 10.0


@dataclass(frozen=True, slots=True)
class Agent:
    """Keeps a connection per worker; `log` gets a line for each connection and run."""

    options: AgentOptions
    log: Callable[[str], None]
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

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
        pause, options, key_works = FIRST_PAUSE, self.options, False
        who = f"worker {number}: " if self.options.workers > 1 else ""
        while True:
            try:
                link = await ServerConnection.open(options, options.presence_url)
                pause, key_works = FIRST_PAUSE, True
                self.log(f"{who}connected to {self.options.server} as {self._title}")
                await self._work(link, options, lambda text: self.log(f"{who}{text}"))
            except AuthenticationError as error:  # the key may be replaced just now
                before, options = options, options.with_new_key()
                if not key_works and options.key.reveal() == before.key.reveal():
                    raise
                key_works = False
                self.log(f"{who}{error}; trying once more in {pause:g} s")
            except ConnectionError as error:
                self.log(
                    f"{who}no connection to {self.options.server}: {error}; retrying in {pause:g} s"
                )
            await asyncio.sleep(pause)
            pause = min(2 * pause, MAX_PAUSE)

    @property
    def _title(self) -> str:
        return f"{self.options.region}/{self.options.name}"

    async def _work(
        self, link: ServerConnection, options: AgentOptions, log: Callable[[str], None]
    ) -> None:
        """Work for the server; raises ConnectionError once it is gone."""
        workers = Workers(link, options, log, self._starting)
        nothing: asyncio.Queue[Message] = asyncio.Queue()
        try:
            await exchange_messages(link.receive_text, link.send_text, nothing, workers.take)
        finally:
            await workers.leave()
            await link.close("it was stopped")  # without effect on a connection that is lost
