"""An exchange ends in time and size, whatever a server does between two bytes. Real sockets."""

from __future__ import annotations

import gzip
import socket
import ssl
import sys
import threading
import time
import zlib
from contextlib import ExitStack, closing, contextmanager
from functools import partial

import httpx2
import pytest
import trustme

from tests.simulation import unending
from tests.simulation.socket_server import read_message
from tests.simulation.unending import CHUNKED, FAST, OK, PAUSE, SLOW, RawServer, json_answer
from tm_cli.api import event_stream
from tm_cli.api.errors import ConnectionFailed, HttpError, InvalidResponse
from tm_cli.api.middleware import LARGEST_BODY
from tm_cli.api.network import LONGEST_STREAM, ExchangeLimits, LimitedTransport
from tm_cli.api.transport import Connection, Transport
from tm_cli.runtime.clock import SystemClock, reads_end_at
from tm_cli.values.api_key import ApiKey

TIMEOUT = 0.2
SOON = 3.0
"""Seconds in which everything here is over on a busy machine; without limits it never is."""
LONG_BEFORE = 15.0


@contextmanager
def transport(url, *, timeout=TIMEOUT, clock=None, **options):
    connection = Connection(
        base_url=url,
        key=ApiKey("tm_k"),
        clock=clock or SystemClock(),
        timeout=timeout,
        environ=options.pop("environ", {}),
        **options,
    )
    with closing(Transport(connection)) as opened:
        yield opened


@contextmanager
def ends_soon(seconds=SOON):
    """Expect ConnectionFailed or InvalidResponse, and soon."""
    began = time.monotonic()
    with pytest.raises((ConnectionFailed, InvalidResponse)) as caught:
        yield caught
    assert time.monotonic() - began < seconds


@pytest.mark.parametrize("name", [b"Content-Length: 2", b"content-length:2"])
def test_answer_with_two_lengths_is_none(name):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    answer = head + name + b"\r\n\r\n2\r\n[]\r\n0\r\n\r\n"
    with (
        RawServer(lambda _: [answer]) as server,
        transport(server.url, timeout=SOON) as opened,
        pytest.raises(ConnectionFailed, match="the answer has two lengths"),
    ):
        opened.get("x")


@pytest.mark.parametrize("name", SLOW)
def test_slow_answer_ends_with_the_timeout(name):
    with (
        RawServer(lambda _: SLOW[name]()) as server,
        transport(server.url) as opened,
        ends_soon() as caught,
    ):
        opened.post("x")
    assert caught.value.maybe_sent is True
    assert len(server.requests) == 1
    assert "within 0.2s" in caught.value.message


@pytest.mark.parametrize("name", FAST)
def test_flood_ends_long_before_the_timeout(name):
    with (
        RawServer(lambda _: FAST[name]()) as server,
        transport(server.url, timeout=60.0) as opened,
        ends_soon(LONG_BEFORE) as caught,
    ):
        opened.post("x")
    assert getattr(caught.value, "maybe_sent", True) is True


def test_answer_in_small_chunks_is_read():
    chunks = b"".join(b"14\r\n%19d,\r\n" % number for number in range(40_000))
    with (
        RawServer(lambda _: CHUNKED + b"1\r\n[\r\n" + chunks + b"2\r\n0]\r\n0\r\n\r\n") as server,
        transport(server.url, timeout=SOON * 3) as opened,
    ):
        assert len(opened.get("x")) == 40_001


def test_interim_answers_of_a_usual_number_are_passed_over():
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 50
    with (
        RawServer(lambda _: interim + json_answer(b"[1]")) as server,
        transport(server.url, timeout=SOON) as opened,
    ):
        assert opened.get("x") == [1]


def test_request_that_is_read_slowly_ends_with_the_timeout():
    def sip(connection):
        while connection.recv(65536):
            time.sleep(0.01)

    with (
        RawServer(talk=sip) as server,
        transport(server.url, timeout=0.5) as opened,
        ends_soon() as caught,
    ):
        opened.post("x", "a" * 32_000_000)
    assert caught.value.maybe_sent is True


def _handshake_slowly(connection):
    connection.sendall(b"\x16\x03\x03\x40\x00\x02")
    while True:
        time.sleep(PAUSE)
        connection.sendall(b"\x00")


