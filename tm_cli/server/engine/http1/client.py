"""Sends the request of a job that has one, or one for each row of its data."""

from collections import Counter
from collections.abc import Callable
from functools import partial

from gevent import Timeout
from gevent.lock import RLock

from tm_cli.server.engine.http1.connections import REPEATABLE, Connection
from tm_cli.server.engine.http1.requests import RequestTemplate
from tm_cli.server.engine.http1.response import HTTPConnectionClosed, Response, SpeaksHTTP2
from tm_cli.server.engine.http1.site import Site
from tm_cli.server.engine.http2.client import Http2Client
from tm_cli.server.engine.job import EngineJob, RequestTarget
from tm_cli.server.engine.templates import BadValue
from tm_cli.server.engine.time_limit import TimeLimit
from tm_cli.values.failures import UNEXPECTED_STATUS

_UPGRADE_REQUIRED = 426
_CLEAR_SIGNS = {SpeaksHTTP2.__name__, _UPGRADE_REQUIRED}
_SIGNS_OF_HTTP2 = {*_CLEAR_SIGNS, "SSLError", HTTPConnectionClosed.__name__}
"""The first results of a target that may speak HTTP/2 alone, the last two under TLS."""


class TargetClient:
    """Sends the job's request over kept-alive connections, the most recently used one first.

    A target that speaks HTTP/2 alone, or a job that wants it, gets HTTP/2 instead.

    TLS certificates are verified, redirects are not followed, bodies are read and dropped without
    being decoded. Proxy variables of the environment are ignored: load belongs on the target.

    A target may close an idle connection just as a request is sent. RFC 9112, section 9.3.1, lets a
    client send such a request again. That is done once for a safe method when no byte came back,
    the time counts, and `repeated` says how often. `bodies` are the bytes of all bodies by status.
    """

    def __init__(self, job: EngineJob, target: RequestTarget) -> None:
        self._job, self._target = job, target
        self._http2 = Http2Client(job, target) if job.http_version == "2" else None
        self._switching = RLock()
        self._has_asked = bool(job.http_version)  # whether the target speaks HTTP/2
        self._request = RequestTemplate(job.method, target, job.headers, job.body)
        self._variables = job.variables
        is_constant = not self._request.names & self._variables.names
        self._send_constant = partial(self._send, self._request.render()) if is_constant else None
        self._has_body = job.method != "HEAD"
        self._may_repeat = job.method in REPEATABLE
        self._time_limit = TimeLimit(job.timeout)
        self._expected = job.expect_status
        self.bodies: Counter[str] = Counter()
        self.error: Exception | None = None
        self._site = Site(job, target, is_target=True)

    @property
    def repeated(self) -> int:
        return self._http2.repeated if self._http2 else self._site.repeated

    @property
    def requests(self) -> dict[str, int]:
        """The requests by address, also of those that got none."""
        counts = self._site.pool.requests
        for name, count in self._http2.requests.items() if self._http2 else ():
            counts[name] = counts.get(name, 0) + count
        return counts

    def send(self, number: int = 0) -> int | str:
        """Send the request; return the status code, or the name of the error."""
        if self._http2:
            return self._over_http2(self._http2, number)
        result = self._over_http1(number)
        if result in _SIGNS_OF_HTTP2 and (http2 := self._switched(result)):
            return self._over_http2(http2, number)
        return result

    def connect(self) -> int | str:
        """Connect without sending a request; return 0, or the name of the error."""
        if self._http2:
            result = self._http2.connect()
            self.error = self._http2.error
            return result
        result = self._attempt(self._connect)
        return 0 if result in _SIGNS_OF_HTTP2 and self._switched(result) else result

    def close(self) -> None:
        self._site.pool.close()
        if self._http2:
            self._http2.close()

    @property
    def is_http2(self) -> bool:
        return self._http2 is not None

    def _over_http1(self, number: int) -> int | str:
        if self._send_constant:
            return self._attempt(self._send_constant)
        try:
            request = self._request.render(self._variables.of(number))
        except BadValue as error:
            self.error = error
            return BadValue.__name__
        return self._attempt(partial(self._send, request))

    def _over_http2(self, http2: Http2Client, number: int) -> int | str:
        result = http2.send(number)
        self.bodies, self.error = http2.bodies, http2.error
        return result

    def _switched(self, sign: int | str) -> Http2Client | None:
        """The client for HTTP/2 of a target that has answered nothing else and speaks it."""
        if not (self._target.is_tls or sign in _CLEAR_SIGNS):
            return None
        with self._switching:  # the first requests may all end up here
            if self._has_asked or self.bodies.keys() - {str(_UPGRADE_REQUIRED)}:
                return self._http2
            self._has_asked = True
            http2 = Http2Client(self._job, self._target)
            if isinstance(http2.connect(), int):
                self._http2 = http2
            else:
                http2.close()
            return self._http2

    def _attempt(self, work: Callable[[], int | str]) -> int | str:
        try:
            with self._time_limit:
                return work()
        except Timeout:
            self.error = TimeoutError()
        except Exception as error:  # whatever it is, it is a result
            self.error = error
        return type(self.error).__name__

    def _connect(self) -> int:
        self._site.pool.give_back(self._site.pool.take())
        return 0

    def _send(self, request: bytes) -> int | str:
        response = self._site.exchange(request, self._response, may_repeat=self._may_repeat)
        status = response.status
        if self._expected and status < 400 and status not in self._expected:
            return f"{UNEXPECTED_STATUS} {status}"
        self.bodies[str(status)] += response.body_size
        return status

    def _response(self, connection: Connection) -> Response:
        return Response(connection, has_body=self._has_body)
