"""Reads one HTTP/1.1 response and drops its body, whatever the target sends and how fast.

Written for measuring: the read ends with the last byte of the final response, memory is bounded,
and no target can keep the processor from the other requests.
"""

import re
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Protocol

import gevent

_TURN = 64  # steps in a row; the others have waited a tenth of a millisecond by then
_AT_ONCE = 4096.0  # steps that a response may take as quickly as it can: 13 MiB, or 2,048 chunks
_PER_SECOND = 250_000.0  # steps of all larger responses together: 800 MB/s


class CpuBudget:
    """The processor time of one response, in steps of one or two microseconds.

    Reading waits only for a target that is slower than this process, and only waiting lets other
    greenlets run. So a response yields now and then, and a very large one that comes very quickly
    is read more slowly: all of those together leave half of the processor to the others.
    """

    _large: ClassVar[int] = 0  # responses under way that have used up what they may take at once

    def __init__(self) -> None:
        self._in_a_row = 0
        self._left = _AT_ONCE
        self._since = time.monotonic()
        self._is_large = False

    def spend(self, steps: int) -> None:
        """Account for work, and yield to other greenlets after enough in a row."""
        self._in_a_row += steps
        if self._in_a_row >= _TURN:
            self._left -= self._in_a_row
            self._in_a_row = 0
            gevent.sleep(self._break())

    def end(self) -> None:
        if self._is_large:
            CpuBudget._large -= 1

    def _break(self) -> float:
        """Seconds until this response may continue."""
        now, since = time.monotonic(), self._since
        self._since = now
        pace = _PER_SECOND / max(1, CpuBudget._large)
        self._left = min(_AT_ONCE, self._left + (now - since) * pace)
        if self._left >= 0:
            return 0
        if not self._is_large:
            self._is_large = True
            CpuBudget._large += 1
        return -self._left / pace


MAX_INTERIM = 1000
"""Responses 1xx before the final one."""

MAX_HEAD = 128 * 1024
"""Bytes of a head, and of trailers."""

MAX_FIELDS = 1000
"""Lines of a head, and of trailers."""

_READ_SIZE = 64 * 1024
_MAX_SIZE_LINE = 4096  # bytes that announce a chunk
_READ_STEPS = 4  # what a read costs in steps of a turn, and one more for each 4 KiB
_HEAD_STEPS = 4
_CHUNK_STEPS = 2

_END_OF_HEAD = re.compile(rb"\n\r?\n")  # begins with a literal, which is searched for quickly
FOLD = re.compile(rb"\r?\n[ \t]+")
"""The line break within a folded field; what began with blanks would be searched for too long."""
_HEAD = re.compile(
    rb"HTTP/(1\.[01]|2\.0) ([1-9]\d\d)(?: [^\r\n\0]*)?"
    rb"(?:\r?\n[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[^\r\n\0]*)*"
)
_FRAMING = re.compile(
    rb"\n(content-length|transfer-encoding|connection):[ \t]*([^\r\n]*)", re.IGNORECASE
)
_LENGTH = re.compile(rb"(\d{1,18})[ \t]*")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?")
_NO_CONTENT = {204, 304}
_SWITCHING_PROTOCOLS = 101
_KNOWN_HEADS = 16  # of up to `MAX_HEAD` each


class HTTPParseError(Exception):
    """The bytes are not an HTTP/1.1 response, or end in the middle of one."""


class HTTPConnectionClosed(HTTPParseError):
    """The connection was closed before the first byte of a response."""


class TooManyInterimResponses(HTTPParseError):
    """The final response did not come after `MAX_INTERIM` others."""


class SpeaksHTTP2(HTTPParseError):
    """The response begins with a frame of HTTP/2."""


class ProtocolSwitched(HTTPParseError):
    """Status 101: what follows is not HTTP, and there is no final response."""


class ResponseHeadTooLarge(HTTPParseError):
    """The status line and header fields are more than `MAX_HEAD` or `MAX_FIELDS`."""


class TrailersTooLarge(HTTPParseError):
    """The fields after a chunked body are more than `MAX_HEAD` or `MAX_FIELDS`."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a status line and its fields say about the body and the connection."""

    status: int
    codings: bytes
    lengths: tuple[bytes, ...]
    is_kept: bool


@lru_cache(_KNOWN_HEADS)  # most of a target's answers have the head of the one before
def parsed_head(head: bytes) -> Head:
    if head.count(b"\n") > MAX_FIELDS:
        raise ResponseHeadTooLarge
    if b"\n " in head or b"\n\t" in head:  # a folded field, legal to read
        head = FOLD.sub(b" ", head)
    match = _HEAD.fullmatch(head)
    if not match:
        raise HTTPParseError("the head of the response is malformed")
    fields = [(name.lower(), value) for name, value in _FRAMING.findall(head)]
    codings = b",".join(value for name, value in fields if name == b"transfer-encoding")
    lengths = tuple(value for name, value in fields if name == b"content-length")
    listed = b",".join(value for name, value in fields if name == b"connection").lower()
    options = [option.strip() for option in listed.split(b",")]
    is_kept = b"close" not in options if match[1] == b"1.1" else b"keep-alive" in options
    return Head(int(match[2]), codings.lower(), lengths, is_kept)


def _is_frame(data: bytearray) -> bool:
    """Whether it is the head of SETTINGS or GOAWAY of a connection, and not too long."""
    return len(data) >= 9 and data[0] == 0 and data[3] in (4, 7) and not any(data[5:9])


class ByteSource(Protocol):
    """A connection; empty bytes are its end."""

    def recv(self, size: int, /) -> bytes: ...


