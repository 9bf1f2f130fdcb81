"""Bytes between a WebSocket and a socket: all of them, in order, and no more than fit."""

import asyncio
import os
import socket

from tm_cli.server.workers.tunnel import CHUNK, carry

MANY = 20 * 1024 * 1024


class Link:
    """A WebSocket whose peer the test plays; it reads only what it is told to."""

    def __init__(self, *, reads=True):
        self.incoming = asyncio.Queue()
        self.sent = []
        self.taken = 0
        self.reads = asyncio.Event()
        if reads:
            self.reads.set()

    async def receive_bytes(self):
        data = await self.incoming.get()
        if isinstance(data, Exception):
            raise data
        self.taken += len(data)
        return data

    async def send_bytes(self, data):
        await self.reads.wait()
        if self.sent and isinstance(self.sent[-1], Exception):
            raise self.sent[-1]
        self.sent.append(data)


def scenario(play, *, reads=True):
    """Carry between a link and one end of a socket pair, and let `play` have the other one."""

    async def run():
        link = Link(reads=reads)
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours, limit=CHUNK)
        peer = await asyncio.open_connection(sock=theirs)
        carrying = asyncio.create_task(carry(link, reader, writer, b"first "))
        try:
            async with asyncio.timeout(10):
                return await play(link, carrying, *peer)
        finally:
            carrying.cancel()
            await asyncio.gather(carrying, return_exceptions=True)
            peer[1].transport.abort()

    return asyncio.run(run())


def test_bytes_arrive_in_order_both_ways():
    data = os.urandom(3 * CHUNK + 7)

    async def play(link, carrying, reader, writer):
        for start in range(0, len(data), CHUNK):
            link.incoming.put_nowait(data[start : start + CHUNK])
        writer.write(data)
        got = await reader.readexactly(len(b"first ") + len(data))
        writer.close()
        return await carrying, got, b"".join(link.sent), max(map(len, link.sent))

    ended, got, sent, longest = scenario(play)
    assert (ended, got, sent) == ("", b"first " + data, data)
    assert longest <= CHUNK


def test_what_was_sent_before_the_end_is_passed_on():
    async def play(link, carrying, reader, writer):
        link.incoming.put_nowait(b"last words")
        link.incoming.put_nowait(ConnectionError("it was stopped"))
        return await reader.read(), await carrying

    assert scenario(play) == (b"first last words", "it was stopped")


def test_a_reset_socket_is_its_end():
    async def play(link, carrying, reader, writer):
        await reader.readexactly(6)
        writer.transport.abort()
        return await carrying

    assert scenario(play) == ""


def test_a_link_that_cannot_send_ends_the_socket():
    async def play(link, carrying, reader, writer):
        link.sent.append(ConnectionError("lost"))
        writer.write(b"x")
        return await carrying, await reader.read()

    assert scenario(play) == ("lost", b"first ")


async def settled(value):
    """What a value is once it stops growing."""
    before = None
    while before != (before := value()):
        for _ in range(100):  # turns of the loop
            await asyncio.sleep(0)
    return before


def test_what_a_link_does_not_take_is_left_with_the_sender():
    async def play(link, carrying, reader, writer):
        writer.transport.set_write_buffer_limits(0)
        for _ in range(MANY // CHUNK):
            writer.write(bytes(CHUNK))
        return MANY - await settled(writer.transport.get_write_buffer_size)

    assert scenario(play, reads=False) < 2 * 1024 * 1024


def test_what_a_socket_does_not_take_is_left_with_the_link():
    async def play(link, carrying, reader, writer):
        for _ in range(MANY // CHUNK):
            link.incoming.put_nowait(bytes(CHUNK))
        return await settled(lambda: link.taken)

    assert scenario(play) < 2 * 1024 * 1024
