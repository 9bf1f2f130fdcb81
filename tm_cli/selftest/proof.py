"""Runs scenarios, a few at once, and yields their results in order."""

from __future__ import annotations

import asyncio
import queue
import tempfile
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path

from tm_cli import children
from tm_cli.selftest.child import PIPELINE_FILES
from tm_cli.selftest.scenario import ScenarioResult, SelftestScenario
from tm_cli.selftest.stage import ScenarioRunner

CONCURRENCY = 4
"""tm uses a processor while it starts, and then mostly waits."""

_POLL_INTERVAL = 0.2
_OF_PIPELINES = (
    *children.TERMINAL, *PIPELINE_FILES, "GITHUB_ACTIONS", "GITLAB_CI",
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
    "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    "SHELL", "SHELLOPTS", "BASHOPTS", "BASH_ENV", "MAKEFLAGS", "GNUMAKEFLAGS",
)  # fmt: skip
"""What changes how tm, a shell or make behaves, and so could change an exit code."""


def run_scenarios(
    scenarios: Sequence[SelftestScenario], environ: Mapping[str, str], program: str | None = None
) -> Generator[ScenarioResult, None, None]:
    """Yield a result per scenario; closing the iterator ends all processes.

    `program` is called instead of this tm, with the whole of `environ`: it may need any variable.
    Raises the error that prevents a scenario from running.
    """
    if program:
        runner = ScenarioRunner([program], environ)
    else:
        needed = children.environment(environ, _OF_PIPELINES)
        runner = ScenarioRunner(children.command("tm_cli"), needed)
    with (
        tempfile.TemporaryDirectory(prefix="tm-selftest-", ignore_cleanup_errors=True) as name,
        closing(_BackgroundRunner(runner, Path(name)).results(scenarios)) as results,
    ):
        yield from results


class _BackgroundRunner:
    """Runs in its own thread: signals interrupt the main thread anywhere."""

    def __init__(self, runner: ScenarioRunner, directory: Path) -> None:
        self._runner = runner
        self._directory = directory
        self._results: queue.SimpleQueue[ScenarioResult | BaseException | None] = (
            queue.SimpleQueue()
        )
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._slots = asyncio.Semaphore(CONCURRENCY)

    def results(
        self, scenarios: Sequence[SelftestScenario]
    ) -> Generator[ScenarioResult, None, None]:
        thread = threading.Thread(target=self._run, args=[scenarios], daemon=True)
        thread.start()
        try:
            while (news := self._next()) is not None:
                if isinstance(news, BaseException):
                    raise news
                yield news
        finally:
            with suppress(RuntimeError):  # the loop is closed already
                self._loop.call_soon_threadsafe(self._stop.set)
            thread.join()

    def _next(self) -> ScenarioResult | BaseException | None:
        while True:
            with suppress(queue.Empty):  # an endless wait would keep Ctrl-C away on Windows
                return self._results.get(timeout=_POLL_INTERVAL)

    def _run(self, scenarios: Sequence[SelftestScenario]) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._run_all(scenarios))
        except BaseException as error:  # it must not be lost with the thread
            self._results.put(error)
        finally:
            self._results.put(None)

    async def _run_all(self, scenarios: Sequence[SelftestScenario]) -> None:
        tasks = [asyncio.create_task(self._run_one(scenario)) for scenario in scenarios]
        stopping = asyncio.create_task(self._stop.wait())
        try:
            for task in tasks:
                await asyncio.wait([task, stopping], return_when=asyncio.FIRST_COMPLETED)
                if stopping.done():
                    return
                self._results.put(task.result())
        finally:
            stopping.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(stopping, *tasks, return_exceptions=True)

    async def _run_one(self, scenario: SelftestScenario) -> ScenarioResult:
        async with self._slots:
            return await self._runner.run(scenario, self._directory / scenario.name)
