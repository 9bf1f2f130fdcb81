"""The engine as a child process: lines in, lines out."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from tm_cli.runtime import child_environment
from tm_cli.server.workers.engine_events import Event, parse_event

DEFAULT_COMMAND = tuple(child_environment.command("tm_cli.server.engine"))
_LONGEST_LINE = 1024 * 1024  # two full histograms have half as much; the default is 64 KiB
_EXIT_GRACE = 3.0

logger = logging.getLogger(__name__)


class EngineProcess:
    """One running engine. It ends when its standard input closes, also when this server dies."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._complaints: deque[str] = deque(maxlen=20)
        self._listener = asyncio.create_task(self._keep_complaints())

    @classmethod
    async def start(cls, command: Sequence[str], job: Mapping[str, Any]) -> EngineProcess:
        """Start the engine and hand it its job; OSError when it cannot be started."""
        # A session of its own, so that Ctrl-C at the terminal reaches the server alone, which
        # then decides how the run ends. Windows groups processes by a flag instead.
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=child_environment.environment(os.environ),
            limit=_LONGEST_LINE,
            start_new_session=True,
            creationflags=0x00000200 if sys.platform == "win32" else 0,
        )
        engine = cls(process)
        engine._write({"job": job})
        return engine

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def send(self, command: str, **details: object) -> None:
        """Send `pause`, `resume`, `stop`, `go` or `share`."""
        self._write({"command": command, **details})

    def _write(self, message: Mapping[str, Any]) -> None:
        self.write_line(json.dumps(message))

    def write_line(self, line: str) -> None:
        """Hand it one line as it is."""
        stdin = self._process.stdin
        if stdin is not None and not stdin.is_closing():
            stdin.write(line.encode() + b"\n")

    async def lines(self, *, patience: float | None) -> AsyncIterator[bytes]:
        """What the engine says until it closes its output, line by line.

        Raises ValueError when a line has no end, TimeoutError after `patience` seconds without
        a word.
        """
        output = self._process.stdout
        assert output is not None  # noqa: S101 - asked for above
        while line := await asyncio.wait_for(output.readline(), patience):
            yield line

    async def events(self, *, patience: float) -> AsyncIterator[Event]:
        """Like `lines`, but understood; raises ValueError when a line makes no sense."""
        async for line in self.lines(patience=patience):
            event = parse_event(line)
            if event is not None:
                yield event

    async def close(self) -> int:
        """Take the input away, wait a moment, then kill; return the exit code."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _EXIT_GRACE)
        except TimeoutError:
            self.kill()
            await self._process.wait()
        await self._listener
        code = self._process.returncode
        return -1 if code is None else code

    def hang_up(self) -> None:
        """Close its input, which means: stop at once."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def kill(self) -> None:
        """End it without asking."""
        if self._process.returncode is None:
            self._process.kill()

    @property
    def last_complaint(self) -> str | None:
        """The last line on its standard error."""
        return self._complaints[-1] if self._complaints else None

    async def _keep_complaints(self) -> None:
        assert self._process.stderr is not None  # noqa: S101 - asked for above
        async for line in self._process.stderr:
            text = line.decode("utf-8", "replace").rstrip()
            logger.info("engine %d: %s", self.pid, text)
            if text:
                self._complaints.append(text)
