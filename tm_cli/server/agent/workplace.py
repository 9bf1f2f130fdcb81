"""The runs that a connection's server has started on this host."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tm_cli.server.agent.errand import RunTask
from tm_cli.server.crew.frames import Frame
from tm_cli.text import clean


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
