"""The MCP server over standard input and output."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any

import anyio
import mcp_types as types
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError

from tm_cli import __version__
from tm_cli.cli.session import CommandContext
from tm_cli.mcp.calls import Calls
from tm_cli.mcp.results import headline, is_error
from tm_cli.mcp.schema import Effect, Tool
from tm_cli.mcp.tools import INSTRUCTIONS, TOOLS
from tm_cli.render.formats.json_document import to_json
from tm_cli.runtime.standard_streams import read_some
from tm_cli.values.text import sanitize

CHUNK = 65536


class StandardInput:
    """Lines of a descriptor, read in a daemon thread.

    A buffered reader would do neither: its lock, held by a blocked thread, lets Python abort at
    its end.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, name="standard input", daemon=True).start()

    def _read(self) -> None:
        rest = b""
        with suppress(RuntimeError):  # the loop is closed
            with suppress(OSError):
                while chunk := read_some(self._descriptor, CHUNK):
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        self._loop.call_soon_threadsafe(self._lines.put_nowait, line)
            self._loop.call_soon_threadsafe(self._lines.put_nowait, None)

    def __aiter__(self) -> StandardInput:
        return self

    async def __anext__(self) -> str:
        while (line := await self._lines.get()) is not None:
            if line.strip():
                return _LONE_SURROGATE.sub(_replaced, line.decode("utf-8", "replace"))
        raise StopAsyncIteration


_LONE_SURROGATE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)
"""Half a character, as a client writes that cuts a text in it; the others are whole escapes."""


def _replaced(escape: re.Match[str]) -> str:
    """The library drops a message with half a character, and its client would wait for ever."""
    return "\\ufffd" if escape[1] else escape[0]


PATIENCE = 2.0
"""Seconds for calls to end after the client has left."""

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


def run(session: CommandContext) -> None:
    """Serve one client; standard output is the protocol's alone."""
    if sys.stdin is None or sys.stdout is None:
        return
    if sys.stdin.isatty():
        session.note("tm: waiting for a client of the Model Context Protocol; Ctrl-D ends it")
    anyio.run(partial(_serve, session, sys.stdin.fileno()))


async def _serve(session: CommandContext, descriptor: int) -> None:
    calls = Calls(session)
    try:
        with anyio.CancelScope() as scope, _signals_calling(scope.cancel):
            lines: Any = StandardInput(descriptor)  # the library only iterates over it
            async with stdio_server(stdin=lines) as (incoming, outgoing):
                server = new_server(calls)
                await server.run(incoming, outgoing, server.create_initialization_options())
    except* (OSError, anyio.BrokenResourceError):
        pass  # the client has left without a word
    finally:
        calls.close(PATIENCE)


def new_server(calls: Calls) -> Server:
    tools = {tool.name: tool for tool in TOOLS}

    async def list_tools(_context: Any, _params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[as_listed(tool) for tool in TOOLS])

    async def call_tool(
        context: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        tool = tools.get(params.name)
        if tool is None:
            raise MCPError(types.INVALID_PARAMS, f"unknown tool {sanitize(params.name)!r}")
        report = context.session.report_progress
        structure = await calls.perform(tool, params.arguments or {}, report)
        return _as_result(tool, structure)

    return Server(
        "tm",
        version=__version__,
        title="tm load-test gate",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def as_listed(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.schema,
        annotations=types.ToolAnnotations(
            title=tool.title,
            read_only_hint=tool.effect is Effect.READS,
            destructive_hint=tool.effect in (Effect.STARTS, Effect.ENDS, Effect.RESUMES),
            idempotent_hint=tool.effect is not Effect.STARTS,
            open_world_hint=True,
        ),
    )


def _as_result(tool: Tool, structure: dict[str, Any]) -> types.CallToolResult:
    summary = f"{headline(structure, is_gate=tool.is_gate)}\n{structure['caution']}"
    return types.CallToolResult(
        content=[
            types.TextContent(type="text", text=summary),
            types.TextContent(type="text", text=to_json(structure)),
        ],
        structured_content=structure,
        is_error=is_error(structure),
    )


@contextmanager
def _signals_calling(stop: Callable[[], None]) -> Iterator[None]:
    """Let the first signal end the serving in peace, and a second one at once."""
    loop = asyncio.get_running_loop()
    present = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    # What is ignored stays ignored: `nohup` means that.
    numbers = [number for number in present if signal.getsignal(number) != signal.SIG_IGN]

    def first(_number: int, _frame: FrameType | None) -> None:
        for number in numbers:
            signal.signal(number, _leave)
        loop.call_soon_threadsafe(stop)

    before = {number: signal.signal(number, first) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)
