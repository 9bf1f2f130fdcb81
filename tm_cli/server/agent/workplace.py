"""The runs that one connection has brought to this host."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tm_cli.server.agent.errand import RunTask
from tm_cli.server.crew.frames import Frame
from tm_cli.text import clean


class RunTasks:
    """Starts an errand for each run and hands it what is meant for it."""

    def __init__(self, start: Callable[[str], RunTask], tell: Callable[[str], None]) -> None:
        self._start = start
        self._tell = tell
        self._tasks: dict[str, tuple[RunTask, asyncio.Task[None]]] = {}

    def take(self, frame: Frame) -> None:
        """Something came from the server; the first line of a run is its job."""
        if frame.run in self._tasks:
            self._tasks[frame.run][0].take(frame)
        elif frame.line is not None:
            run_task = self._start(frame.run)
            task = asyncio.create_task(run_task.run(frame.line))
            self._tasks[frame.run] = run_task, task
            task.add_done_callback(lambda done: self._ended(frame.run, done))
            self._tell(f"run {clean(frame.run)}: began")

    def _ended(self, run_id: str, task: asyncio.Task[None]) -> None:
        del self._tasks[run_id]
        if not task.cancelled() and (bug := task.exception()):
            self._tell(f"run {clean(run_id)}: broke: {bug!r}")
        self._tell(f"run {clean(run_id)}: ended")

    async def leave(self) -> None:
        """End everything at once: nobody is in charge of it any more."""
        tasks = [task for _, task in self._tasks.values()]
        for run_task, _ in list(self._tasks.values()):
            run_task.kill()
        await asyncio.gather(*tasks, return_exceptions=True)
