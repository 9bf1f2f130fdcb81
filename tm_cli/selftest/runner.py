"""tm as a child process, in a given environment but for tm's own variables."""

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

from tm_cli.api.trafficmorph.client import Client
from tm_cli.api.transport import Connection, Transport
from tm_cli.errors import TmError
from tm_cli.runtime import child_environment
from tm_cli.runtime.clock import SystemClock
from tm_cli.selftest.fault_proxy import Relay, dead_port
from tm_cli.selftest.scenarios import DOCUMENT, Result, Scenario, Scene
from tm_cli.selftest.scripted_server import Ending, Play, Stand, scripted_server
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
    what a step says. The limits end a child that nobody ends.
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


def last_words(stderr: bytes, key: str) -> tuple[str, ...]:
    """The last lines that are not empty, without the key."""
    text = stderr.decode("utf-8", "replace").replace(key, "***")
    return tuple(line for line in text.splitlines() if line.strip())[-_LAST_LINES:]


LONGEST = 40.0

_WAIT_INTERVAL = 0.02
_PROFILE = {
    "_format": "trafficmorph-profile-v1",
    "name": "selftest ✓ größer",  # more than some terminals can show
    "duration": 30,
    "endpointUrl": "http://127.0.0.1:9/nothing-is-sent",
    "httpMethod": "GET",
    "points": [{"x": 0, "y": 200}, {"x": 30, "y": 200}],
}
_OTHER = Play(ending=Ending.HELD)


@dataclass(frozen=True, slots=True)
class Stage:
    """Where scenarios are played: the program that is tm, and the environment it gets.

    A tm that has not ended after `longest` seconds counts as hanging.
    """

    program: Sequence[str]
    environ: Mapping[str, str]
    longest: float = LONGEST

    async def play(self, scenario: Scenario, directory: Path) -> Result:
        """Play a scenario in a directory that is not there yet; all is over when this returns."""
        if reason := scenario.why_not(self.environ):
            return Result(scenario, skipped=reason)
        try:
            return await self._play(scenario, directory)
        except (OSError, TmError) as problem:  # which proves nothing, so it is not right
            return Result(scenario, said=(f"it could not be played: {problem}",))

    async def _play(self, scenario: Scenario, directory: Path) -> Result:
        work = directory / "work"
        work.mkdir(parents=True)
        (work / "tm.toml").touch()  # so that none further up counts
        (work / DOCUMENT).write_text(json.dumps(_PROFILE), encoding="utf-8")
        plays = [*scenario.earlier, *([_OTHER] if scenario.is_busy else []), scenario.play]
        async with (
            scripted_server(directory / "server", plays) as stand,
            _client(stand) as client,
        ):
            profile_id = await _prepare(client, scenario)
            async with Relay(stand.port, scenario.faults()) as relay:
                return await self._call(scenario, work, stand, client, profile_id, relay)

    async def _call(
        self,
        scenario: Scenario,
        work: Path,
        stand: Stand,
        client: Client,
        profile_id: int,
        relay: Relay,
    ) -> Result:
        key = stand.key_file.read_text(encoding="utf-8").strip()
        words = scenario.caller([*self.program, *scenario.words], work)
        runs_before, began = stand.runs, asyncio.get_running_loop().time()
        with dead_port() if scenario.is_down else nullcontext(relay.port) as port:
            environ = environment(self.environ, work.parent, port=port, key=key)
            async with child(words, work, {**environ, **scenario.environ}) as process:
                scene = Scene(client, profile_id, relay, process)
                code, stderr, others = await _wait(process, scenario, scene, self.longest)
        return Result(
            scenario,
            code=code,
            runs=stand.runs - runs_before - others,
            seconds=asyncio.get_running_loop().time() - began,
            said=last_words(stderr, key),
        )


async def _wait(
    process: Process, scenario: Scenario, scene: Scene, longest: float
) -> tuple[int | None, bytes, int]:
    """The exit code (None: it hangs), standard error, and the runs that others have started."""
    meanwhile = asyncio.create_task(scenario.meanwhile(scene)) if scenario.meanwhile else None
    try:
        _, stderr = await asyncio.wait_for(process.communicate(), longest)
        code = process.returncode
    except TimeoutError:
        stderr, code = b"it did not end", None
    finally:
        if meanwhile is not None:
            meanwhile.cancel()
    if meanwhile is None:
        return code, stderr, 0
    done = (await asyncio.gather(meanwhile, return_exceptions=True))[0]
    if isinstance(done, Exception):
        return code, stderr + f"\nwhat should happen meanwhile failed: {done}".encode(), 0
    return code, stderr, done if isinstance(done, int) else 0


