"""Runs scenarios: a server and a fault proxy each, with tm as a child process."""

from __future__ import annotations

import asyncio
import json
import os
import queue
import signal
import tempfile
import threading
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from tm_cli.api.trafficmorph import TrafficMorphClient
from tm_cli.api.transport import Connection, Transport
from tm_cli.errors import TmError
from tm_cli.runtime import child_environment, ci_platform
from tm_cli.runtime.clock import SystemClock
from tm_cli.selftest.fault_proxy import FaultProxy, dead_port
from tm_cli.selftest.scenarios import DOCUMENT, ScenarioContext, ScenarioResult, SelftestScenario
from tm_cli.selftest.scripted_server import Ending, ScriptedRun, ScriptedServer, scripted_server
from tm_cli.values.api_key import ApiKey

_LAST_LINES = 6
PIPELINE_FILES = (
    "GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STATE", "GITHUB_STEP_SUMMARY"
)  # fmt: skip


def environment(
    environ: Mapping[str, str], directory: Path, *, port: int, key: str
) -> dict[str, str]:
    """What tm gets: `environ` without its TM_* variables, and the server at `port`.

    Settings and memory of the user stay out of it, and so do the files in which a pipeline collects
    what a step writes. The timeouts end a child that hangs.
    """
    kept = {name: value for name, value in environ.items() if not name.upper().startswith("TM_")}
    files = {name: str(directory / name) for name in PIPELINE_FILES if name in kept}
    return (
        kept
        | files
        | {
            "TM_BASE_URL": f"http://127.0.0.1:{port}",
            "TM_API_KEY": key,
            "TM_CONFIG_DIR": str(directory / "config"),
            "TM_STATE_DIR": str(directory / "state"),
            "TM_TIMEOUT": "10s",
            "TM_WAIT_TIMEOUT": "30s",
            "TM_VERDICT_TIMEOUT": "10s",
        }
    )


