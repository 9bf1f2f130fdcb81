"""Speaks with MCP servers through the client library of TrafficMorph's own one.

Runs in `.venv-official`: `client.py COMMANDS` starts a server for each command in a JSON list,
reads requests such as `[0, "call", NAME, ARGUMENTS]`, of which the first word is the place of the
server, as lines of JSON, and writes a line for each of them.
"""

import asyncio
import json
import os
import sys
from typing import Any

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


async def main(commands: str) -> None:
    """Start the servers at the same time, and end them so: each takes a second or two."""
    over, loop = asyncio.Event(), asyncio.get_running_loop()
    ready = {tuple(command): loop.create_future() for command in json.loads(commands)}
    async with asyncio.TaskGroup() as servers:
        for command, session in ready.items():
            servers.create_task(hold(command, session, over))
        sessions = await asyncio.gather(*ready.values())
        while line := await asyncio.to_thread(sys.stdin.readline):
            place, *words = json.loads(line)
            sys.stdout.write(json.dumps(await answer(sessions[place], *words)) + "\n")
            sys.stdout.flush()
        over.set()


async def hold(
    command: tuple[str, ...], ready: asyncio.Future[ClientSession], over: asyncio.Event
) -> None:
    name, *arguments = command
    server = StdioServerParameters(command=name, args=arguments, env=dict(os.environ))
    async with stdio_client(server) as streams, ClientSession(*streams) as session:
        await session.initialize()
        ready.set_result(session)
        await over.wait()


async def answer(session: ClientSession, verb: str, *words: Any) -> dict[str, Any]:
    try:
        return {"found": await VERBS[verb](session, *words)}
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"}


async def listed(session: ClientSession) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, key in (
        ("tools", "tools"),
        ("prompts", "prompts"),
        ("resources", "resources"),
        ("resource_templates", "resourceTemplates"),
    ):
        page = dumped(await getattr(session, f"list_{name}")())
        found[name] = page[key]
    return found


async def call(session: ClientSession, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return dumped(await session.call_tool(name, arguments))


async def prompt(session: ClientSession, name: str, arguments: dict[str, str]) -> dict[str, Any]:
    return dumped(await session.get_prompt(name, arguments))


async def read(session: ClientSession, uri: str) -> dict[str, Any]:
    return dumped(await session.read_resource(uri))  # type: ignore[arg-type]


def dumped(result: Any) -> dict[str, Any]:
    found: dict[str, Any] = result.model_dump(mode="json", by_alias=True, exclude_none=True)
    return found


VERBS = {"list": listed, "call": call, "prompt": prompt, "read": read}

if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
