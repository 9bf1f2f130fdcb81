"""One scenario: a server and a network of its own, tm as a child process, and the result."""

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
from tm_cli.selftest.child import child, environment, last_words
from tm_cli.selftest.relay import Relay, dead_port
from tm_cli.selftest.scenario import DOCUMENT, Result, Scenario, Scene
from tm_cli.server.scripted.play import Ending, Play
from tm_cli.server.scripted.scripted_server import Stand, scripted_server

LONGEST = 40.0

_LOOK = 0.02
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
            await asyncio.sleep(_LOOK)
