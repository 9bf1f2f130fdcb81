"""Queues due requests between the dispatcher and the slots, which send them to the target."""

import itertools
from collections.abc import Callable, Sequence
from typing import Protocol

from gevent import Timeout

from tm_cli import __version__
from tm_cli.server.engine.connections import ConnectionPool, PooledConnection
from tm_cli.server.engine.job import EngineJob, RequestTarget
from tm_cli.server.engine.recorder import OpenBucket, Recorder
from tm_cli.server.engine.response import Response

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
        send: Sequence[Callable[[], int | str]],
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


class TargetClient:
    """Sends the job's request over kept-alive connections, the most recently used one first.

    TLS certificates are verified, redirects are not followed, bodies are read and dropped without
    being decoded. Proxy variables of the environment are ignored: load belongs on the target.
    """

    def __init__(self, job: EngineJob, target: RequestTarget) -> None:
        self._request = _request(job, target)
        self._has_body = job.method != "HEAD"
        self._timeout = job.timeout
        # workers that all begin with the same address would favour it
        self._pool = ConnectionPool(
            target,
            most=job.slots // len(job.targets),
            timeout=job.timeout,
            first=job.share.index,
        )

    @property
    def requests(self) -> dict[str, int]:
        return self._pool.requests

    def send(self) -> int | str:
        """Send the request; return the status code, or the name of the error."""
        try:
            with Timeout(self._timeout):
                return self._send()
        except Timeout:
            return TimeoutError.__name__
        except Exception as error:  # whatever it is, it is a result
            return type(error).__name__

    def close(self) -> None:
        self._pool.close()

    def _send(self) -> int:
        connection = self._pool.take()
        try:
            response = self._exchange(connection)
        except BaseException:
            self._pool.drop(connection)
            raise
        if response.is_reusable:
            self._pool.give_back(connection)
        else:
            self._pool.drop(connection)
        return response.status

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
