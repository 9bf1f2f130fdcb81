"""What server and agent say to each other.

An agent keeps a connection open for each of its workers: its presence. Both sides send heartbeats
over it, empty objects, and the server sends tickets. For each ticket the agent opens a tunnel, a
second WebSocket with the API key and the ticket's secret, and starts a worker process, whose bytes
the tunnel carries to the master of the run.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from tm_cli.server.engine.distributed.roles import WorkerKeys

PATH = "tm/agent"
"""Where agents connect, below the server's address."""
TUNNELS = "tm/worker"
"""Where the tunnels begin; the id of the run follows."""
SECRET_HEADER = "X-Tm-Ticket"  # noqa: S105 - the name of the header
MAX_MESSAGE = 64 * 1024
"""Bytes of a ticket, or of a piece of what a tunnel carries."""
HEARTBEAT = "{}"

Message = dict[str, Any]
_Result = TypeVar("_Result")


class TunnelTicket(BaseModel):
    """The right to work for a run: `secret` opens one tunnel, once, and `keys` encrypt its content.

    `worker` is the label that reports show.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    run: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]
    worker: Annotated[str, Field(min_length=1, max_length=120)]
    secret: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{20,100}$", repr=False)]
    keys: WorkerKeys


HEARTBEAT_INTERVAL = 0.5
SILENCE_LIMIT = 3.0
"""Seconds without a message after which the peer counts as gone.

WebSocket pings would do, but a TLS connection to a dead peer takes half a minute to be closed.
"""


async def exchange_messages(
    receive: Callable[[], Awaitable[str]],
    send: Callable[[str], Awaitable[None]],
    outgoing: asyncio.Queue[Message],
    take: Callable[[Message], None],
    *,
    beat: float = HEARTBEAT_INTERVAL,
    silence_limit: float = SILENCE_LIMIT,
) -> None:
    """Send the messages of `outgoing` and pass received ones to `take`; does not return.

    Raises ConnectionError with the reason once the peer is gone, silent, or sends invalid messages,
    for which `take` raises ValueError. `receive` and `send` raise ConnectionError too.
    """
    await first_to_end(_receive(receive, take, silence_limit), _send(send, outgoing, beat))


async def _receive(
    receive: Callable[[], Awaitable[str]], take: Callable[[Message], None], silence_limit: float
) -> None:
    while True:
        try:
            async with asyncio.timeout(silence_limit):
                text = await receive()
            message = json.loads(text)
            if message != {}:
                take(message)
        except TimeoutError:
            raise ConnectionError(f"no message for {silence_limit:g} s") from None
        except (ValueError, RecursionError):
            raise ConnectionError("the peer sent an invalid message") from None


async def _send(
    send: Callable[[str], Awaitable[None]], outgoing: asyncio.Queue[Message], beat: float
) -> None:
    while True:
        try:
            async with asyncio.timeout(beat):
                text = json.dumps(await outgoing.get())
        except TimeoutError:
            text = HEARTBEAT
        await send(text)


async def first_to_end(*parts: Awaitable[_Result]) -> _Result:
    """Run all at once; return what the first one returns or raises, and end the others."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return next(task for task in tasks if task in done).result()


_NAME = re.compile(r"[a-z0-9._-]+")
_MAX_REGION_LENGTH = 30
_MAX_NAME_LENGTH = 60


def region_refusal(name: str) -> str | None:
    if name == "local":
        return "the region local is the server's own machine"
    return _refusal("region", name, _MAX_REGION_LENGTH)


def agent_refusal(name: str) -> str | None:
    return _refusal("agent", name, _MAX_NAME_LENGTH)


def _refusal(noun: str, name: str, longest: int) -> str | None:
    if _NAME.fullmatch(name) and len(name) <= longest:
        return None
    rule = f"1 to {longest} characters out of a-z, 0-9, dot, underscore, hyphen"
    return f"the name of the {noun} needs {rule}"


def agent_name(host: str) -> str:
    short = host.partition(".")[0].lower()
    return re.sub(r"[^a-z0-9_-]+", "-", short)[:_MAX_NAME_LENGTH].strip("-") or "agent"
