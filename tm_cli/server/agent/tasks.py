"""The runs that a server has started on this host: an engine each, and the lines to and from it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence

from tm_cli.server.engine.job import EngineJob
from tm_cli.server.targets import TargetRule
from tm_cli.server.web.bodies import Refusal
from tm_cli.server.workers.agent_protocol import HANG_UP, KILL, Frame
from tm_cli.server.workers.local_worker import EngineProcess
from tm_cli.values.text import clean

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
            error_text = await self._run(await self._allowed(first_line))
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

    async def _run(self, job: EngineJob) -> str:
        """Forward lines until the engine ends; return its last line on standard error."""
        if self._is_cancelled:
            return ""
        engine = await EngineProcess.start(
            self._command, job.model_copy(update={"watchdog_timeout": WATCHDOG_TIMEOUT})
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


class RunTasks:
    """Starts a task for each run and forwards its frames."""

    def __init__(self, start: Callable[[str], RunTask], log: Callable[[str], None]) -> None:
        self._start = start
        self._log = log
        self._tasks: dict[str, tuple[RunTask, asyncio.Task[None]]] = {}

    def take(self, frame: Frame) -> None:
        """Handle a frame of the server; the first line of a run is its job."""
        if frame.run in self._tasks:
            self._tasks[frame.run][0].take(frame)
        elif frame.line is not None:
            run_task = self._start(frame.run)
            task = asyncio.create_task(run_task.run(frame.line))
            self._tasks[frame.run] = run_task, task
            task.add_done_callback(lambda done: self._ended(frame.run, done))
            self._log(f"run {clean(frame.run)}: started")

    def _ended(self, run_id: str, task: asyncio.Task[None]) -> None:
        del self._tasks[run_id]
        if not task.cancelled() and (bug := task.exception()):
            self._log(f"run {clean(run_id)}: internal error: {bug!r}")
        self._log(f"run {clean(run_id)}: ended")

    async def leave(self) -> None:
        """End all runs at once, because the server is gone."""
        tasks = [task for _, task in self._tasks.values()]
        for run_task, _ in list(self._tasks.values()):
            run_task.kill()
        await asyncio.gather(*tasks, return_exceptions=True)
