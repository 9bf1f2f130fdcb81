"""What server and agent say to each other: lines of several engines over one connection.

A frame names its run and carries one of: a line of the engine's protocol, from or to the engine; an
`order` of the server to the agent; the last word `over` of the agent about an engine. An empty
object is a sign of life.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

PATH = "tm/agent"
"""Where agents knock, below the server's address."""
LARGEST_FRAME = 8 * 1024 * 1024
"""The server's largest: a job may carry a mebibyte of request body, escaped twice."""
LARGEST_REPORT = 2 * 1024 * 1024
"""The agents' largest: a line with two full histograms has half as much."""
BEAT = "{}"

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
        """The frame as text."""
        return json.dumps(
            {name: value for name, value in asdict(self).items() if value is not None}
        )

    @classmethod
    def decode(cls, text: str) -> Frame | None:
        """Read a frame, None for a sign of life; ValueError when it makes no sense."""
        values = json.loads(text)
        if values == {}:
            return None
        known = isinstance(values, dict) and values.keys() <= {"run", "line", "order", "over"}
        if not known or not all(isinstance(value, str) for value in values.values()):
            raise ValueError("a frame makes no sense")
        if "run" not in values or len(values) != 2:
            raise ValueError("a frame makes no sense")
        for value in values.values():
            value.encode()  # a lone surrogate fails here
        return cls(**values)


BEAT_INTERVAL = 1.0
LONGEST_SILENCE = 3.0
"""Seconds without a sign of life after which the peer counts as gone.

The pings of the protocol below would do, but a TLS connection to a dead peer takes half a minute to
be closed, and nobody is told before.
"""


async def converse(
    receive: Callable[[], Awaitable[str]],
    send: Callable[[str], Awaitable[None]],
    outgoing: asyncio.Queue[Frame],
    take: Callable[[Frame], None],
    *,
    beat: float = BEAT_INTERVAL,
    longest_silence: float = LONGEST_SILENCE,
) -> None:
    """Send what is in `outgoing` and hand what comes to `take`; does not return.

    Raises ConnectionError, which says what happened, once the peer is gone, silent, or makes no
    sense. `receive` and `send` raise it too.
    """
    tasks = [
        asyncio.create_task(_listen(receive, take, longest_silence)),
        asyncio.create_task(_speak(send, outgoing, beat)),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    done.pop().result()


async def _listen(
    receive: Callable[[], Awaitable[str]], take: Callable[[Frame], None], longest_silence: float
) -> None:
    while True:
        try:
            frame = Frame.decode(await asyncio.wait_for(receive(), longest_silence))
        except TimeoutError:
            raise ConnectionError(f"no sign of life for {longest_silence:g} s") from None
        except (ValueError, RecursionError):
            raise ConnectionError("the peer said something without sense") from None
        if frame:
            take(frame)


async def _speak(
    send: Callable[[str], Awaitable[None]], outgoing: asyncio.Queue[Frame], beat: float
) -> None:
    while True:
        try:
            text = (await asyncio.wait_for(outgoing.get(), beat)).encode()
        except TimeoutError:
            text = BEAT
        await send(text)


_NAME = re.compile(r"[a-z0-9._-]+")
_LONGEST_REGION = 30
_LONGEST_NAME = 60


def region_refusal(name: str, *, reserved: str = "local") -> str | None:
    """Say why agents cannot join a region of this name, or None."""
    if name == reserved:
        return f"the region {reserved} is the server's own machine"
    return _refusal("region", name, _LONGEST_REGION)


def agent_refusal(name: str) -> str | None:
    """Say why no agent can have this name, or None."""
    return _refusal("agent", name, _LONGEST_NAME)


def _refusal(noun: str, name: str, longest: int) -> str | None:
    if _NAME.fullmatch(name) and len(name) <= longest:
        return None
    rule = f"1 to {longest} characters out of a-z, 0-9, dot, underscore, hyphen"
    return f"the name of the {noun} needs {rule}"


def agent_name(host: str) -> str:
    """A name for an agent, made of that of its host."""
    short = host.partition(".")[0].lower()
    return re.sub(r"[^a-z0-9_-]+", "-", short)[:_LONGEST_NAME].strip("-") or "agent"
