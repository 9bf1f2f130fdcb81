"""One run on this host, for the server: an engine, and the lines to and from it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

from tm_cli.server.targets import TargetRule
from tm_cli.server.web.bodies import Refusal
from tm_cli.server.workers.agent_protocol import HANG_UP, KILL, Frame
from tm_cli.server.workers.local_worker import EngineProcess
from tm_cli.values.text import clean

BEAT = 0.5
WATCH = 3.0
"""Seconds of silence after which the engine ends its load: this process may be frozen."""


async def _beat(engine: EngineProcess) -> None:
    while True:
        engine.send("alive")
        await asyncio.sleep(BEAT)


class Errand:
    """Judges the target as seen from here, then plays the job; `post` carries frames back."""

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
        """A line for the engine, or an order about it; what comes too early waits."""
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
        """End it without asking."""
        self.take(Frame(self._run_id, order=KILL))

    async def run(self, first_line: str) -> None:
        """Play the job of the engine's first line to its end."""
        complaint = ""
        try:
            complaint = await self._play(await self._allowed(first_line))
        except (Refusal, OSError, ValueError) as error:
            reason = str(error) if isinstance(error, Refusal) else f"cannot play the run: {error}"
            self._tell_failure(clean(reason))
        finally:
            self.kill()
            self._post(Frame(self._run_id, over=complaint))

    async def _allowed(self, first_line: str) -> dict[str, Any]:
        """The job, bound to the addresses that this host may load; raises `Refusal`."""
        job = json.loads(first_line)["job"]
        job["addresses"] = await self._targets.check(job["target_url"])
        if against := job.get("against"):
            against["addresses"] = await self._targets.check(against["target_url"])
        return dict(job)

    async def _play(self, job: dict[str, Any]) -> str:
        """Pass lines on until the engine is over; return its last complaint."""
        if self._is_cancelled:
            return ""
        engine = await EngineProcess.start(self._command, job | {"watch": WATCH})
        pulse = asyncio.create_task(_beat(engine))
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
        return clean(engine.last_complaint or "")

    def _tell_failure(self, message: str) -> None:
        self._post(Frame(self._run_id, line=json.dumps({"event": "failed", "message": message})))


class Workplace:
    """Starts an errand for each run and hands it what is meant for it."""

    def __init__(self, start: Callable[[str], Errand], tell: Callable[[str], None]) -> None:
        self._start = start
        self._tell = tell
        self._errands: dict[str, tuple[Errand, asyncio.Task[None]]] = {}

    def take(self, frame: Frame) -> None:
        """Something came from the server; the first line of a run is its job."""
        if frame.run in self._errands:
            self._errands[frame.run][0].take(frame)
        elif frame.line is not None:
            errand = self._start(frame.run)
            task = asyncio.create_task(errand.run(frame.line))
            self._errands[frame.run] = errand, task
            task.add_done_callback(lambda done: self._ended(frame.run, done))
            self._tell(f"run {clean(frame.run)}: began")

    def _ended(self, run_id: str, task: asyncio.Task[None]) -> None:
        del self._errands[run_id]
        if not task.cancelled() and (bug := task.exception()):
            self._tell(f"run {clean(run_id)}: broke: {bug!r}")
        self._tell(f"run {clean(run_id)}: ended")

    async def leave(self) -> None:
        """End everything at once: nobody is in charge of it any more."""
        tasks = [task for _, task in self._errands.values()]
        for errand, _ in list(self._errands.values()):
            errand.kill()
        await asyncio.gather(*tasks, return_exceptions=True)
