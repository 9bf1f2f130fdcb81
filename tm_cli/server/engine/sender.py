"""Queues due requests between the dispatcher and the slots, which send them to the target."""

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

from gevent import Timeout

from tm_cli import __version__
from tm_cli.server.engine.connections import ConnectionPool, PooledConnection
from tm_cli.server.engine.job import EngineJob, RequestTarget
from tm_cli.server.engine.played import Played
from tm_cli.server.engine.recorder import OpenBucket, Recorder
from tm_cli.server.engine.response import HTTPConnectionClosed, Response
from tm_cli.values.failures import UNEXPECTED_STATUS

Due = tuple[OpenBucket, float]
"""Where a request counts, and the monotonic instant at which it is due."""


class DueQueue(Protocol):
    """What the sender needs of a queue; `get` waits."""

    def put(self, item: Due) -> object: ...
    def get(self) -> Due: ...
    def empty(self) -> bool: ...


class Sender:
    """Queues what is due, and lets any number of slots send it.

    A request that found no slot for longer than `patience` seconds is given up: sending it later
    would add a burst that was not planned. It counts as unsent.

    Each side has a queue, a `send` and slots of its own, so that none has to wait for the other.
    """

    def __init__(
        self,
        queues: Sequence[DueQueue],
        send: Sequence[Callable[[], int | str | Played]],
        recorder: Recorder,
        *,
        monotonic: Callable[[], float],
        patience: float,
    ) -> None:
        self._queues = queues
        self._sides = itertools.cycle(range(len(queues)))
        self._send = send
        self._recorder = recorder
        self._monotonic = monotonic
        self._patience = patience

    @property
    def is_idle(self) -> bool:
        return self._recorder.in_flight == 0 and all(queue.empty() for queue in self._queues)

    def hand_over(self, bucket: OpenBucket, due: float, now: float) -> None:
        self._recorder.window.lags.append(now - due)
        self._queues[bucket.side].put((bucket, due))

    def serve(self) -> None:
        """Run one slot: send queued requests one after the other, forever."""
        queue = self._queues[next(self._sides)]
        while True:
            self.serve_one(*queue.get())

    def serve_one(self, bucket: OpenBucket, due: float) -> None:
        start = self._monotonic()
        if start - due > self._patience:
            self._recorder.gave_up(bucket)
            return
        self._recorder.began(bucket, due, start)
        result = self._send[bucket.side]()
        self._recorder.ended(bucket, due, start, self._monotonic(), result)

    def give_up_waiting(self) -> None:
        for queue in self._queues:
            while not queue.empty():
                bucket, _ = queue.get()
                self._recorder.gave_up(bucket)


_WITH_CONTENT = {"POST", "PUT", "PATCH"}
_REPEATABLE = {"GET", "HEAD", "OPTIONS"}
_IDLE = 0.5  # seconds after which a connection counts as idle
_REPEATED_SHARE = 0.05  # of all requests; more is not explained by connections that were idle


class TargetClient:
    """Sends the job's request over kept-alive connections, the most recently used one first.

    TLS certificates are verified, redirects are not followed, bodies are read and dropped without
    being decoded. Proxy variables of the environment are ignored: load belongs on the target.

    A target may close an idle connection just as a request is sent. RFC 9112, section 9.3.1, lets a
    client send such a request again. That is done once for a safe method when no byte came back,
    the time counts, and `repeated` says how often. `bodies` are the bytes of all bodies by status.
    """

    def __init__(self, job: EngineJob, target: RequestTarget) -> None:
        self._request = _request(job, target)
        self._has_body = job.method != "HEAD"
        self._may_repeat = job.method in _REPEATABLE
        self._timeout = job.timeout
        self._expected = job.expect_status
        self._sent = 0
        self.repeated = 0
        self.bodies: Counter[str] = Counter()
        self.error: Exception | None = None
        # workers that all begin with the same address would favour it
        self._pool = ConnectionPool(
            target,
            most=job.slots // len(job.targets),
            timeout=job.timeout,
            first=job.share.index,
            ca_file=job.ca_file,
        )

    @property
    def requests(self) -> dict[str, int]:
        return self._pool.requests

    def send(self) -> int | str:
        """Send the request; return the status code, or the name of the error."""
        return self._attempt(self._send)

    def connect(self) -> int | str:
        """Connect without sending a request; return 0, or the name of the error."""
        return self._attempt(self._connect)

    def close(self) -> None:
        self._pool.close()

    def _attempt(self, work: Callable[[], int | str]) -> int | str:
        try:
            with Timeout(self._timeout):
                return work()
        except Timeout:
            self.error = TimeoutError()
        except Exception as error:  # whatever it is, it is a result
            self.error = error
        return type(self.error).__name__

    def _connect(self) -> int:
        self._pool.give_back(self._pool.take())
        return 0

    def _send(self) -> int | str:
        self._sent += 1
        connection = self._pool.take()
        try:
            return self._received(connection)
        except HTTPConnectionClosed:
            if not self._was_closed_idle(connection):
                raise
        self.repeated += 1
        return self._received(self._pool.take(new=True))

    def _was_closed_idle(self, connection: PooledConnection) -> bool:
        return (
            self._may_repeat
            and (connection.idle_for or 0.0) >= _IDLE
            and self.repeated <= _REPEATED_SHARE * self._sent
        )

    def _received(self, connection: PooledConnection) -> int | str:
        try:
            response = self._exchange(connection)
        except BaseException:
            self._pool.drop(connection)
            raise
        if response.is_reusable:
            self._pool.give_back(connection)
        else:
            self._pool.drop(connection)
        status = response.status
        if self._expected and status < 400 and status not in self._expected:
            return f"{UNEXPECTED_STATUS} {status}"
        self.bodies[str(status)] += response.body_size
        return status

    def _exchange(self, connection: PooledConnection) -> Response:
        response = Response(connection.sock, has_body=self._has_body)
        try:
            connection.sock.sendall(self._request)
        except (BrokenPipeError, ConnectionResetError):
            # a target that does not want the body may have answered before it closed
            response.read()
            response.is_reusable = False
        else:
            response.read()
        return response


def _request(job: EngineJob, target: RequestTarget) -> bytes:
    """The request as it is sent; all requests of a run are identical."""
    body = (job.body or "").encode()
    own = [("Host", target.authority), ("User-Agent", f"tm/{__version__}")]
    if body or job.method in _WITH_CONTENT:
        own.append(("Content-Length", str(len(body))))
    given = {name.lower() for name, _ in job.headers}
    headers = [(name, value) for name, value in own if name.lower() not in given]
    lines = [f"{job.method} {target.request_target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in [*headers, *job.headers]]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
