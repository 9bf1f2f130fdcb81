"""One HTTP/2 connection, whose streams carry the requests of many senders at once.

`h2` knows the protocol; here are the socket, the waiting, and the bounds on what a target may do.
"""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import gevent
from gevent.event import Event
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    InformationalResponseReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from tm_cli.server.engine.http1.response import (
    MAX_INTERIM,
    CpuBudget,
    HTTPConnectionClosed,
    HTTPParseError,
    TooManyInterimResponses,
)

MOST_STREAMS = 100
"""Requests at once on one connection; a target may allow fewer."""

_READ_SIZE = 64 * 1024
_STREAM_WINDOW = 1024 * 1024  # bytes of a body that may come before they are acknowledged
_CONNECTION_WINDOW = 16 * 1024 * 1024
_MOST_UNSENT = 4 * 1024 * 1024  # bytes that wait because the target does not read
_HEAD_LENGTH = 9  # of a frame
_LARGEST_FRAME = 16_384
_GOAWAY = 7
_LAST_STREAM = 2**31 - 1
_STATUS = re.compile(rb"[2-9]\d\d")
_EVENT_STEPS = 10  # what an event costs in steps of the processor's budget

Headers = Sequence[tuple[str, str]]


class HTTP2ProtocolError(Exception):
    """What the target sends is not HTTP/2, or breaks its rules."""


class NoHTTP2(Exception):
    """The target did not choose HTTP/2 during the TLS handshake."""


class EndedByTarget(Exception):
    """The target ended a stream or the connection with an error code; `name` has both."""

    def __init__(self, what: str, code: int) -> None:
        known = code in ErrorCodes.__members__.values()
        self.name = f"{what} {ErrorCodes(code).name if known else 'UNKNOWN'}"
        super().__init__(self.name)


class Unprocessed(Exception):
    """The target says that it has not looked at the request, so that it may be sent again."""


@dataclass(slots=True)
class Stream:
    """One request and its answer; `over` is set when it is complete or has failed."""

    status: int = 0
    body_size: int = 0
    interim: int = 0
    error: Exception | None = None
    over: Event = field(default_factory=Event)

    def fail(self, error: Exception) -> None:
        if not self.over.is_set():
            self.error = error
            self.over.set()


