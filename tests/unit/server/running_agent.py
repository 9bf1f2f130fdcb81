"""An agent in a thread, with an engine that only pretends to send traffic."""

import asyncio
import threading

from tests.unit.server.running_server import FAKE_ENGINE, PATIENCE, eventually
from tm_cli.server.agent.agent import Agent
from tm_cli.server.agent.options import AgentOptions
from tm_cli.values.api_key import ApiKey


class RunningAgent:
    """`Agent.run()` in a thread; what it tells is in `said`, what it raised in `error`."""

    def __init__(self, server, *, url=None, region="eu-west", name="agent-1", key=None, **options):
        url = url or server.info.base_url + "/"
        settings = {"engine_command": FAKE_ENGINE, "server": url, **options}
        self.said = []
        self.error = None
        self._agent = Agent(
            AgentOptions(region=region, name=name, key=ApiKey(key or server.key), **settings),
            self.said.append,
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()

    def _run(self):
        try:
            asyncio.run(self._main())
        except Exception as error:
            self.error = error

    async def _main(self):
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._agent.run(self._stop)

    def start(self):
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        return self

    def connected(self):
        eventually(lambda: any("connected to" in line for line in self.said))
        return self

    def stop(self):
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self.join()

    def join(self):
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
