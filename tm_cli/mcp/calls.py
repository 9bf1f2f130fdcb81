"""Calls of tools: each in a thread of its own, told to the client as it goes, ended with it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from tm_cli.commands.session import Session
from tm_cli.gate.events import Event, Started
from tm_cli.mcp.call_clock import CallClock
from tm_cli.mcp.call_session import open_session
from tm_cli.mcp.kept_servers import KeptServers
from tm_cli.mcp.performing import perform, unknown_outcome
from tm_cli.mcp.progress_notes import Meter, Note, as_note
from tm_cli.mcp.tool import Tool
from tm_cli.text import clean

HEARTBEAT = 10.0
"""Seconds without news after which the client is told that the call lives; sends no request."""

Report = Callable[[float, float | None, str], Awaitable[None]]
"""Tells the client progress, total and a sentence."""


class Calls:
    """The calls of one client."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._servers = KeptServers(session.context.launch)
        self._threads: set[threading.Thread] = set()

    async def perform(
        self, tool: Tool, arguments: Mapping[str, Any], report: Report
    ) -> dict[str, Any]:
        """Return the structured result; cancelling ends the waiting, and the run goes on."""
        clock = CallClock(self._session.context.clock)
        news: asyncio.Queue[Note | dict[str, Any]] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def pass_on(item: Note | dict[str, Any]) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(news.put_nowait, item)

        thread = threading.Thread(
            target=self._work, args=(tool, arguments, clock, pass_on), name=tool.name, daemon=True
        )
        self._threads.add(thread)
        thread.start()
        try:
            return await _told(news, report)
        finally:
            clock.cancel()

    def _work(
        self,
        tool: Tool,
        arguments: Mapping[str, Any],
        clock: CallClock,
        pass_on: Callable[[Note | dict[str, Any]], None],
    ) -> None:
        run_id: str | None = None
        result: dict[str, Any] | None = None

        def tell(event: Event) -> None:
            nonlocal run_id
            if isinstance(event, Started):
                run_id = event.run.run_id
            pass_on(as_note(event))

        try:
            session = open_session(self._session, clock, self._servers.launch, tell)
            result = perform(tool, arguments, session)
        finally:
            if clock.is_cancelled and tool.is_gate:
                self._log_cancelled(tool, run_id)
            pass_on(result or unknown_outcome())
            self._threads.discard(threading.current_thread())

    def _log_cancelled(self, tool: Tool, run_id: str | None) -> None:
        left = f"nothing was done to run {clean(run_id)}" if run_id else "it has no known run"
        self._session.terminal.note(f"tm: {tool.name} was cancelled; {left}")

    def close(self, patience: float) -> None:
        """Give threads that were cancelled some seconds to end, and leases back."""
        clock = self._session.context.clock
        deadline = clock.monotonic() + patience
        for thread in list(self._threads):
            thread.join(max(deadline - clock.monotonic(), 0.0))
        self._servers.close()


async def _told(news: asyncio.Queue[Note | dict[str, Any]], report: Report) -> dict[str, Any]:
    meter, note = Meter(), Note("working")
    while True:
        try:
            async with asyncio.timeout(HEARTBEAT):
                item = await news.get()
        except TimeoutError:
            item = Note(note.message)
        if isinstance(item, dict):
            return item
        note = item
        await report(*meter.read(note), note.message)
