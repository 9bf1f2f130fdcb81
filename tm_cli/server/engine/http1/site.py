"""What is sent to one origin over kept-alive connections, and sent again where HTTP permits it."""

from __future__ import annotations

import time
from collections.abc import Callable

from tm_cli.server.engine.http1.connections import Connection, ConnectionPool, was_closed_idle
from tm_cli.server.engine.http1.response import HTTPConnectionClosed, Response
from tm_cli.server.engine.job import EngineJob, RequestTarget

Owned = dict["Site", Connection]
"""The connections of one visitor, idle between its requests."""


class Site:
    """One origin: an address, connections to it, and what was sent there.

    A request whose connection was closed by the target while it was idle is sent once more, as
    RFC 9112, section 9.3.1, lets a client do; `repeated` counts that.
    """

    def __init__(self, job: EngineJob, target: RequestTarget, *, is_target: bool = False) -> None:
        self.target = target
        self.repeated = 0
        self._sent = 0
        certificate = job.client_certificate if is_target else None
        self.pool = ConnectionPool.for_job(job, target, certificate=certificate)

    def exchange(
        self,
        request: bytes,
        respond: Callable[[Connection], Response],
        owned: Owned | None = None,
        *,
        may_repeat: bool,
    ) -> Response:
        """Send a request and read its response, which `respond` makes of a connection.

        With `owned` the connection is the visitor's own, and kept there for its next request.
        """
        self._sent += 1
        connection = self._take(owned)
        try:
            return self._received(connection, request, respond, owned)
        except HTTPConnectionClosed:
            idle_for = connection.idle_for or 0.0
            if not (may_repeat and was_closed_idle(idle_for, self.repeated, self._sent)):
                raise
        self.repeated += 1
        return self._received(self.pool.take(new=True), request, respond, owned)

    def _take(self, owned: Owned | None) -> Connection:
        if owned is None:
            return self.pool.take()
        if self not in owned:
            return self.pool.take(new=True)
        return self.pool.resume(owned.pop(self))

    def _received(
        self,
        connection: Connection,
        request: bytes,
        respond: Callable[[Connection], Response],
        owned: Owned | None,
    ) -> Response:
        try:
            response = respond(connection)
            _exchange(connection, request, response)
        except BaseException:
            self.pool.drop(connection)
            raise
        if not response.is_reusable:
            self.pool.drop(connection)
        elif owned is None:
            self.pool.give_back(connection)
        else:
            connection.since = time.monotonic()
            owned[self] = connection
        return response


def _exchange(connection: Connection, request: bytes, response: Response) -> None:
    try:
        connection.send(request)
    except (BrokenPipeError, ConnectionResetError):
        # a target that does not want the body may have answered before it closed
        response.read()
        response.is_reusable = False
    else:
        response.read()
