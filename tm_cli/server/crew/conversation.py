"""Talking over a connection, the same way on both ends, until the peer is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tm_cli.server.crew.frames import BEAT, Frame

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
