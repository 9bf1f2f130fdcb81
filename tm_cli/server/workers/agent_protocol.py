"""The protocol between server and agent: lines of several engines over one connection.

A frame names its run and carries one of: a line of the engine's protocol, from or to the engine; an
`order` of the server to the agent; the end `over` of an engine. An empty
object is a heartbeat.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

PATH = "tm/agent"
"""Where agents connect, below the server's address."""
MAX_FRAME = 8 * 1024 * 1024
"""The server's largest: a job may carry a mebibyte of request body, escaped twice."""
MAX_REPORT = 2 * 1024 * 1024
"""The agents' largest: a line with two full histograms has half as much."""
HEARTBEAT = "{}"

HANG_UP = "hang up"
KILL = "kill"


@dataclass(frozen=True, slots=True)
class Frame:
    """One message; `over` is the engine's last complaint, or empty."""

    run: str
    line: str | None = None
    order: str | None = None
    over: str | None = None

    def encode(self) -> str:
        return json.dumps(
            {name: value for name, value in asdict(self).items() if value is not None}
        )

    @classmethod
    def decode(cls, text: str) -> Frame | None:
        """Read a frame, None for a heartbeat; raises ValueError when it is invalid."""
        values = json.loads(text)
        if values == {}:
            return None
        known = isinstance(values, dict) and values.keys() <= {"run", "line", "order", "over"}
        if not known or not all(isinstance(value, str) for value in values.values()):
            raise ValueError("invalid frame")
        if "run" not in values or len(values) != 2:
            raise ValueError("invalid frame")
        for value in values.values():
            value.encode()  # a lone surrogate fails here
        return cls(**values)


HEARTBEAT_INTERVAL = 1.0
SILENCE_LIMIT = 3.0
"""Seconds without a frame after which the peer counts as gone.

WebSocket pings would do, but a TLS connection to a dead peer takes half a minute to be closed.
"""


async def exchange_frames(
    receive: Callable[[], Awaitable[str]],
    send: Callable[[str], Awaitable[None]],
    outgoing: asyncio.Queue[Frame],
    take: Callable[[Frame], None],
    *,
    beat: float = HEARTBEAT_INTERVAL,
    silence_limit: float = SILENCE_LIMIT,
) -> None:
    """Send the frames of `outgoing` and pass received ones to `take`; does not return.

    Raises ConnectionError with the reason once the peer is gone, silent, or sends invalid frames.
    `receive` and `send` raise it too.
    """
    tasks = [
        asyncio.create_task(_receive_frames(receive, take, silence_limit)),
        asyncio.create_task(_send_frames(send, outgoing, beat)),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    done.pop().result()


async def _receive_frames(
    receive: Callable[[], Awaitable[str]], take: Callable[[Frame], None], silence_limit: float
) -> None:
    while True:
        try:
            async with asyncio.timeout(silence_limit):
                text = await receive()
            frame = Frame.decode(text)
        except TimeoutError:
            raise ConnectionError(f"no message for {silence_limit:g} s") from None
        except (ValueError, RecursionError):
            raise ConnectionError("the peer sent an invalid message") from None
        if frame:
            take(frame)


async def _send_frames(
    send: Callable[[str], Awaitable[None]], outgoing: asyncio.Queue[Frame], beat: float
) -> None:
    while True:
        try:
            async with asyncio.timeout(beat):
                text = (await outgoing.get()).encode()
        except TimeoutError:
            text = HEARTBEAT
        await send(text)


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
