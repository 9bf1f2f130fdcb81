"""Runs one scenario: a server and a fault proxy of its own, tm as a child process."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from tm_cli.api.trafficmorph.client import Client
from tm_cli.api.transport import Connection, Transport
from tm_cli.api_key import ApiKey
from tm_cli.clock import SystemClock
from tm_cli.errors import TmError
from tm_cli.selftest.child import child, environment, last_lines
from tm_cli.selftest.relay import FaultProxy, dead_port
from tm_cli.selftest.scenario import DOCUMENT, ScenarioContext, ScenarioResult, SelftestScenario
from tm_cli.server.scripted.play import Ending, ScriptedRun
from tm_cli.server.scripted.scripted_server import ScriptedServer, scripted_server

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
            scripted_server(directory / "server", scripted_runs) as stand,
            _client(stand) as client,
        ):
            profile_id = await _prepare(client, scenario)
            async with FaultProxy(stand.port, scenario.faults()) as proxy:
                return await self._call(scenario, work, stand, client, profile_id, proxy)

    async def _call(
        self,
        scenario: SelftestScenario,
        work: Path,
        stand: ScriptedServer,
        client: Client,
        profile_id: int,
        proxy: FaultProxy,
    ) -> ScenarioResult:
        key = stand.key_file.read_text(encoding="utf-8").strip()
        words = scenario.caller([*self.program, *scenario.words], work)
        runs_before, began = stand.runs, asyncio.get_running_loop().time()
        with dead_port() if scenario.is_down else nullcontext(proxy.port) as port:
            environ = environment(self.environ, work.parent, port=port, key=key)
            async with child(words, work, {**environ, **scenario.environ}) as process:
                context = ScenarioContext(client, profile_id, proxy, process)
                code, stderr, others = await _wait(process, scenario, context, self.timeout)
        return ScenarioResult(
            scenario,
            code=code,
            runs=stand.runs - runs_before - others,
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
        _, stderr = await asyncio.wait_for(process.communicate(), timeout)
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
async def _client(stand: ScriptedServer) -> AsyncIterator[Client]:
    """A client that bypasses the fault proxy."""
    clock = SystemClock()
    key = ApiKey(stand.key_file.read_text(encoding="utf-8").strip())
    base_url = f"http://127.0.0.1:{stand.port}/"
    transport = Transport(Connection(base_url=base_url, key=key, clock=clock, environ={}))
    try:
        yield Client(transport, clock)
    finally:
        transport.close()


async def _prepare(client: Client, scenario: SelftestScenario) -> int:
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


async def _judged(client: Client, count: int) -> None:
    async with asyncio.timeout(TIMEOUT):
        while True:
            rows = (await asyncio.to_thread(client.list_history)).content
            if len([row for row in rows if row.auto_verdict]) == count:
                return
            await asyncio.sleep(_POLL_INTERVAL)
