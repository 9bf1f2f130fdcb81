"""Exchanges frames over a connection, the same way on both ends, until the peer is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tm_cli.server.crew.frames import HEARTBEAT, Frame

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
            frame = Frame.decode(await asyncio.wait_for(receive(), silence_limit))
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
            text = (await asyncio.wait_for(outgoing.get(), beat)).encode()
        except TimeoutError:
            text = HEARTBEAT
        await send(text)