class Response:
    """The response to one request, read from `source` by `read`.

    `status`, `head`, `body_size` in bytes and `is_reusable` are known afterwards: whether the
    connection may carry another request. `has_body` is False for the answer to HEAD. `body` has the
    first `keep` bytes of the body; chunks are put together, other codings are left as they are.
    """

    def __init__(self, source: ByteSource, *, has_body: bool = True, keep: int = 0) -> None:
        self.status = 0
        self.head = b""
        self.body = bytearray()
        self.body_size = 0
        self.is_reusable = False
        self._keep = keep
        self._source = source
        self._has_body = has_body
        self._buffer = bytearray()
        self._has_begun = False
        self._budget = CpuBudget()
        self._read_steps = _READ_STEPS

    def read(self) -> int:
        """Read to the end of the final response and return its status code."""
        try:
            self._read()
        finally:
            self._budget.end()
        return self.status

    def _read(self) -> None:
        head = self._final_head()
        if head.lengths and (head.codings or len(head.lengths) > 1):
            raise HTTPParseError("the length of the body is contradictory")
        is_delimited = self._skip_body(head)
        self.is_reusable = is_delimited and head.is_kept and not self._buffer

    def _final_head(self) -> Head:
        for _ in range(MAX_INTERIM + 1):
            head = parsed_head(self._next_head())
            self.status = head.status
            if head.status == _SWITCHING_PROTOCOLS:
                raise ProtocolSwitched
            if head.status >= 200:
                return head
            self._budget.spend(_HEAD_STEPS)
        raise TooManyInterimResponses

    def _next_head(self) -> bytes:
        """Take a status line and its fields, without the empty line after them."""
        buffer, searched = self._buffer, 0
        if not buffer:
            self._receive_more()
        self._require_http()
        while not (match := _END_OF_HEAD.search(buffer, max(searched - 2, 0))):
            if len(buffer) > MAX_HEAD:
                raise ResponseHeadTooLarge
            searched = len(buffer)
            self._receive_more()
            self._require_http()
        end, beyond = match.span()
        del match  # it would lock the buffer
        self.head = bytes(buffer[:end]).removesuffix(b"\r")
        del buffer[:beyond]
        if end > MAX_HEAD:
            raise ResponseHeadTooLarge
        return self.head

    def _require_http(self) -> None:
        """Fail early for what is not HTTP; line ends before the head are allowed."""
        if self._buffer.startswith((b"\r", b"\n")):
            del self._buffer[: -len(self._buffer.lstrip(b"\r\n")) or None]
        if not b"HTTP/".startswith(self._buffer[:5]):
            raise SpeaksHTTP2 if _is_frame(self._buffer) else HTTPParseError("this is not HTTP/1.1")

    def _skip_body(self, head: Head) -> bool:
        """Skip the body; True if its end was marked by more than the end of the connection."""
        if not self._has_body or head.status in _NO_CONTENT:
            return True
        if head.codings:
            if head.codings.rpartition(b",")[2].strip() == b"chunked":
                self._skip_chunks()
                return True
        elif head.lengths:
            match = _LENGTH.fullmatch(head.lengths[0])
            if not match:
                raise HTTPParseError("the length of the body is malformed")
            self._skip(int(match[1]))
            return True
        self._add(self._buffer)
        while data := self._receive():
            self._add(data)
        return False

    def _skip(self, count: int) -> None:
        buffer = self._buffer
        if count <= len(buffer):
            self._add(buffer[:count])
            del buffer[:count]
            return
        count -= len(buffer)
        self._add(buffer)
        buffer.clear()
        while count > 0:
            data = self._receive()
            if not data:
                raise HTTPParseError("the connection was closed within the body")
            self._add(data[:count])
            buffer += data[count:]
            count -= len(data)

    def _add(self, data: bytes | bytearray) -> None:
        """Count a part of the body, and keep it if it is wanted."""
        self.body_size += len(data)
        if len(self.body) < self._keep:
            self.body += data[: self._keep - len(self.body)]

    def _skip_chunks(self) -> None:
        while size := self._chunk_size():
            self._skip(size)
            if self._line(_MAX_SIZE_LINE) != b"":
                raise HTTPParseError("a chunk is longer than announced")
        left = MAX_HEAD
        for _ in range(MAX_FIELDS):
            line = self._line(left)
            if line is None:
                raise TrailersTooLarge
            if not line:
                return
            left -= len(line)
        raise TrailersTooLarge

    def _chunk_size(self) -> int:
        self._budget.spend(_CHUNK_STEPS)
        match = _CHUNK_SIZE.fullmatch(self._line(_MAX_SIZE_LINE) or b"")
        if not match:
            raise HTTPParseError("the size of a chunk is malformed")
        return int(match[1], 16)

    def _line(self, most: int) -> bytes | None:
        """Take a line without its end; None if it is longer than `most`."""
        buffer, searched = self._buffer, 0
        while (end := buffer.find(b"\n", searched)) < 0:
            searched = len(buffer)
            if searched > most:
                return None
            self._receive_more()
        line = bytes(buffer[:end])
        del buffer[: end + 1]
        return line.removesuffix(b"\r") if end <= most + 1 else None

    def _receive_more(self) -> None:
        data = self._receive()
        if not data:
            raise HTTPParseError("the connection was closed before the end of the response")
        self._buffer += data

    def _receive(self) -> bytes:
        self._budget.spend(self._read_steps)
        try:
            data = self._source.recv(_READ_SIZE)
        except ConnectionResetError:
            if self._has_begun:
                raise
            data = b""
        if not data and not self._has_begun:
            raise HTTPConnectionClosed
        self._has_begun = True
        self._read_steps = _READ_STEPS + len(data) // 4096
        return data