def test_slow_handshake_ends_with_the_timeout_and_has_sent_nothing():
    with (
        RawServer(talk=_handshake_slowly) as server,
        transport(f"https://localhost:{server.port}/") as opened,
        ends_soon() as caught,
    ):
        opened.post("x")
    assert caught.value.maybe_sent is False


@pytest.mark.parametrize("name", [*SLOW, "floods"])
def test_slow_answer_of_a_proxy_ends_with_the_timeout(name):
    answer = FAST["bare interim answers"] if name == "floods" else SLOW[name]
    established = {"body", "body in chunks", "body without length", "chunk extension", "trailers"}
    with RawServer(lambda _: answer()) as server:
        environ = {"HTTPS_PROXY": server.url}
        with transport("https://tm.example/", environ=environ) as opened, ends_soon() as caught:
            opened.get("x")
    assert [request.line for request in server.requests] == ["CONNECT tm.example:443 HTTP/1.1"]
    assert caught.value.maybe_sent is False or name not in established


def test_time_begins_with_each_request(clock):
    def answer_twice(connection):
        while read_message(connection):
            connection.sendall(OK + b"Content-Length: 2\r\n\r\n[]")

    with (
        RawServer(talk=answer_twice) as server,
        transport(server.url, timeout=3.0, clock=clock) as opened,
    ):
        assert opened.get("x") == []
        clock.seconds += 4.0
        assert opened.get("x") == []


@pytest.mark.parametrize("seconds", [0.2, 0.0])
def test_request_ends_at_the_deadline_of_a_wait_when_that_comes_first(seconds):
    with (
        RawServer(lambda _: SLOW["nothing"]()) as server,
        transport(server.url, timeout=60.0) as opened,
        ends_soon(),
        reads_end_at(SystemClock().monotonic() + seconds),
    ):
        opened.get("x")


def test_what_changes_something_is_sent_even_when_a_wait_is_over():
    with (
        RawServer(lambda _: json_answer(b"{}")) as server,
        transport(server.url, timeout=SOON) as opened,
        reads_end_at(SystemClock().monotonic() - 1.0),
    ):
        assert opened.post("x/stop") == {}
        assert opened.delete("x") == {}


@pytest.fixture
def looked_up(monkeypatch):
    """Let names have these addresses: a list, or what never comes."""
    never = threading.Event()

    def answer_with(addresses):
        def look_up(host, port, *arguments, **options):
            if host != "tm.example":
                return found(host, port, *arguments, **options)
            if addresses is None:
                never.wait(SOON * 5)
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
                for address in addresses or []
            ]

        found = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", look_up)

    yield answer_with
    never.set()


def test_name_that_is_looked_up_without_end_ends_with_the_timeout(looked_up):
    looked_up(None)
    with transport("http://tm.example:9/") as opened, ends_soon() as caught:
        opened.post("x")
    assert caught.value.maybe_sent is False


@contextmanager
def silence_at(address):
    """Yield a port at which nothing is ever answered: its queue is full."""
    if sys.platform != "linux":
        pytest.skip("elsewhere a full queue is not silent")
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((address, 0), backlog=0))
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_silent_address_leaves_time_for_the_next_one(looked_up):
    looked_up(["127.0.0.3", "127.0.0.1"])
    with (
        silence_at("127.0.0.3") as port,
        RawServer(lambda _: json_answer(b"[1]"), port=port),
        transport(f"http://tm.example:{port}/", timeout=0.6) as opened,
    ):
        assert opened.get("x") == [1]


def test_all_silent_addresses_share_the_time(looked_up):
    looked_up([f"127.0.0.{number}" for number in range(3, 33)])
    with (
        silence_at("0.0.0.0") as port,
        transport(f"http://tm.example:{port}/") as opened,
        ends_soon() as caught,
    ):
        opened.post("x")
    assert caught.value.maybe_sent is False


REFUSAL = b"HTTP/1.1 503 Busy\r\nContent-Type: application/json\r\n\r\n{"


