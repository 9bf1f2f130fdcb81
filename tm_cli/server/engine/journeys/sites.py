"""The origins that a journey sends requests to, each with connections of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urljoin

from tm_cli.server.engine.connections import ConnectionPool, PooledConnection
from tm_cli.server.engine.job import EngineJob, RequestTarget
from tm_cli.server.engine.journeys.answers import MOST_KEPT
from tm_cli.server.engine.journeys.plan import Step
from tm_cli.server.engine.response import HTTPConnectionClosed, Response

_IDLE = 0.5  # seconds after which a connection counts as idle
_REPEATED_SHARE = 0.05  # of all requests; more is not explained by connections that were idle


class KeptResponse(Response):
    """A response of which the head is kept, and the body if it is wanted and not too large."""

    def __init__(self, source: Any, *, has_body: bool, keeps_body: bool) -> None:
        super().__init__(source, has_body=has_body)
        self._kept_head = b""
        self._keeps_body = keeps_body
        self._body = bytearray()

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The header fields; their names in lower case."""
        lines = self._kept_head.decode("latin-1").split("\n")[1:]
        pairs = (line.partition(":") for line in lines)
        return [(name.lower(), value.strip()) for name, _, value in pairs]

    @property
    def body(self) -> bytes | None:
        """The body as it was sent; None where it was not kept."""
        return bytes(self._body) if self._keeps_body else None

    def _final_head(self) -> bytes:
        self._kept_head = super()._final_head()
        return self._kept_head

    def _skip(self, count: int) -> None:
        self._keeps_body = self._keeps_body and len(self._body) + count <= MOST_KEPT
        if self._keeps_body:
            while len(self._buffer) < count:
                self._receive_more()
            self._body += self._buffer[:count]
        super()._skip(count)

    def _skip_data(self, data: bytes | bytearray) -> None:
        super()._skip_data(data)
        self._keeps_body = self._keeps_body and len(self._body) + len(data) <= MOST_KEPT
        if self._keeps_body:
            self._body += data


Owned = dict["Site", tuple[PooledConnection, float]]
"""The connections of one visitor, and since when they are idle."""


class Site:
    """One origin: an address, connections to it, and what was sent there.

    A request whose connection was closed by the target while it was idle is sent once more, as
    RFC 9112, section 9.3.1, lets a client do; `repeated` counts that.
    """

    def __init__(self, job: EngineJob, target: RequestTarget) -> None:
        self.target = target
        self.repeated = 0
        self._sent = 0
        # workers that all begin with the same address would favour it
        self.pool = ConnectionPool(
            target,
            most=job.slots // len(job.targets),
            timeout=job.timeout,
            first=job.share.index,
            ca_file=job.ca_file,
        )

    def exchange(
        self,
        request: bytes,
        respond: Callable[[Any], KeptResponse],
        owned: Owned | None,
        *,
        may_repeat: bool,
    ) -> KeptResponse:
        """Send a request and read its response, which `respond` makes of a connection.

        With `owned` the connection is the visitor's own, and kept there for its next request.
        """
        self._sent += 1
        connection = self._take(owned)
        try:
            return self._received(connection, request, respond, owned)
        except HTTPConnectionClosed:
            if not (may_repeat and self._was_closed_idle(connection)):
                raise
        self.repeated += 1
        return self._received(self.pool.take(new=True), request, respond, owned)

    def _take(self, owned: Owned | None) -> PooledConnection:
        if owned is None:
            return self.pool.take()
        if self not in owned:
            return self.pool.take(new=True)
        connection, since = owned.pop(self)
        return self.pool.resume(connection, time.monotonic() - since)

    def _was_closed_idle(self, connection: PooledConnection) -> bool:
        is_rare = self.repeated <= _REPEATED_SHARE * self._sent
        return is_rare and (connection.idle_for or 0.0) >= _IDLE

    def _received(
        self,
        connection: PooledConnection,
        request: bytes,
        respond: Callable[[Any], KeptResponse],
        owned: Owned | None,
    ) -> KeptResponse:
        try:
            response = respond(connection.sock)
            _exchange(connection, request, response)
        except BaseException:
            self.pool.drop(connection)
            raise
        if not response.is_reusable:
            self.pool.drop(connection)
        elif owned is None:
            self.pool.give_back(connection)
        else:
            owned[self] = connection, time.monotonic()
        return response


def _exchange(connection: PooledConnection, request: bytes, response: KeptResponse) -> None:
    try:
        connection.sock.sendall(request)
    except (BrokenPipeError, ConnectionResetError):
        # a target that does not want the body may have answered before it closed
        response.read()
        response.is_reusable = False
    else:
        response.read()


class RedirectRefused(Exception):
    """A redirect to a place that was not checked at the start, or to none at all."""


class Sites:
    """The target, and the other origins that were checked at the start."""

    def __init__(self, job: EngineJob, target: RequestTarget) -> None:
        self.target = Site(job, target)
        self._sites = {target.origin: self.target}
        for origin in job.origins:
            found = RequestTarget.parse(origin.url, origin.addresses)
            self._sites.setdefault(found.origin, Site(job, found))

    def __iter__(self) -> Iterator[Site]:
        return iter(self._sites.values())

    def of_step(self, step: Step) -> Site:
        return self._sites[step.origin] if step.origin else self.target

    def of_redirect(self, site: Site, path: str, location: str) -> tuple[Site, str]:
        """Where a redirect leads: a known origin, and the path there."""
        scheme = "https" if site.target.is_tls else "http"
        try:
            url = urljoin(f"{scheme}://{site.target.authority}{path}", location)
            found = RequestTarget.parse(url.partition("#")[0])
        except ValueError:
            raise RedirectRefused from None
        if found.origin not in self._sites:
            raise RedirectRefused
        return self._sites[found.origin], found.request_target
