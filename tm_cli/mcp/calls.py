"""Calls of tools: each in a thread of its own, with progress, ended by its client."""

from __future__ import annotations

import asyncio
import signal
import threading
import traceback
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from tm_cli.cli.session import CommandContext
from tm_cli.errors import TmError
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.events import Event, RunStarted
from tm_cli.mcp.results import Meter, Note, as_note, as_structure
from tm_cli.mcp.schema import Tool, read
from tm_cli.mcp.session import CallSession, open_session
from tm_cli.render.formats.json_document import error_document
from tm_cli.runtime.clock import SLICE, Clock
from tm_cli.runtime.local_server import LocalServerLease
from tm_cli.runtime.signals import SignalReceived
from tm_cli.values.text import sanitize


class CallClock:
    """The given clock until `cancel` is called; after that it answers as Ctrl-C would.

    A pause is interrupted then, and so is what is about to start something: the wall clock is read
    just before a start is sent. A request that is on its way is not.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._cancelled = threading.Event()
        self._has_interrupted = False

    def cancel(self) -> None:
        """End the pauses of this call; from any thread."""
        self._cancelled.set()

    @property
    def is_cancelled(self) -> bool:
        """Whether the call is over for its client."""
        return self._cancelled.is_set()

    def monotonic(self) -> float:
        """Seconds that never step backwards."""
        return self._clock.monotonic()

    def now(self) -> datetime:
        """The wall clock in UTC; once after the end, SignalReceived."""
        if self._cancelled.is_set() and not self._has_interrupted:
            self._interrupt()
        return self._clock.now()

    def sleep(self, seconds: float) -> None:
        """Pause; raises SignalReceived when the call ends before."""
        if self._clock.wait(self._cancelled, seconds):
            self._interrupt()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Pause until `event` is set; raises SignalReceived when the call ends before."""
        deadline = self.monotonic() + seconds
        while not self._cancelled.is_set():
            remaining = deadline - self.monotonic()
            if event.is_set() or remaining <= 0:
                return event.is_set()
            self._clock.wait(event, min(remaining, SLICE))
        self._interrupt()
        return False

    def _interrupt(self) -> None:
        self._has_interrupted = True
        raise SignalReceived(signal.SIGINT)


def perform(
    tool: Tool, arguments: Mapping[str, Any], session: CallSession
) -> dict[str, Any] | None:
    """Return the structured result; None when the call was cancelled before it had one."""
    try:
        document = _document(tool, arguments, session)
    except SignalReceived:
        return None
    finally:
        session.close()
    if document["data"] is None and arguments.get("fail_on_verdict") is not None:
        document["data"] = {"verdict": None, "fail_on_match": True}  # not shown to be satisfied
    messages = session.messages()
    if error := document["error"]:
        shown = {error["message"], error["hint"], f"hint: {error['hint']}"}
        messages = [message for message in messages if message not in shown]
    return as_structure(
        document,
        messages,
        is_gate=tool.is_gate,
        is_published=tool.is_published,
        keys=session.keys(),
    )


def unknown_outcome() -> dict[str, Any]:
    """Return the result of a call that ended without any: an error."""
    error = TmError("the call ended without an outcome", code="internal")
    error.exit_code = ExitCode.INTERNAL
    return as_structure(error_document(error), [])


def _document(tool: Tool, arguments: Mapping[str, Any], session: CallSession) -> dict[str, Any]:
    try:
        code = tool.perform(session, read(arguments, tool.schema))
        return session.document(code)
    except TmError as error:
        return error_document(error)
    except Exception as error:  # a bug; left alone, the protocol library would send its text
        return _bug(error, session)


def _bug(error: Exception, session: CallSession) -> dict[str, Any]:
    """Log where it happened; the text of the error may hold anything."""
    if session.log is not None:
        for line in traceback.format_tb(error.__traceback__):
            session.log.write_line(line.rstrip())
    shown = TmError(f"internal error: {type(error).__name__}", code="internal")
    shown.exit_code = ExitCode.INTERNAL
    shown.hint = "this is a bug in tm; please report it with the lines in its log"
    return error_document(shown)


class KeptServers:
    """Launches embedded servers and holds a lease of its own on each until it is closed."""

    def __init__(self, launch: Callable[[Path], LocalServerLease]) -> None:
        self._launch = launch
        self._lock = threading.Lock()
        self._held: dict[Path, LocalServerLease] = {}

    def launch(self, data_dir: Path) -> LocalServerLease:
        """Return the running server of `data_dir`; closing it gives the caller's lease back."""
        with self._lock:  # two calls at once must not start two
            found = self._launch(data_dir)
            held = self._held.get(data_dir)
            if held is None or held.pid != found.pid:
                self._held[data_dir] = self._launch(data_dir)
                if held is not None:
                    held.close()
            return found

    def close(self) -> None:
        """Give all leases back; a run that is still going is finished by the server."""
        with self._lock:
            for server in self._held.values():
                server.close()
            self._held.clear()


HEARTBEAT = 10.0
"""Seconds without events after which the client gets a note; sends no request to the server."""

Report = Callable[[float, float | None, str], Awaitable[None]]
"""Sends the client progress, total and a sentence."""


class Calls:
    def __init__(self, session: CommandContext) -> None:
        self._session = session
        self._servers = KeptServers(session.context.launch)
        self._threads: set[threading.Thread] = set()

    async def perform(
        self, tool: Tool, arguments: Mapping[str, Any], report: Report
    ) -> dict[str, Any]:
        """Return the structured result; cancelling ends the waiting, and the run goes on."""
        clock = CallClock(self._session.context.clock)
        updates: asyncio.Queue[Note | dict[str, Any]] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def pass_on(item: Note | dict[str, Any]) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(updates.put_nowait, item)

        thread = threading.Thread(
            target=self._work, args=(tool, arguments, clock, pass_on), name=tool.name, daemon=True
        )
        self._threads.add(thread)
        thread.start()
        try:
            return await _report_until_done(updates, report)
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

        def on_event(event: Event) -> None:
            nonlocal run_id
            if isinstance(event, RunStarted):
                run_id = event.run.run_id
            pass_on(as_note(event))

        try:
            session = open_session(self._session, clock, self._servers.launch, on_event)
            result = perform(tool, arguments, session)
        finally:
            if clock.is_cancelled and tool.is_gate:
                self._log_cancelled(tool, run_id)
            pass_on(result or unknown_outcome())
            self._threads.discard(threading.current_thread())

    def _log_cancelled(self, tool: Tool, run_id: str | None) -> None:
        left = f"nothing was done to run {sanitize(run_id)}" if run_id else "it has no known run"
        self._session.terminal.write_line(f"tm: {tool.name} was cancelled; {left}")

    def close(self, patience: float) -> None:
        """Give threads that were cancelled some seconds to end, and leases back."""
        clock = self._session.context.clock
        deadline = clock.monotonic() + patience
        for thread in list(self._threads):
            thread.join(max(deadline - clock.monotonic(), 0.0))
        self._servers.close()


async def _report_until_done(
    updates: asyncio.Queue[Note | dict[str, Any]], report: Report
) -> dict[str, Any]:
    meter, note = Meter(), Note("working")
    while True:
        try:
            async with asyncio.timeout(HEARTBEAT):
                item = await updates.get()
        except TimeoutError:
            item = Note(note.message)
        if isinstance(item, dict):
            return item
        note = item
        await report(*meter.read(note), note.message)