@pytest.mark.parametrize(
    "answer",
    [SLOW["head, byte by byte"], partial(unending.slowly, REFUSAL, b" ")],
    ids=["head", "refusal"],
)
def test_head_and_refusal_of_a_stream_end_with_the_timeout(answer):
    with (
        RawServer(lambda _: answer()) as server,
        transport(server.url) as opened,
        ends_soon(),
        opened.stream("x", accept="text/event-stream", silence=45.0),
    ):
        pass


def test_stream_that_speaks_goes_on_until_its_longest_time_is_over(clock):
    def events(_):
        yield b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        while True:
            yield b": still here\n\n"
            time.sleep(PAUSE)

    with (
        RawServer(events) as server,
        transport(server.url, clock=clock) as opened,
        ends_soon(),
        opened.stream("x", accept="text/event-stream", silence=45.0) as response,
    ):
        pieces = response.iter_raw()
        next(pieces)
        clock.seconds += LONGEST_STREAM / 2
        next(pieces)
        clock.seconds += LONGEST_STREAM
        for _ in pieces:
            pass


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def trust(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="module")
def certified(authority):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@contextmanager
def client_of_tls_proxy(proxy, trust, seconds):
    limits = ExchangeLimits(SystemClock())
    named = httpx2.Proxy(f"https://localhost:{proxy.port}/", ssl_context=trust)
    with httpx2.Client(transport=LimitedTransport(limits, verify=trust, proxy=named)) as client:
        limits.begin(seconds)
        yield client


def _accept_tunnel(connection, certified):
    """Answer a CONNECT over TLS; return the connection below."""
    secure = certified.wrap_socket(connection, server_side=True)
    read_message(secure)
    secure.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    return secure


def test_tls_inside_the_tls_of_a_proxy_carries_requests(certified, trust):
    def serve(connection):
        with _accept_tunnel(connection, certified) as outer:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            inner = certified.wrap_bio(incoming, outgoing, server_side=True)

            def perform(action, *arguments):
                while True:
                    try:
                        result = action(*arguments)
                    except ssl.SSLWantReadError:
                        outer.sendall(outgoing.read())
                        incoming.write(outer.recv(16384))
                    else:
                        outer.sendall(outgoing.read())
                        return result

            perform(inner.do_handshake)
            received = b""
            while not received.endswith(b"}"):
                received += perform(inner.read, 16384)
            perform(inner.write, json_answer(b"[%d]" % len(received)))

    with (
        RawServer(talk=serve) as proxy,
        client_of_tls_proxy(proxy, trust, SOON) as client,
    ):
        answer = client.post("https://localhost:1/x", content=b"a" * 100_000 + b"}")
    assert answer.json()[0] > 100_000


def test_slow_handshake_behind_the_tls_of_a_proxy_ends_in_time(certified, trust):
    def serve(connection):
        with _accept_tunnel(connection, certified) as outer:
            _handshake_slowly(outer)

    began = time.monotonic()
    with (
        RawServer(talk=serve) as proxy,
        client_of_tls_proxy(proxy, trust, TIMEOUT) as client,
        pytest.raises(httpx2.ConnectTimeout),
    ):
        client.get("https://localhost:1/x")
    assert time.monotonic() - began < SOON


@pytest.mark.parametrize(
    "encoding",
    [b"identity", b"Identity", b" IDENTITY ", b"", b"utf-8", b"UTF8", b"iso-8859-1", b"none", b","],
)
def test_an_answer_that_says_it_is_not_compressed_is_read(encoding):
    answer = OK + b"Content-Encoding: %s\r\nContent-Length: 2\r\n\r\n[]" % encoding
    with RawServer(lambda _: answer) as server, transport(server.url, timeout=10.0) as opened:
        assert opened.get("x") == []


def _zlib(content, window):
    packer = zlib.compressobj(wbits=window)
    return packer.compress(content) + packer.flush()


DOCUMENT = b'{"status": "RUNNING", "at": [1, 2, 3]}'
PACKED = {
    "gzip": gzip.compress(DOCUMENT),
    "X-GZIP": gzip.compress(DOCUMENT),
    "gzip, identity": gzip.compress(DOCUMENT),
    "gzip, UTF-8": gzip.compress(DOCUMENT),
    "gzip,gzip": gzip.compress(gzip.compress(DOCUMENT)),
    "deflate, gzip": gzip.compress(_zlib(DOCUMENT, 15)),
    "deflate": _zlib(DOCUMENT, 15),
    "Deflate ": _zlib(DOCUMENT, -15),
    "x-deflate": _zlib(DOCUMENT, 9),
}


