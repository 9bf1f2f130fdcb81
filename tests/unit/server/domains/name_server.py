"""A DNS server on a free port of this machine, in the event loop of the test or in a thread."""

import asyncio
import threading
from contextlib import asynccontextmanager, contextmanager

import dns.message
import dns.rcode
import dns.rrset


class _Answers(asyncio.DatagramProtocol):
    def __init__(self, zone, rcode):
        self.zone = zone
        self.rcode = rcode

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        query = dns.message.from_wire(data)
        answer = dns.message.make_response(query)
        question = query.question[0]
        name = question.name.to_text().rstrip(".")
        if self.rcode is not None:
            answer.set_rcode(self.rcode)
        elif name not in self.zone:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        while name in self.zone:
            kind, values = self.zone[name]
            answer.answer.append(dns.rrset.from_text(name + ".", 60, "IN", kind, *values))
            name = values[0].rstrip(".") if kind == "CNAME" else None
        self.transport.sendto(answer.to_wire(), address)


@asynccontextmanager
async def name_server(zone, rcode=None):
    """Yield host and port of a server that knows `zone`: name to kind and texts of records."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Answers(zone, rcode), local_addr=("127.0.0.1", 0)
    )
    try:
        yield transport.get_extra_info("sockname")
    finally:
        transport.close()


@contextmanager
def threaded_name_server(zone):
    """Yield host and port of a server that knows what `zone` holds when it is asked."""
    loop, ready = asyncio.new_event_loop(), threading.Event()
    found = []

    async def serve():
        async with name_server(zone) as address:
            found.extend([address, asyncio.Event()])
            ready.set()
            await found[1].wait()

    thread = threading.Thread(target=loop.run_until_complete, args=[serve()], daemon=True)
    thread.start()
    assert ready.wait(10)
    yield found[0]
    loop.call_soon_threadsafe(found[1].set)
    thread.join(10)
    loop.close()