class Http2Connection:
    """A connection over a socket that is connected; `address` is where to."""

    def __init__(self, sock: Any, address: str, on_end: Callable[[], None]) -> None:
        self.address = address
        self._sock = sock
        self._on_end = on_end
        self._h2 = H2Connection(
            H2Configuration(client_side=True, header_encoding=None, validate_outbound_headers=False)
        )
        self._h2.local_settings = Settings(
            client=True,
            initial_values={
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.INITIAL_WINDOW_SIZE: _STREAM_WINDOW,
                SettingCodes.MAX_FRAME_SIZE: _LARGEST_FRAME,
            },
        )
        self._streams: dict[int, Stream] = {}
        self._received = bytearray()  # the beginning of a frame
        self._unsent = bytearray()
        self._has_unsent = Event()
        self._may_send_more = Event()
        self._has_settings = Event()
        self._takes_requests = True
        self._is_closed = False
        self._answers = 0
        self._failure: Exception | None = None
        self._idle_since = time.monotonic()
        self._greenlets: list[Any] = []

    def open(self) -> None:
        """Greet the target and wait for its settings; the caller limits the time."""
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(_CONNECTION_WINDOW)
        self._greenlets = [gevent.spawn(self._read_all), gevent.spawn(self._write_all)]
        self._flush()
        try:
            self._has_settings.wait()
        except BaseException:
            self._end(TimeoutError())
            raise
        if self._failure:
            raise self._failure

    def close(self) -> None:
        self._end(HTTPConnectionClosed())

    @property
    def is_usable(self) -> bool:
        return self._takes_requests and not self._is_closed

    @property
    def has_room(self) -> bool:
        most = min(MOST_STREAMS, self._h2.remote_settings.max_concurrent_streams)
        return self.is_usable and len(self._streams) < most

    @property
    def idle_for(self) -> float:
        """Seconds since the last request ended, 0 while there are some."""
        return 0.0 if self._streams else time.monotonic() - self._idle_since

    def exchange(self, headers: Headers, body: bytes) -> Stream:
        """Send a request and wait for the end of its answer; raises what went wrong."""
        number = self._h2.get_next_available_stream_id()
        self._takes_requests &= number < _LAST_STREAM - 2
        stream, answers = Stream(), self._answers
        self._streams[number] = stream
        try:
            self._h2.send_headers(number, headers, end_stream=not body)
            self._flush()
            is_sent = self._send_body(number, stream, body)
            stream.over.wait()
            if not is_sent:  # else the stream would stay half open, and count as one of few
                self._cancel(number)
        finally:
            del self._streams[number]
            self._idle_since = time.monotonic()
            if not stream.over.is_set():
                self._cancel(number)
                self._takes_requests &= answers < self._answers  # or nothing is there any more
            if not self._takes_requests and not self._streams:
                self.close()
        if stream.error:
            raise stream.error
        return stream

    def _send_body(self, number: int, stream: Stream, body: bytes) -> bool:
        """Send as much at a time as the target and the socket take; False if all is over before."""
        while body and not stream.over.is_set():
            room = self._h2.local_flow_control_window(number)
            room = min(room, self._h2.max_outbound_frame_size)
            if room <= 0 or len(self._unsent) > _STREAM_WINDOW:
                self._may_send_more.clear()
                self._may_send_more.wait()
                continue
            self._h2.send_data(number, body[:room], end_stream=len(body) <= room)
            self._flush()
            body = body[room:]
        return not body

    def _cancel(self, number: int) -> None:
        """Tell the target that the answer is not waited for."""
        if self._is_closed:
            return
        try:
            self._h2.reset_stream(number, ErrorCodes.CANCEL)
        except ProtocolError:  # it has just ended
            return
        self._flush()

    def _flush(self) -> None:
        self._unsent += self._h2.data_to_send()
        if len(self._unsent) > _MOST_UNSENT:
            self._end(TimeoutError())
        self._has_unsent.set()

    def _write_all(self) -> None:
        try:
            while True:
                self._has_unsent.wait()
                self._has_unsent.clear()
                while self._unsent:
                    data, self._unsent = bytes(self._unsent), bytearray()
                    self._sock.sendall(data)
                self._may_send_more.set()
        except Exception as error:
            self._end(error)

    def _read_all(self) -> None:
        budget = CpuBudget()
        try:
            while data := self._sock.recv(_READ_SIZE):
                for event in self._h2.receive_data(self._without_goaway(data)):
                    budget.spend(_EVENT_STEPS)
                    self._on_event(event)
                self._flush()
            self._end(HTTPConnectionClosed())
        except ProtocolError:
            self._end(HTTP2ProtocolError())
        except Exception as error:
            self._end(error)
        finally:
            budget.end()

    def _without_goaway(self, data: bytes) -> bytes:
        """Take out the frames GOAWAY, after which `h2` would not read the answers under way."""
        received, kept = self._received, bytearray()
        received += data
        while len(received) >= _HEAD_LENGTH:
            length = int.from_bytes(received[:3])
            if length > _LARGEST_FRAME:
                raise HTTP2ProtocolError
            end = _HEAD_LENGTH + length
            if len(received) < end:
                break
            if received[3] == _GOAWAY and length >= 8:
                self._on_goaway(bytes(received[_HEAD_LENGTH:end]))
            else:
                kept += received[:end]
            del received[:end]
        return bytes(kept)

    def _on_goaway(self, payload: bytes) -> None:
        """Requests after the last one that the target will answer may be sent elsewhere."""
        last = int.from_bytes(payload[:4]) & _LAST_STREAM
        code = int.from_bytes(payload[4:8])
        self._takes_requests = False
        self._failure = EndedByTarget("GoAway", code) if code else self._failure
        for number, stream in self._streams.items():
            if number > last:
                stream.fail(Unprocessed())
        if not self._streams:
            gevent.spawn(self.close)  # not by the reader itself

    def _on_event(self, event: object) -> None:
        if isinstance(event, RemoteSettingsChanged):
            self._has_settings.set()
            self._may_send_more.set()
        elif isinstance(event, WindowUpdated):
            self._may_send_more.set()
        elif isinstance(event, DataReceived):
            self._on_data(event)
        elif stream := self._streams.get(getattr(event, "stream_id", None) or 0):
            self._on_answer(stream, event)

    def _on_data(self, event: DataReceived) -> None:
        if event.flow_controlled_length:
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        if stream := self._streams.get(event.stream_id):
            stream.body_size += len(event.data)

    def _on_answer(self, stream: Stream, event: object) -> None:
        if isinstance(event, ResponseReceived):
            status = dict(event.headers)[b":status"]
            if not _STATUS.fullmatch(status):
                raise HTTP2ProtocolError
            stream.status = int(status)
        elif isinstance(event, InformationalResponseReceived):
            stream.interim += 1
            if stream.interim > MAX_INTERIM:
                stream.fail(TooManyInterimResponses())
        elif isinstance(event, StreamEnded):
            self._answers += 1
            stream.over.set()
            self._may_send_more.set()
        elif isinstance(event, StreamReset):
            stream.fail(_reset(stream, int(event.error_code)))
            self._may_send_more.set()

    def _end(self, error: Exception) -> None:
        """Fail all requests under way, those that have been answered in part by another name."""
        if self._is_closed:
            return
        self._is_closed, self._takes_requests = True, False
        self._failure = self._failure or error
        for stream in self._streams.values():
            is_cut = stream.status and isinstance(self._failure, HTTPConnectionClosed)
            stream.fail(HTTPParseError() if is_cut else self._failure)
        for event in (self._has_settings, self._may_send_more):
            event.set()
        self._on_end()
        others = [each for each in self._greenlets if each is not gevent.getcurrent()]
        gevent.killall(others, block=False)


def _reset(stream: Stream, code: int) -> Exception:
    if code == ErrorCodes.REFUSED_STREAM and not stream.status:
        return Unprocessed()
    return EndedByTarget("StreamReset", code)
