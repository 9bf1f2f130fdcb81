"""Sends the requests of a job over HTTP/2."""

from collections import Counter
from collections.abc import Mapping
from functools import partial

from gevent import Timeout
from gevent.lock import Semaphore

from tm_cli import __version__
from tm_cli.server.engine.http1.connections import (
    REPEATABLE,
    Connection,
    ConnectionPool,
    was_closed_idle,
)
from tm_cli.server.engine.http1.response import HTTPConnectionClosed
from tm_cli.server.engine.http2.connection import (
    EndedByTarget,
    Headers,
    Http2Connection,
    NoHTTP2,
    Unprocessed,
)
from tm_cli.server.engine.job import EngineJob, RequestTarget
from tm_cli.server.engine.templates import BadValue, Template, in_header, in_url
from tm_cli.values.failures import UNEXPECTED_STATUS

_WITH_CONTENT = {"POST", "PUT", "PATCH"}
_OF_A_CONNECTION = {"host", "connection", "keep-alive", "proxy-connection", "upgrade", "te"}
"""Headers of HTTP/1.1 alone; that of the host has a name of its own."""
_ATTEMPTS = 10  # of a request that the target has not looked at


class Http2Request:
    """A request whose macros are filled in."""

    def __init__(self, job: EngineJob, target: RequestTarget) -> None:
        given = {name.lower(): value for name, value in job.headers}
        self._start = [
            (":method", job.method),
            (":scheme", "https" if target.is_tls else "http"),
            (":authority", given.get("host", target.authority)),
        ]
        own = {} if "user-agent" in given else {"user-agent": f"tm/{__version__}"}
        fields = [*own.items(), *((name.lower(), value) for name, value in job.headers)]
        self._path = Template.compile(target.request_target)
        self._fields = [
            (name, Template.compile(value))
            for name, value in fields
            if name not in _OF_A_CONNECTION
        ]
        self._body = Template.compile(job.body or "")
        self._has_content = bool(job.body) or job.method in _WITH_CONTENT
        self.names = self._path.names.union(
            self._body.names, *(value.names for _, value in self._fields)
        )

    def render(self, values: Mapping[str, str]) -> tuple[Headers, bytes]:
        """The headers and the body with these values; raises BadValue."""
        try:
            body = self._body.render(values).encode()
        except UnicodeEncodeError as error:  # a lone surrogate
            raise BadValue from error
        headers = [*self._start, (":path", self._path.render(values, in_url))]
        headers += [(name, value.render(values, in_header)) for name, value in self._fields]
        if self._has_content:
            headers.append(("content-length", str(len(body))))
        return headers, body


class Http2Client:
    """Sends over as few connections as the target allows, at least one to each of its addresses.

    TLS is negotiated for HTTP/2 alone; without TLS the target must know (RFC 9113, section 3.3). A
    request that the target has refused unread is sent again, as one of a safe method is on a
    connection that was idle and then closed; `repeated` says how often.
    """

    def __init__(self, job: EngineJob, target: RequestTarget) -> None:
        self._request = Http2Request(job, target)
        self._variables = job.variables
        is_constant = not self._request.names & self._variables.names
        self._constant = self._request.render({}) if is_constant else None
        self._may_repeat = job.method in REPEATABLE
        self._timeout = job.timeout
        self._expected = job.expect_status
        self._is_tls = target.is_tls
        self._least = max(1, len(set(target.addresses)))
        self._connections: list[Http2Connection] = []
        self._opening = Semaphore()
        self._turn = job.share.index
        self._sent = 0
        self._by_address: Counter[str] = Counter()
        self.repeated = 0
        self.bodies: Counter[str] = Counter()
        self.error: Exception | None = None
        self._pool = ConnectionPool.for_job(
            job, target, certificate=job.client_certificate, protocol="h2"
        )

    @property
    def requests(self) -> dict[str, int]:
        """The requests by address, also of those that got none."""
        return {name: self._by_address[name] for name in self._pool.requests}

    def send(self, number: int = 0) -> int | str:
        """Send the request; return the status code, or the name of the error."""
        return self._attempt(number, is_sent=True)

    def connect(self) -> int | str:
        """Connect without sending a request; return 0, or the name of the error."""
        return self._attempt(0, is_sent=False)

    def close(self) -> None:
        for connection in tuple(self._connections):
            connection.close()
        self._pool.close()

    def _attempt(self, number: int, *, is_sent: bool) -> int | str:
        try:
            with Timeout(self._timeout):
                return self._send(number) if is_sent else self._connected()
        except Timeout:
            error: Exception = TimeoutError()
        except Exception as problem:  # whatever it is, it is a result
            error = problem
        self.error = error
        return error.name if isinstance(error, EndedByTarget) else type(error).__name__

    def _connected(self) -> int:
        self._take()
        return 0

    def _send(self, number: int) -> int | str:
        headers, body = self._constant or self._request.render(self._variables.of(number))
        self._sent += 1
        for left in reversed(range(_ATTEMPTS)):
            connection = self._take()
            idle_for = connection.idle_for
            self._by_address[connection.address] += 1
            try:
                stream = connection.exchange(headers, body)
            except Unprocessed:
                if not left:
                    raise
            except HTTPConnectionClosed:
                if not (left and self._may_repeat and self._was_closed_idle(idle_for)):
                    raise
            else:
                return self._result(stream.status, stream.body_size)
            self.repeated += 1
        raise AssertionError("the last attempt returns or raises")

    def _was_closed_idle(self, idle_for: float) -> bool:
        return was_closed_idle(idle_for, self.repeated, self._sent)

    def _result(self, status: int, body_size: int) -> int | str:
        if self._expected and status < 400 and status not in self._expected:
            return f"{UNEXPECTED_STATUS} {status}"
        self.bodies[str(status)] += body_size
        return status

    def _take(self) -> Http2Connection:
        """A connection with room, in turn; a new one where there is none, or too few."""
        connection = self._with_room()
        if connection and (self._has_enough or self._opening.locked()):
            return connection
        with self._opening:  # one at a time, or all senders would open one
            connection = self._with_room()
            return connection if connection and self._has_enough else self._open()

    @property
    def _has_enough(self) -> bool:
        return len(self._connections) >= self._least

    def _with_room(self) -> Http2Connection | None:
        self._connections = [each for each in self._connections if each.is_usable]
        found = [each for each in self._connections if each.has_room]
        self._turn += 1
        return found[self._turn % len(found)] if found else None

    def _open(self) -> Http2Connection:
        pooled = self._pool.take()
        if self._is_tls and pooled.sock.selected_alpn_protocol() != "h2":
            self._pool.drop(pooled)
            raise NoHTTP2
        connection = Http2Connection(pooled.sock, pooled.address.name, self._dropping(pooled))
        connection.open()
        self._connections.append(connection)
        return connection

    def _dropping(self, pooled: Connection) -> partial[None]:
        return partial(self._pool.drop, pooled)