@asynccontextmanager
async def _client(stand: Stand) -> AsyncIterator[Client]:
    """A client of the server itself, past the network that tm sees."""
    clock = SystemClock()
    key = ApiKey(stand.key_file.read_text(encoding="utf-8").strip())
    base_url = f"http://127.0.0.1:{stand.port}/"
    transport = Transport(Connection(base_url=base_url, key=key, clock=clock, environ={}))
    try:
        yield Client(transport, clock)
    finally:
        transport.close()


async def _prepare(client: Client, scenario: Scenario) -> int:
    """Bring the earlier runs about, and the one that is in the way; return the profile's id."""
    profile_id = (await asyncio.to_thread(client.import_profile, _PROFILE)).id
    for number in range(len(scenario.earlier)):
        await asyncio.to_thread(client.start_run, profile_id)
        await _judged(client, number + 1)
    if scenario.is_busy:
        other = {**_PROFILE, "name": "another"}
        other_id = (await asyncio.to_thread(client.import_profile, other)).id
        await asyncio.to_thread(client.start_run, other_id)
    return profile_id


async def _judged(client: Client, count: int) -> None:
    """Wait until `count` runs have verdicts."""
    async with asyncio.timeout(LONGEST):
        while True:
            rows = (await asyncio.to_thread(client.list_history)).content
            if len([row for row in rows if row.auto_verdict]) == count:
                return
            await asyncio.sleep(_WAIT_INTERVAL)


AT_ONCE = 4
"""tm keeps a processor busy while it starts, and then it mostly waits."""

_READ_INTERVAL = 0.2
_OF_PIPELINES = (
    *child_environment.TERMINAL, *PIPELINE_FILES, "GITHUB_ACTIONS", "GITLAB_CI",
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
    "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    "SHELL", "SHELLOPTS", "BASHOPTS", "BASH_ENV", "MAKEFLAGS", "GNUMAKEFLAGS",
)  # fmt: skip
"""What changes how tm, a shell or make behaves, and so could change an exit code."""


def prove(
    scenarios: Sequence[Scenario], environ: Mapping[str, str], program: str | None = None
) -> Generator[Result, None, None]:
    """Yield a result per scenario; nothing of them is left when the iterator is closed.

    `program` is called in the place of this tm, with the whole of `environ`: it may need any
    variable. Raises what keeps a scenario from being played.
    """
    if program:
        stage = Stage([program], environ)
    else:
        needed = child_environment.environment(environ, _OF_PIPELINES)
        stage = Stage(child_environment.command("tm_cli"), needed)
    with (
        tempfile.TemporaryDirectory(prefix="tm-selftest-", ignore_cleanup_errors=True) as name,
        closing(_Player(stage, Path(name)).results(scenarios)) as results,
    ):
        yield from results


class _Player:
    """Plays in a thread of its own: signals interrupt the main thread wherever it is."""

    def __init__(self, stage: Stage, directory: Path) -> None:
        self._stage = stage
        self._directory = directory
        self._news: queue.SimpleQueue[Result | BaseException | None] = queue.SimpleQueue()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._places = asyncio.Semaphore(AT_ONCE)

    def results(self, scenarios: Sequence[Scenario]) -> Generator[Result, None, None]:
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

    def _next(self) -> Result | BaseException | None:
        while True:
            with suppress(queue.Empty):  # an endless wait would keep Ctrl-C away on Windows
                return self._news.get(timeout=_READ_INTERVAL)

    def _run(self, scenarios: Sequence[Scenario]) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._play_all(scenarios))
        except BaseException as error:  # it must not be lost with the thread
            self._news.put(error)
        finally:
            self._news.put(None)

    async def _play_all(self, scenarios: Sequence[Scenario]) -> None:
        tasks = [asyncio.create_task(self._play(scenario)) for scenario in scenarios]
        stopping = asyncio.create_task(self._stop.wait())
        try:
            for task in tasks:
                await asyncio.wait([task, stopping], return_when=asyncio.FIRST_COMPLETED)
                if stopping.done():
                    return
                self._news.put(task.result())
        finally:
            stopping.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(stopping, *tasks, return_exceptions=True)

    async def _play(self, scenario: Scenario) -> Result:
        async with self._places:
            return await self._stage.play(scenario, self._directory / scenario.name)
