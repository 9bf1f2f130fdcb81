"""An engine on another host, reached through its agent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable

from tm_cli.server.crew.frames import HANG_UP, KILL, Frame
from tm_cli.server.engine.job import EngineJob
from tm_cli.server.engine_events import EngineEvent, parse_event

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
        while (line := await asyncio.wait_for(self._lines.get(), patience)) is not None:
            self._waiting -= len(line)
            event = parse_event(line.encode())
            if event is not None:
                yield event

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
