"""A run on this host: an engine, and the lines between it and the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence

from tm_cli.server.crew.frames import HANG_UP, KILL, Frame
from tm_cli.server.engine.job import EngineJob
from tm_cli.server.engine_process import EngineProcess
from tm_cli.server.refusal import Refusal
from tm_cli.server.targets import TargetRule
from tm_cli.text import clean

HEARTBEAT = 0.5
WATCHDOG_TIMEOUT = 3.0
"""Seconds of silence after which the engine ends its load, in case this process is frozen."""


async def _send_heartbeats(engine: EngineProcess) -> None:
    while True:
        engine.send("alive")
        await asyncio.sleep(HEARTBEAT)


class RunTask:
    """Checks the target as this host resolves it, then runs the job; `post` sends frames back."""

    def __init__(
        self,
        run_id: str,
        command: Sequence[str],
        targets: TargetRule,
        post: Callable[[Frame], None],
    ) -> None:
        self._run_id = run_id
        self._command = command
        self._targets = targets
        self._post = post
        self._engine: EngineProcess | None = None
        self._waiting: list[Frame] = []
        self._is_cancelled = False

    def take(self, frame: Frame) -> None:
        """Pass a line or an order on to the engine; until it has started they are queued."""
        if frame.order:
            self._is_cancelled = True
        if self._engine is None:
            self._waiting.append(frame)
        elif frame.line is not None:
            self._engine.write_line(frame.line)
        elif frame.order == HANG_UP:
            self._engine.hang_up()
        elif frame.order == KILL:
            self._engine.kill()

    def kill(self) -> None:
        self.take(Frame(self._run_id, order=KILL))

    async def run(self, first_line: str) -> None:
        """Run the job of the engine's first line to its end."""
        error_text = ""
        try:
            error_text = await self._play(await self._allowed(first_line))
        except (Refusal, OSError, ValueError) as error:
            reason = str(error) if isinstance(error, Refusal) else f"cannot start the run: {error}"
            self._post_failure(clean(reason))
        finally:
            self.kill()
            self._post(Frame(self._run_id, over=error_text))

    async def _allowed(self, first_line: str) -> EngineJob:
        """The job, bound to the addresses that this host may load; raises `Refusal`."""
        job = EngineJob.from_line(first_line)
        changes: dict[str, object] = {"addresses": await self._targets.check(job.target_url)}
        if job.against:
            addresses = await self._targets.check(job.against.target_url)
            changes["against"] = job.against.model_copy(update={"addresses": addresses})
        return job.model_copy(update=changes)

    async def _play(self, job: EngineJob) -> str:
        """Forward lines until the engine ends; return its last line on standard error."""
        if self._is_cancelled:
            return ""
        engine = await EngineProcess.start(
            self._command, job.model_copy(update={"watch": WATCHDOG_TIMEOUT})
        )
        pulse = asyncio.create_task(_send_heartbeats(engine))
        try:
            self._engine = engine
            waiting, self._waiting = self._waiting, []
            for frame in waiting:
                self.take(frame)
            async for line in engine.lines(patience=None):
                self._post(Frame(self._run_id, line=line.decode("utf-8", "replace")))
        finally:
            pulse.cancel()
            engine.hang_up()
            await engine.close()
        return clean(engine.last_error or "")

    def _post_failure(self, message: str) -> None:
        self._post(Frame(self._run_id, line=json.dumps({"event": "failed", "message": message})))
