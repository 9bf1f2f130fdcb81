"""The network of the scenarios really does what a fault says."""

import asyncio
import http.client

import pytest

from tm_cli.selftest.fault_proxy import (
    Fault,
    FaultProxy,
    dead_port,
    flaky_reads,
    lost_start,
    no_faults,
)

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: close\r\n\r\n{"a": "long"}'[:-1]


class Upstream:
    """A server that keeps what it was sent and always answers the same."""

    def __init__(self):
        self.requests = []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_error):
        self._server.close()

    async def _serve(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests.append(head.decode())
        writer.write(ANSWER)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


def ask(port, method="GET", path="/api/v1/history?page=0"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, body=b"{}" if method == "POST" else None)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def through(fault, *request):
    """What a client gets (or raises) and what the server saw."""

    async def run():
        async with Upstream() as upstream, FaultProxy(upstream.port, lambda *_: fault) as proxy:
            try:
                got = await asyncio.to_thread(ask, proxy.port, *request)
            except (OSError, http.client.HTTPException) as error:
                got = error
            return got, upstream, proxy.seen

    return asyncio.run(run())


def test_without_a_fault_a_request_passes_unchanged_but_for_the_hop():
    got, upstream, seen = through(Fault.NONE, "POST", "/api/v1/profiles/1/runs")
    assert got == (200, b'{"a": "long"')
    assert seen == [("POST", "/api/v1/profiles/1/runs")]
    (head,) = upstream.requests
    assert f"Host: 127.0.0.1:{upstream.port}\r\n" in head
    assert "Content-Length: 2\r\n" in head


def test_a_reset_never_reaches_the_server():
    got, upstream, _ = through(Fault.RESET)
    assert isinstance(got, ConnectionError)
    assert upstream.requests == []


def test_a_gateway_answers_for_the_server():
    got, upstream, _ = through(Fault.GATEWAY)
    assert got[0] == 503
    assert b"<html>" in got[1]
    assert upstream.requests == []


def test_a_torn_answer_breaks_off():
    got, upstream, _ = through(Fault.TORN)
    assert isinstance(got, http.client.IncompleteRead)
    assert got.partial == b'{"a": '
    assert len(upstream.requests) == 1


def test_a_lost_answer_has_reached_the_server():
    got, upstream, _ = through(Fault.LOST, "POST", "/api/v1/profiles/1/start")
    assert isinstance(got, ConnectionError)
    assert len(upstream.requests) == 1


def test_every_other_read_goes_wrong_and_no_write_does():
    faults = flaky_reads()
    reads = [faults("GET", "/") for _ in range(6)]
    assert reads[1::2] == [Fault.NONE] * 3
    assert set(reads[::2]) == {Fault.RESET, Fault.GATEWAY, Fault.TORN}
    assert {faults("POST", "/api/v1/profiles/1/start") for _ in range(6)} == {Fault.NONE}


@pytest.mark.parametrize(
    ("method", "path", "fault"),
    [
        ("POST", "/api/v1/profiles/1/start", Fault.LOST),
        ("POST", "/api/v1/profiles/1/runs", Fault.LOST),
        ("POST", "/api/v1/profiles/import", Fault.NONE),
        ("GET", "/api/v1/profiles/1/runs", Fault.NONE),
    ],
)
def test_only_a_start_is_lost(method, path, fault):
    assert lost_start()(method, path) is fault
    assert no_faults()(method, path) is Fault.NONE


def test_a_dead_port_does_not_answer():
    with dead_port() as port, pytest.raises(OSError):
        ask(port)