def _answer(status, encoding, content, *more):
    head = [f"HTTP/1.1 {status} X", "Content-Type: application/json", *more]
    head += [f"Content-Encoding: {encoding}", f"Content-Length: {len(content)}", "", ""]
    return "\r\n".join(head).encode() + content


@pytest.mark.parametrize("encoding", PACKED)
def test_answer_that_a_proxy_has_compressed_is_read(encoding):
    with (
        RawServer(lambda _: _answer(200, encoding, PACKED[encoding])) as server,
        transport(server.url, timeout=10.0) as opened,
    ):
        assert opened.get("x") == {"status": "RUNNING", "at": [1, 2, 3]}


def test_two_members_of_one_gzip_body_are_read():
    members = gzip.compress(b"[1,") + gzip.compress(b"2]")
    with (
        RawServer(lambda _: _answer(200, "gzip", members)) as server,
        transport(server.url, timeout=10.0) as opened,
    ):
        assert opened.get("x") == [1, 2]


@pytest.mark.parametrize(
    ("encoding", "content", "reason"),
    [
        ("br", b"\x0b\x01\x80[]\x03", "its encoding is br"),
        ("zstd", b"", "its encoding is zstd"),
        ("gzip, br", PACKED["gzip"], "its encoding is gzip, br"),
        ("gzip, gzip, gzip, gzip", b"", "its encoding is"),
        ("gzip", DOCUMENT, "it is not in the encoding that its head names"),
        ("deflate", PACKED["gzip"], "it is not in the encoding that its head names"),
        ("gzip", PACKED["gzip"][:-1], "it is cut"),
        ("gzip", PACKED["gzip"] + b"x", "it is cut"),
        ("gzip", gzip.compress(b" " * (LARGEST_BODY + 1)), "it is too large"),
        ("gzip, gzip", gzip.compress(gzip.compress(b" " * 2**26, 1)), "it is too large"),
    ],
    ids=map(str, range(10)),
)
def test_answer_that_cannot_be_decoded_says_that_a_proxy_compresses(encoding, content, reason):
    with (
        RawServer(lambda _: _answer(200, encoding, content)) as server,
        transport(server.url, timeout=60.0) as opened,
        pytest.raises(InvalidResponse, match="cannot be decoded") as caught,
    ):
        opened.get("x")
    assert reason in caught.value.message
    assert "a proxy compresses answers" in caught.value.hint


def test_status_is_judged_before_a_compressed_body():
    refused = gzip.compress(b'{"error": "revoked", "code": "AUTH_REQUIRED"}')
    answers = [
        _answer(401, "gzip", refused),
        _answer(503, "gzip", gzip.compress(b"<html>"), "Retry-After: 7"),
        _answer(503, "br", b"\x0b", "Retry-After: 7"),
    ]
    found = []
    for answer in answers:
        with (
            RawServer(lambda _, answer=answer: answer) as server,
            transport(server.url, timeout=10.0) as opened,
            pytest.raises(HttpError) as caught,
        ):
            opened.get("x")
        error = caught.value
        found.append((error.status, error.code, error.from_api, error.retry_after))
    assert found == [
        (401, "AUTH_REQUIRED", True, None),
        (503, "http_error", False, 7.0),
        (503, "http_error", False, 7.0),
    ]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405])
def test_stream_is_opened_again_after_the_page_of_a_proxy(status, monkeypatch):
    monkeypatch.setattr(event_stream, "FIRST_PAUSE", 0.01)
    event = b"event: status\ndata: {}\n\n"
    page = f"HTTP/1.1 {status} X\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"
    stream = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    answers = iter([page.encode()])
    heard = threading.Event()
    with (
        RawServer(lambda _: next(answers, stream + event)) as server,
        transport(server.url, timeout=10.0) as opened,
    ):
        listener = event_stream.Listener(opened, "x", lambda message: message and heard.set())
        listener.start()
        assert heard.wait(LONG_BEFORE)
        listener.close()
