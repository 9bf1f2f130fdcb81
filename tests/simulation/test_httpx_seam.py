"""The same schedules through the HTTP library, and what each of its exceptions proves."""

from __future__ import annotations

import httpx2
import pytest

from tests.simulation.clock import VirtualClock
from tests.simulation.httpx_seam import BASE_URL
from tests.simulation.report import say
from tests.simulation.scale import seeds
from tests.simulation.volume import run_all
from tm_cli.api.errors import ConnectionFailed
from tm_cli.api.transport import Connection, Transport
from tm_cli.values.api_key import ApiKey

SCHEDULES = 2_000

MAYBE_SENT = {
    "CloseError": True,
    "ConnectError": False,
    "ConnectTimeout": False,
    "DecodingError": True,
    "HTTPError": True,
    "HTTPStatusError": True,
    "InvalidURL": True,
    "LocalProtocolError": True,
    "NetworkError": True,
    "PoolTimeout": False,
    "ProtocolError": True,
    "ProxyError": False,
    "ReadError": True,
    "ReadTimeout": True,
    "RemoteProtocolError": True,
    "RequestError": True,
    "RequestNotRead": True,
    "ResponseNotRead": True,
    "SSEError": True,
    "StreamClosed": True,
    "StreamConsumed": True,
    "StreamError": True,
    "TimeoutException": True,
    "TooManyRedirects": True,
    "TransportError": True,
    "UnsupportedProtocol": True,
    "WriteError": True,
    "WriteTimeout": True,
}
"""Whether bytes of the request may have left; in doubt they have."""

NOT_OF_A_REQUEST = {"CookieConflict"}


class Raising(httpx2.BaseTransport):
    def __init__(self, error: Exception) -> None:
        self.error = error
        self.requests = 0

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests += 1
        raise self.error


def exceptions() -> dict[str, type[Exception]]:
    found = {name: getattr(httpx2, name) for name in dir(httpx2)}
    return {
        name: kind
        for name, kind in found.items()
        if isinstance(kind, type) and issubclass(kind, Exception)
    }


def make(kind: type[Exception]) -> Exception:
    if kind is httpx2.HTTPStatusError:
        request = httpx2.Request("POST", BASE_URL)
        return kind("x", request=request, response=httpx2.Response(500))  # type: ignore[call-arg]
    try:
        return kind("simulated")
    except TypeError:
        return kind()


def transport(wire: httpx2.BaseTransport) -> Transport:
    return Transport(
        Connection(
            base_url=BASE_URL, key=ApiKey("tm_k"), clock=VirtualClock(), environ={}, transport=wire
        )
    )


@pytest.mark.volume
def test_no_schedule_breaks_an_invariant():
    tally = run_all("httpx_seam", seeds(SCHEDULES))
    say(tally.report())
    assert not tally.broken, "\n\n".join([tally.report(), *tally.failures])


def test_every_exception_of_the_library_is_classified():
    assert exceptions().keys() == MAYBE_SENT.keys() | NOT_OF_A_REQUEST


def maybe_sent_after(name: str) -> bool | None:
    """What tm concludes from an exception during a start; None unless it is sent just once."""
    wire = Raising(make(exceptions()[name]))
    try:
        transport(wire).post("api/v1/profiles/42/start")
    except ConnectionFailed as error:
        return error.maybe_sent if wire.requests == 1 else None
    return None


@pytest.mark.parametrize("name", MAYBE_SENT)
def test_exception_says_whether_the_start_may_have_left(name):
    assert maybe_sent_after(name) is MAYBE_SENT[name]


@pytest.mark.parametrize("kind", [OSError, ConnectionResetError, RuntimeError, ValueError])
def test_foreign_exception_counts_as_sent(kind):
    """What leaks through the library proves nothing."""
    with pytest.raises(ConnectionFailed) as caught:
        transport(Raising(kind("simulated"))).post("api/v1/profiles/42/start")
    assert caught.value.maybe_sent


def test_each_start_has_a_connection_of_its_own():
    """The client of a start is not the one of the reads, so no stale connection is reused."""
    seen: list[object] = []

    class Remembering(Raising):
        def close(self) -> None:
            seen.append(self)

    reaching = transport(Remembering(httpx2.ConnectError("simulated")))
    with pytest.raises(ConnectionFailed):
        reaching.post("api/v1/profiles/42/start")
    assert len(seen) == 1
