"""The MCP server over standard input and output."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
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
from tm_cli.errors import UsageError
from tm_cli.mcp.calls import Calls
from tm_cli.mcp.prompts import PROMPTS, Prompt
from tm_cli.mcp.resources import MEDIA_TYPE, RESOURCES, Resource
from tm_cli.mcp.results import headline, is_error, published_data, published_texts
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


def run(session: CommandContext, tools: Sequence[Tool] = TOOLS) -> None:
    """Serve one client; standard output is the protocol's alone."""
    if sys.stdin is None or sys.stdout is None:
        return
    if sys.stdin.isatty():
        session.note("tm: waiting for a client of the Model Context Protocol; Ctrl-D ends it")
    anyio.run(partial(_serve, session, sys.stdin.fileno(), tools))


async def _serve(session: CommandContext, descriptor: int, tools: Sequence[Tool]) -> None:
    calls = Calls(session)
    try:
        with anyio.CancelScope() as scope, _signals_calling(scope.cancel):
            lines: Any = StandardInput(descriptor)  # the library only iterates over it
            async with stdio_server(stdin=lines) as (incoming, outgoing):
                server = new_server(calls, tools)
                await server.run(incoming, outgoing, server.create_initialization_options())
    except* (OSError, anyio.BrokenResourceError):
        pass  # the client has left without a word
    finally:
        calls.close(PATIENCE)


def new_server(calls: Calls, tools: Sequence[Tool] = TOOLS) -> Server:
    """A server with these tools, and with the prompts and resources that need no others."""
    offer = Offer(calls, tools)
    return Server(
        "tm",
        version=__version__,
        title="tm load-test gate",
        instructions=INSTRUCTIONS,
        on_list_tools=offer.list_tools,
        on_call_tool=offer.call_tool,
        on_list_prompts=offer.list_prompts,
        on_get_prompt=offer.get_prompt,
        on_list_resources=offer.list_resources,
        on_list_resource_templates=offer.list_templates,
        on_read_resource=offer.read_resource,
    )


NOT_FOUND = -32002
"""The protocol's code for a resource that is not there."""


class Offer:
    """What a client can list and ask for."""

    def __init__(self, calls: Calls, tools: Sequence[Tool]) -> None:
        self._calls = calls
        self._tools = {tool.name: tool for tool in tools}
        self._prompts = {
            prompt.name: prompt for prompt in PROMPTS if self._tools.keys() >= set(prompt.tools)
        }
        self._resources = [item for item in RESOURCES if item.tool in self._tools]

    async def list_tools(self, _context: Any, _params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[as_listed(tool) for tool in self._tools.values()])

    async def call_tool(
        self, context: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        tool = self._tools.get(params.name)
        if tool is None:
            raise MCPError(types.INVALID_PARAMS, f"unknown tool {sanitize(params.name)!r}")
        report = context.session.report_progress
        structure = await self._calls.perform(tool, params.arguments or {}, report)
        return _as_result(tool, structure)

    async def list_prompts(self, _context: Any, _params: Any) -> types.ListPromptsResult:
        return types.ListPromptsResult(
            prompts=[_as_prompt(item) for item in self._prompts.values()]
        )

    async def get_prompt(
        self, _context: Any, params: types.GetPromptRequestParams
    ) -> types.GetPromptResult:
        prompt = self._prompts.get(params.name)
        if prompt is None:
            raise MCPError(types.INVALID_PARAMS, f"unknown prompt {sanitize(params.name)!r}")
        try:
            text = prompt.write(params.arguments or {})
        except UsageError as error:
            raise MCPError(types.INVALID_PARAMS, error.message) from None
        message = types.PromptMessage(
            role="user", content=types.TextContent(type="text", text=text)
        )
        return types.GetPromptResult(description=prompt.description, messages=[message])

    async def list_resources(self, _context: Any, _params: Any) -> types.ListResourcesResult:
        found = [item for item in self._resources if not item.is_template]
        return types.ListResourcesResult(
            resources=[types.Resource(uri=item.uri, **_described(item)) for item in found]
        )

    async def list_templates(
        self, _context: Any, _params: Any
    ) -> types.ListResourceTemplatesResult:
        found = [item for item in self._resources if item.is_template]
        return types.ListResourceTemplatesResult(
            resource_templates=[
                types.ResourceTemplate(uri_template=item.uri, **_described(item)) for item in found
            ]
        )

    async def read_resource(
        self, _context: Any, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        uri = str(params.uri)
        for resource in self._resources:
            if (arguments := resource.read(uri)) is not None:
                tool = self._tools[resource.tool]
                structure = await self._calls.perform(tool, arguments, _report_to_nothing)
                if is_error(structure):
                    raise MCPError(types.INTERNAL_ERROR, headline(structure, is_gate=False))
                text = to_json(published_data(structure))
                content = types.TextResourceContents(uri=uri, mime_type=MEDIA_TYPE, text=text)
                return types.ReadResourceResult(contents=[content])
        known = ", ".join(item.uri for item in self._resources)
        raise MCPError(
            NOT_FOUND,
            f"there is no resource {sanitize(uri)}; there are {known}, with ids from 1 on",
        )


async def _report_to_nothing(_progress: float, _total: float | None, _message: str) -> None:
    """Reading a resource has no progress."""


def _described(resource: Resource) -> dict[str, Any]:
    return {
        "name": resource.name,
        "title": resource.title,
        "description": resource.description,
        "mime_type": MEDIA_TYPE,
    }


def _as_prompt(prompt: Prompt) -> types.Prompt:
    return types.Prompt(
        name=prompt.name,
        title=prompt.title,
        description=prompt.description,
        arguments=[
            types.PromptArgument(name=name, description=description, required=True)
            for name, description in prompt.arguments.items()
        ],
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
            destructive_hint=tool.effect is not Effect.READS,
            idempotent_hint=tool.effect is not Effect.CHANGES,
            open_world_hint=True,
        ),
    )


def _as_result(tool: Tool, structure: dict[str, Any]) -> types.CallToolResult:
    texts = [
        f"{headline(structure, is_gate=tool.is_gate)}\n{structure['caution']}",
        to_json(structure),
    ]
    if tool.is_published and not is_error(structure):
        texts = list(published_texts(structure))
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text) for text in texts],
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
