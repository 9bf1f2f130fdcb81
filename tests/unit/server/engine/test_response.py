"""One response, as the bytes of a target make it; where it ends, and whether the line is kept."""

import socket
import time
from collections.abc import Iterable, Iterator

import pytest

from tm_cli.server.engine.http1.response import (
    MAX_FIELDS,
    MAX_HEAD,
    MAX_INTERIM,
    HTTPConnectionClosed,
    HTTPParseError,
    ProtocolSwitched,
    Response,
    ResponseHeadTooLarge,
    TooManyInterimResponses,
    TrailersTooLarge,
    parsed_head,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
KEPT, CLOSED = True, False


class Pieces:
    """A connection on which exactly these pieces arrive, and then its end."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self.read = 0

    def recv(self, size: int, /) -> bytes:
        piece = next(self._pieces, b"")
        assert len(piece) <= size
        self.read += len(piece)
        return piece


def read(pieces: Iterable[bytes], *, has_body: bool = True) -> tuple[int, bool]:
    response = Response(Pieces(pieces), has_body=has_body)
    status = response.read()
    return status, response.is_reusable


def endless(start: bytes, more: bytes) -> Iterator[bytes]:
    yield start
    while True:
        yield more


def in_pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
@pytest.mark.parametrize(
    ("data", "status", "is_kept"),
    [
        pytest.param(OK, 200, KEPT, id="length"),
        pytest.param(b"\r\n" + OK, 200, KEPT, id="line-end-before-it"),
        pytest.param(OK.replace(b"\r\n", b"\n"), 200, KEPT, id="bare-line-feeds"),
        pytest.param(OK.replace(b" OK", b""), 200, KEPT, id="no-reason"),
        pytest.param(b"HTTP/1.1 404 No\r\ncontent-LENGTH:0\r\n\r\n", 404, KEPT, id="nothing"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", 204, KEPT, id="204"),
        pytest.param(b"HTTP/1.1 304 Same\r\nContent-Length: 9\r\n\r\n", 304, KEPT, id="304"),
        pytest.param(CHUNKED + b"0\r\n\r\n", 200, KEPT, id="no-chunk"),
        pytest.param(CHUNKED + b"5\r\nhello\r\n00\r\n\r\n", 200, KEPT, id="chunk"),
        pytest.param(CHUNKED + b"1;a=\r\nx\r\n1\r\ny\r\n0;b\r\n\r\n", 200, KEPT, id="extensions"),
        pytest.param(CHUNKED + b"1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\n", 200, KEPT, id="trailers"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nX: a,\r\n b,\r\n\tc\r\nContent-Length:\r\n 5\r\n\r\nhello",
            200,
            KEPT,
            id="folded",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\nto the end", 200, CLOSED, id="until-closed"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 1\r\n\r\na",
            200,
            CLOSED,
            id="close",
        ),
        pytest.param(OK.replace(b"1.1", b"1.0"), 200, CLOSED, id="1.0"),
        pytest.param(
            b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na",
            200,
            KEPT,
            id="1.0-kept",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n1\r\na", 200, CLOSED, id="coded"
        ),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, KEPT, id="100"),
        pytest.param(
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 7\r\n\r\n" * 3
            + b"HTTP/1.1 102 Processing\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"HTTP/1.1 199 X\r\nConnection: close\r\n\r\n"
            + OK,
            200,
            KEPT,
            id="interim-responses",
        ),
    ],
)
def test_a_response_ends_with_its_last_byte(
    data: bytes, status: int, is_kept: bool, size: int
) -> None:
    assert read(in_pieces(data, size)) == (status, is_kept)


def test_there_may_be_many_interim_responses() -> None:
    assert read([b"HTTP/1.1 103 E\r\n\r\n" * MAX_INTERIM, OK]) == (200, KEPT)


def test_nothing_is_awaited_beyond_the_last_byte() -> None:
    for data in (OK, CHUNKED + b"1\r\na\r\n0\r\n\r\n", b"HTTP/1.1 103 E\r\n\r\n" + OK):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.settimeout(5)
            theirs.sendall(data)
            response = Response(ours)
            assert (response.read(), response.is_reusable) == (200, True)


@pytest.mark.parametrize("head", [b"200 OK\r\nContent-Length: 5", b"404 No", b"204 X"])
def test_the_answer_to_head_has_no_body_whatever_it_announces(head: bytes) -> None:
    assert read([b"HTTP/1.1 " + head + b"\r\n\r\n"], has_body=False)[1] is KEPT


@pytest.mark.parametrize(
    "extra", [b"junk", b"\r\n", b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"]
)
@pytest.mark.parametrize(
    "answer",
    [
        OK,
        CHUNKED + b"1\r\na\r\n0\r\n\r\n",
        b"HTTP/1.1 204 X\r\n\r\n",
        b"HTTP/1.1 103 E\r\n\r\n" + OK,
    ],
)
def test_bytes_behind_a_complete_answer_cost_the_connection_and_not_the_answer(
    answer: bytes, extra: bytes
) -> None:
    status, is_kept = read([answer + extra])
    assert (status in (200, 204), is_kept) == (True, CLOSED)


def test_a_body_in_answer_to_head_costs_the_connection() -> None:
    assert read([OK], has_body=False) == (200, CLOSED)


@pytest.mark.parametrize("size", [1, 10_000])
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.9\r\n", id="another-protocol"),
        pytest.param(b"\x15\x03\x01\x00\x02\x02\x16", id="tls-alert"),
        pytest.param(b"HTTP/1.1  200 OK\r\n\r\n", id="two-blanks"),
        pytest.param(b"HTTP/1.1 20 OK\r\n\r\n", id="short-status"),
        pytest.param(b"HTTP/1.1 099 OK\r\n\r\n", id="status-below-100"),
        pytest.param(b"HTTP/3.1 200 OK\r\n\r\n", id="version"),
        pytest.param(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", id="no-colon"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", id="blank-in-a-name"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", id="nul"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", id="length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", id="negative"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n1", id="signed"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\n", id="huge"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", id="two-lengths"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            id="length-and-chunks",
        ),
        pytest.param(OK[:-1], id="body-cut"),
        pytest.param(OK[:20], id="head-cut"),
        pytest.param(CHUNKED + b"5\r\nhel", id="chunk-cut"),
        pytest.param(CHUNKED + b"5\r\nhello\r\n", id="no-last-chunk"),
        pytest.param(CHUNKED + b"0\r\nA: b\r\n", id="trailers-cut"),
        pytest.param(CHUNKED + b"5\r\nhello!\r\n0\r\n\r\n", id="chunk-too-long"),
        pytest.param(CHUNKED + b"1\r\n" + b"a" * 9000 + b"\r\n0\r\n\r\n", id="much-too-long"),
        pytest.param(CHUNKED + b"\r\n", id="no-size"),
        pytest.param(CHUNKED + b"0x1\r\na\r\n0\r\n\r\n", id="size-of-another-kind"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\n\r\n", id="nothing-after-an-interim-one"),
    ],
)
def test_what_is_no_whole_response_is_an_error(data: bytes, size: int) -> None:
    with pytest.raises(HTTPParseError) as failure:
        read(in_pieces(data, size))
    assert failure.type is HTTPParseError


def test_no_byte_at_all_is_distinguished_from_half_a_response() -> None:
    with pytest.raises(HTTPConnectionClosed):
        read([])


def test_switching_protocols_is_an_error() -> None:
    with pytest.raises(ProtocolSwitched):
        read([b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + OK])


@pytest.mark.parametrize(
    ("start", "more", "error"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 9, ResponseHeadTooLarge, id="lines"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"X: \r\n" * 9999, ResponseHeadTooLarge, id="packets"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: ", b"a" * 999, ResponseHeadTooLarge, id="line"),
        pytest.param(b"HTTP/1.1 200 ", b"a" * 999, ResponseHeadTooLarge, id="reason"),
        pytest.param(b"", b"HTTP/1.1 103 E\r\n\r\n", TooManyInterimResponses, id="interim"),
        pytest.param(
            b"HTTP/1.1 103 E\r\n", b"X-A: b\r\n" * 99, ResponseHeadTooLarge, id="interim-head"
        ),
        pytest.param(CHUNKED + b"0\r\n", b"X-A: b\r\n" * 9, TrailersTooLarge, id="trailers"),
        pytest.param(CHUNKED + b"0\r\nA: ", b"a" * 999, TrailersTooLarge, id="trailer"),
        pytest.param(CHUNKED + b"1;", b"a" * 999, HTTPParseError, id="extension"),
        pytest.param(CHUNKED, b"0" * 999, HTTPParseError, id="size"),
    ],
)
def test_what_never_ends_is_given_up(
    start: bytes, more: bytes, error: type[HTTPParseError]
) -> None:
    pieces = Pieces(endless(start, more) if start else endless(more, more))
    with pytest.raises(error) as failure:
        Response(pieces).read()
    assert failure.type is error
    assert pieces.read < 2 * MAX_HEAD


def test_a_head_may_be_large() -> None:
    fields = b"".join(b"X-%d: %s\r\n" % (at, b"a" * 100) for at in range(MAX_FIELDS - 10))
    assert read(in_pieces(OK.replace(b"\r\n\r\n", b"\r\n" + fields + b"\r\n"), 65536))[0] == 200


def test_a_connection_that_is_reset_before_the_first_byte_was_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
        ours.sendall(b"what nobody reads makes closing a reset")
        theirs.close()
        with ours, pytest.raises(HTTPConnectionClosed):
            Response(ours).read()


def test_a_compressed_body_is_dropped_as_it_is() -> None:
    bomb = b"\x1f\x8b" + bytes(10)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    assert read([head + bomb]) == (200, KEPT)


BODIES = [
    pytest.param(OK, id="length"),
    pytest.param(CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\nA: b\r\n\r\n", id="chunks"),
    pytest.param(b"HTTP/1.1 200 OK\r\n\r\nhello", id="until-closed"),
    pytest.param(b"HTTP/1.1 103 E\r\nX: y\r\n\r\n" + OK + b"junk", id="between-others"),
]


@pytest.mark.parametrize("size", [1, 3, 10_000])
@pytest.mark.parametrize("data", BODIES)
@pytest.mark.parametrize("keep", [0, 3, 5, 99])
def test_so_much_of_the_body_is_kept_as_is_wanted(data: bytes, size: int, keep: int) -> None:
    response = Response(Pieces(in_pieces(data, size)), keep=keep)
    response.read()
    assert (response.body, response.body_size) == (b"hello"[:keep], 5)


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_the_head_of_the_final_response_is_kept(line_end: bytes) -> None:
    data = (b"HTTP/1.1 103 E\r\nX: y\r\n\r\n" + OK).replace(b"\r\n", line_end)
    response = Response(Pieces(in_pieces(data, 7)))
    response.read()
    assert response.head == b"HTTP/1.1 200 OK" + line_end + b"Content-Length: 5"


def test_an_empty_line_of_the_body_is_no_end_of_the_head() -> None:
    body = b"a\r\n\r\nb"
    assert read([b"HTTP/1.1 200 OK\nContent-Length: 6\n\n" + body]) == (200, KEPT)


def test_blanks_in_a_head_cannot_hold_up_the_load() -> None:
    began = time.process_time()
    assert parsed_head(b"HTTP/1.1 200 OK\r\nX: " + b" " * 30_000 + b"x\r\n y").status == 200
    assert time.process_time() - began < 1
