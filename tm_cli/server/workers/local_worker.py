"""The engine as a child process: lines in, lines out."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence

from tm_cli.runtime import child_environment
from tm_cli.server.workers.engine_events import EngineEvent, EngineFailed, parse_event

DEFAULT_COMMAND = tuple(child_environment.command("tm_cli.server.engine"))
_MAX_LINE = 1024 * 1024  # two full histograms have half as much; the default is 64 KiB
_EXIT_GRACE = 3.0

logger = logging.getLogger(__name__)


class EngineProcess:
    """One running engine. It ends when its standard input closes, even if this server dies."""

    def __init__(self, process: Process, hide: Callable[[str], str]) -> None:
        self._process = process
        self._hide = hide
        self._stderr_lines: deque[str] = deque(maxlen=20)
        self._stderr_reader = asyncio.create_task(self._read_stderr())

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        first_line: str,
        *,
        hide: Callable[[str], str] = str,
        workers: int = 1,
    ) -> EngineProcess:
        """Start the engine and hand it its first line; OSError when it cannot be started.

        `hide` makes a text fit for people. A master's lines may hold what each of its `workers` has
        measured.
        """
        # A session of its own, so that Ctrl-C at the terminal reaches the server alone, which
        # then decides how the run ends. Windows groups processes by a flag instead.
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=child_environment.environment(os.environ),
            limit=_MAX_LINE * workers,
            start_new_session=True,
            creationflags=child_environment.CREATION_FLAGS,
        )
        engine = cls(process, hide)
        engine.write_line(first_line)
        return engine

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, command: str, **details: object) -> None:
        self.write_line(json.dumps({"command": command, **details}))

    def write_line(self, line: str) -> None:
        stdin = self._process.stdin
        if stdin is not None and not stdin.is_closing():
            stdin.write(line.encode() + b"\n")

    async def lines(self, *, patience: float | None) -> AsyncIterator[bytes]:
        """The engine's output, line by line, until it closes it.

        Raises ValueError when a line has no end, TimeoutError after `patience` seconds without
        a line.
        """
        while line := await self._next_line(patience):
            yield line

    async def _next_line(self, patience: float | None) -> bytes:
        output = self._process.stdout
        assert output is not None  # noqa: S101 - asked for above
        async with asyncio.timeout(patience):
            return await output.readline()

    async def events(self, *, patience: float | None) -> AsyncIterator[EngineEvent]:
        """Like `lines`, but parsed; raises ValueError when a line is invalid."""
        async for line in self.lines(patience=patience):
            event = parse_event(line)
            if event is not None:
                yield event

    async def close(self) -> int:
        """Close its input, wait a moment, then kill; return the exit code."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(_EXIT_GRACE):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()
        await self._stderr_reader
        code = self._process.returncode
        return -1 if code is None else code

    def hang_up(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()

    def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()

    @property
    def last_error(self) -> str | None:
        return self._stderr_lines[-1] if self._stderr_lines else None

    async def _read_stderr(self) -> None:
        errors = self._process.stderr
        assert errors is not None  # noqa: S101 - asked for above
        while True:
            try:
                if not (line := await errors.readline()):
                    return
            except ValueError:  # it is too long, and has been dropped
                line = b"(a line of more than a megabyte)"
            text = self._hide(line.decode("utf-8", "replace").rstrip())
            logger.info("engine %d: %s", self.pid, text)
            if text:
                self._stderr_lines.append(text)


class LocalWorker:
    """A worker of a run as a process of this machine; the run hears at once when it ends."""

    def __init__(self, process: EngineProcess, gone: Callable[[str], None]) -> None:
        self._process = process
        self._gone = gone
        self._watcher = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        reason = "its load generator ended"
        try:
            async for event in self._process.events(patience=None):
                if isinstance(event, EngineFailed):
                    reason = event.message
        except ValueError as error:
            reason = str(error)
        self._gone(self._process.last_error or reason)

    def kill(self) -> None:
        self._process.kill()

    async def close(self) -> int:
        self._watcher.cancel()
        await asyncio.gather(self._watcher, return_exceptions=True)
        return await self._process.close()
