"""tm's whole client stack on the simulated services: only the sockets are replaced."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx2

from tests.simulation.messages import Reply, Request
from tests.simulation.raw_seam import Simulation, follow
from tests.simulation.recorder import Recording
from tests.simulation.schedules import Schedule
from tests.simulation.wire import TIMEOUT, Lost, Wire
from tm_cli.api.transport import Connection, Transport
from tm_cli.values.api_key import ApiKey

CANARY = "tm_canary-7f3a9c51e2"
BASE_URL = "http://127.0.0.1:9/"
"""Of this machine and unencrypted: reading the trust store would take most of the time."""

RAISED: dict[str, type[httpx2.TransportError]] = {
    "dns": httpx2.ConnectError,
    "refused": httpx2.ConnectError,
    "connect-timeout": httpx2.ConnectTimeout,
    "tls": httpx2.ConnectError,
    "proxy": httpx2.ProxyError,
    "pool-timeout": httpx2.PoolTimeout,
    "hang": httpx2.ReadTimeout,
    "drip": httpx2.ReadTimeout,
    "reset": httpx2.ReadError,
    "cut-connection": httpx2.RemoteProtocolError,
    "write-error": httpx2.WriteError,
    "write-timeout": httpx2.WriteTimeout,
    "protocol": httpx2.RemoteProtocolError,
}
"""What the HTTP library raises for each way to lose an answer."""

MID_BODY = frozenset({"drip", "cut-connection", "reset"})
"""Losses that may come after the head of the answer and a part of its body."""


class CutBody(httpx2.SyncByteStream):
    """The first half of a body, then an error."""

    def __init__(self, body: bytes, error: httpx2.TransportError) -> None:
        self._body = body
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        yield self._body[: len(self._body) // 2]
        raise self._error


class WorldWire(httpx2.BaseTransport):
    """In place of the sockets; checks that the key goes where it should and nowhere else."""

    def __init__(self, wire: Wire, broken: list[str]) -> None:
        self._wire = wire
        self._broken = broken

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self._check(request)
        sent = Request(
            request.method,
            request.url.path,
            dict(request.url.params.items()),
            json.loads(request.content) if request.content else None,
            dict(request.headers.items()),
        )
        try:
            reply = self._wire.exchange(sent)
        except Lost as lost:
            return self._lose(request, lost)
        return self._respond(reply, httpx2.ByteStream(reply.body))

    def _lose(self, request: httpx2.Request, lost: Lost) -> httpx2.Response:
        error = RAISED[lost.fault.kind](f"simulated {lost.fault.kind}", request=request)
        if lost.reply is None or lost.fault.kind not in MID_BODY or lost.fault.arg % 2:
            raise error
        return self._respond(lost.reply, CutBody(lost.reply.body, error))

    def _respond(self, reply: Reply, stream: httpx2.SyncByteStream) -> httpx2.Response:
        headers = [(name.encode(), value.encode()) for name, value in reply.headers.items()]
        return httpx2.Response(reply.status, headers=headers, stream=stream)

    def _check(self, request: httpx2.Request) -> None:
        if not str(request.url).startswith(BASE_URL):
            self._broken.append(f"I12 the key went to {request.url}")
        shown = {request.headers.get("x-api-key"), request.headers.get("authorization")}
        if shown not in ({CANARY, None}, {f"Bearer {CANARY}", None}) or CANARY in str(request.url):
            self._broken.append("I12 the key is not where it belongs")


def run(schedule: Schedule) -> Recording:
    """Run the gate through a schedule, HTTP library included."""
    simulation = Simulation(schedule)
    dialect = simulation.system.DIALECT
    leaks: list[str] = []
    connection = Connection(
        base_url=BASE_URL,
        key=ApiKey(CANARY),
        clock=simulation.clock,
        timeout=TIMEOUT,
        environ={},
        transport=WorldWire(simulation.wire, leaks),
        explain=dialect.explain,
        budget=simulation.budget(),
        **dialect.connection,
    )
    transport = Transport(connection)
    recording = follow(simulation, transport)
    transport.close()
    said = [*recording.texts, recording.broken or "", repr(connection), repr(vars(transport))]
    if any(CANARY in text for text in said):
        leaks.append("I12 the key was shown")
    recording.leaks = leaks
    return recording
