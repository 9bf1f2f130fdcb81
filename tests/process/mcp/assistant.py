"""The official client, for tests that do one thing after the other."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

PATIENCE = 30.0


@dataclass(frozen=True)
class Answer:
    """What an assistant gets of one call."""

    is_error: bool
    told: str
    found: dict[str, Any]
    texts: list[str]


class PendingCall:
    """A call that goes on; `notes` are the sentences of its progress."""

    def __init__(self) -> None:
        self.notes: list[tuple[float, float | None, str]] = []
        self.task: asyncio.Task[Any] | None = None
        self.first_note = threading.Event()

    async def note(self, progress: float, total: float | None, message: str | None) -> None:
        self.notes.append((progress, total, message or ""))
        self.first_note.set()


class Assistant:
    """A client with a server of its own, in a thread; `connect` makes what it speaks through."""

    def __init__(self, connect: Any, **options: Any) -> None:
        self._connect, self._options = connect, options
        self._ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Assistant:
        self._thread.start()
        self._ready.result(PATIENCE)
        return self

    def __exit__(self, *_error: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(error)
            raise

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with Client(self._connect(), **self._options) as self._client:
            self._ready.set_result(None)
            await self._stop.wait()

    def _do(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE)

    def tools(self) -> dict[str, Any]:
        return {tool.name: tool for tool in self._do(self._client.list_tools()).tools}

    def prompts(self) -> list[str]:
        return [prompt.name for prompt in self._do(self._client.list_prompts()).prompts]

    def prompt(self, name: str, **arguments: str) -> str:
        return self._do(self._client.get_prompt(name, arguments)).messages[0].content.text

    def resources(self) -> list[str]:
        plain = self._do(self._client.list_resources()).resources
        templates = self._do(self._client.list_resource_templates()).resource_templates
        return [item.uri for item in plain] + [item.uri_template for item in templates]

    def read(self, uri: str) -> Any:
        return json.loads(self._do(self._client.read_resource(uri)).contents[0].text)

    @property
    def instructions(self) -> str:
        return self._client.instructions or ""

    def call(self, tool: str, /, **arguments: Any) -> Answer:
        return self.outcome(self.begin(tool, **arguments))

    def begin(self, tool: str, /, **arguments: Any) -> PendingCall:
        pending = PendingCall()

        async def begin() -> None:
            call = self._client.call_tool(tool, arguments, progress_callback=pending.note)
            pending.task = asyncio.get_running_loop().create_task(call)

        self._do(begin())
        return pending

    def outcome(self, pending: PendingCall) -> Answer:
        async def outcome() -> Any:
            return await pending.task

        result = self._do(outcome())
        texts = [item.text for item in result.content]
        return Answer(result.is_error, texts[0], result.structured_content, texts)

    def cancel(self, pending: PendingCall) -> None:
        async def cancel() -> None:
            pending.task.cancel()
            await asyncio.gather(pending.task, return_exceptions=True)

        self._do(cancel())


def over_stdio(environ: dict[str, str], cwd: Path, *argv: str) -> Any:
    """What starts `tm mcp` in a process of its own, without the environment of the tests."""
    parameters = StdioServerParameters(
        command=sys.executable, args=["-m", "tm_cli", "mcp", *argv], env=environ, cwd=cwd
    )
    return lambda: stdio_client(parameters)