@asynccontextmanager
async def child(
    words: Sequence[str], directory: Path, environ: Mapping[str, str]
) -> AsyncIterator[Process]:
    """Run a program in a process group of its own, which is gone afterwards."""
    process = await asyncio.create_subprocess_exec(
        *words,
        cwd=directory,
        env=environ,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _end(process)
        await process.wait()


def _end(process: Process) -> None:
    """Kill what is left of the group: a shell may have gone before its child."""
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        elif process.returncode is None:
            process.kill()


def last_lines(stderr: bytes, key: str) -> tuple[str, ...]:
    text = stderr.decode("utf-8", "replace").replace(key, "***")
    return tuple(line for line in text.splitlines() if line.strip())[-_LAST_LINES:]


TIMEOUT = 40.0

_POLL_INTERVAL = 0.02
_PROFILE = {
    "_format": "trafficmorph-profile-v1",
    "name": "selftest ✓ größer",  # more than some terminals can show
    "duration": 30,
    "endpointUrl": "http://127.0.0.1:9/nothing-is-sent",
    "httpMethod": "GET",
    "points": [{"x": 0, "y": 200}, {"x": 30, "y": 200}],
}
_OTHER = ScriptedRun(ending=Ending.HANGS)


@dataclass(frozen=True, slots=True)
class ScenarioRunner:
    """Runs scenarios with a program, which is tm, and the environment it gets.

    A tm that has not ended after `timeout` seconds counts as hanging.
    """

    program: Sequence[str]
    environ: Mapping[str, str]
    timeout: float = TIMEOUT

    async def run(self, scenario: SelftestScenario, directory: Path) -> ScenarioResult:
        """Run a scenario in a new directory; its processes have ended when this returns."""
        if reason := scenario.skip_reason(self.environ):
            return ScenarioResult(scenario, skipped=reason)
        try:
            return await self._run(scenario, directory)
        except (OSError, TmError) as problem:  # not a passed scenario
            return ScenarioResult(scenario, last_lines=(f"it could not be run: {problem}",))

    async def _run(self, scenario: SelftestScenario, directory: Path) -> ScenarioResult:
        work = directory / "work"
        work.mkdir(parents=True)
        (work / "tm.toml").touch()  # so that none further up counts
        (work / DOCUMENT).write_text(json.dumps(_PROFILE), encoding="utf-8")
        scripted_runs = [
            *scenario.earlier,
            *([_OTHER] if scenario.is_busy else []),
            scenario.script,
        ]
        async with (
            scripted_server(directory / "server", scripted_runs) as server,
            _client(server) as client,
        ):
            profile_id = await _prepare(client, scenario)
            async with FaultProxy(server.port, scenario.faults()) as proxy:
                return await self._call(scenario, work, server, client, profile_id, proxy)

    async def _call(
        self,
        scenario: SelftestScenario,
        work: Path,
        server: ScriptedServer,
        client: TrafficMorphClient,
        profile_id: int,
        proxy: FaultProxy,
    ) -> ScenarioResult:
        key = server.key_file.read_text(encoding="utf-8").strip()
        words = scenario.caller([*self.program, *scenario.words], work)
        runs_before, began = server.runs, asyncio.get_running_loop().time()
        with dead_port() if scenario.is_down else nullcontext(proxy.port) as port:
            environ = environment(self.environ, work.parent, port=port, key=key)
            async with child(words, work, {**environ, **scenario.environ}) as process:
                context = ScenarioContext(client, profile_id, proxy, process)
                code, stderr, others = await _wait(process, scenario, context, self.timeout)
        return ScenarioResult(
            scenario,
            code=code,
            runs=server.runs - runs_before - others,
            seconds=asyncio.get_running_loop().time() - began,
            last_lines=last_lines(stderr, key),
        )


async def _wait(
    process: Process, scenario: SelftestScenario, context: ScenarioContext, timeout: float
) -> tuple[int | None, bytes, int]:
    """The exit code (None: it hangs), standard error, and the runs that others have started."""
    side_action = (
        asyncio.create_task(scenario.side_action(context)) if scenario.side_action else None
    )
    try:
        async with asyncio.timeout(timeout):
            _, stderr = await process.communicate()
        code = process.returncode
    except TimeoutError:
        stderr, code = b"it did not end", None
    finally:
        if side_action is not None:
            side_action.cancel()
    if side_action is None:
        return code, stderr, 0
    done = (await asyncio.gather(side_action, return_exceptions=True))[0]
    if isinstance(done, Exception):
        return code, stderr + f"\nthe side action failed: {done}".encode(), 0
    return code, stderr, done if isinstance(done, int) else 0


@asynccontextmanager
async def _client(server: ScriptedServer) -> AsyncIterator[TrafficMorphClient]:
    """A client that bypasses the fault proxy."""
    clock = SystemClock()
    key = ApiKey(server.key_file.read_text(encoding="utf-8").strip())
    base_url = f"http://127.0.0.1:{server.port}/"
    transport = Transport(Connection(base_url=base_url, key=key, clock=clock, environ={}))
    try:
        yield TrafficMorphClient(transport, clock)
    finally:
        transport.close()


async def _prepare(client: TrafficMorphClient, scenario: SelftestScenario) -> int:
    """Create the earlier runs, and the one that keeps the server busy; return the profile's id."""
    profile_id = (await asyncio.to_thread(client.import_profile, _PROFILE)).id
    for number in range(len(scenario.earlier)):
        await asyncio.to_thread(client.start_run, profile_id)
        await _judged(client, number + 1)
    if scenario.is_busy:
        other = {**_PROFILE, "name": "another"}
        other_id = (await asyncio.to_thread(client.import_profile, other)).id
        await asyncio.to_thread(client.start_run, other_id)
    return profile_id


async def _judged(client: TrafficMorphClient, count: int) -> None:
    async with asyncio.timeout(TIMEOUT):
        while True:
            rows = (await asyncio.to_thread(client.list_history)).content
            if len([row for row in rows if row.auto_verdict]) == count:
                return
            await asyncio.sleep(_POLL_INTERVAL)


CONCURRENCY = 4
"""tm uses a processor while it starts, and then mostly waits."""

_RESULT_INTERVAL = 0.2
_OF_PIPELINES = (
    *child_environment.TERMINAL, *PIPELINE_FILES, *ci_platform.VARIABLES,
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
        needed = child_environment.environment(environ, _OF_PIPELINES)
        runner = ScenarioRunner(child_environment.command("tm_cli"), needed)
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
            while (result := self._next()) is not None:
                if isinstance(result, BaseException):
                    raise result
                yield result
        finally:
            with suppress(RuntimeError):  # the loop is closed already
                self._loop.call_soon_threadsafe(self._stop.set)
            thread.join()

    def _next(self) -> ScenarioResult | BaseException | None:
        while True:
            with suppress(queue.Empty):  # an endless wait would keep Ctrl-C away on Windows
                return self._results.get(timeout=_RESULT_INTERVAL)

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
