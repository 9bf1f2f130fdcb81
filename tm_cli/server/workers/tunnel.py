"""Carries bytes between a WebSocket and a socket on loopback, the same at both ends of a tunnel."""

from __future__ import annotations

import asyncio
from typing import Protocol

from tm_cli.server.workers.agent_protocol import MAX_MESSAGE, first_to_end

CHUNK = MAX_MESSAGE
"""Bytes of one message, and what a socket's reader may hold: all that waits here for its peer."""


class Link(Protocol):
    """A WebSocket; both raise ConnectionError with a reason once it is closed.

    `send` waits while the peer does not read.
    """

    async def receive_bytes(self) -> bytes: ...

    async def send_bytes(self, data: bytes) -> None: ...


async def carry(
    link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes = b""
) -> str:
    """Carry bytes both ways until one end closes, beginning with `first` to the socket.

    Returns why the WebSocket ended, or an empty text when the socket did. Closes the socket; what
    it had sent before its end has been passed on.
    """
    try:
        writer.write(first)
        await first_to_end(_to_link(link, reader), _to_socket(link, writer))
    except ConnectionError as error:
        return str(error)
    finally:
        writer.close()
    return ""


async def _to_link(link: Link, reader: asyncio.StreamReader) -> None:
    while data := await _read(reader):
        await link.send_bytes(data)


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(CHUNK)
    except OSError:  # reset: there is nothing more to read
        return b""


async def _to_socket(link: Link, writer: asyncio.StreamWriter) -> None:
    while True:
        data = await link.receive_bytes()
        try:
            writer.write(data)
            await writer.drain()
        except OSError:
            return
