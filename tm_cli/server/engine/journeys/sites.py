"""The origins that a journey sends requests to, each with connections of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from urllib.parse import urljoin

from tm_cli.server.engine.http1.connections import Connection, ConnectionPool
from tm_cli.server.engine.http1.response import HTTPConnectionClosed, Response
from tm_cli.server.engine.job import EngineJob, RequestTarget
from tm_cli.server.engine.journeys.plan import Step

_IDLE = 0.5  # seconds after which a connection counts as idle
_REPEATED_SHARE = 0.05  # of all requests; more is not explained by connections that were idle


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
        # workers that all begin with the same address would favour it
        self.pool = ConnectionPool(
            target,
            most=job.slots // len(job.targets),
            timeout=job.timeout,
            first=job.share.index,
            ca_file=job.ca_file,
            certificate=job.client_certificate if is_target else None,
        )

    def exchange(
        self,
        request: bytes,
        respond: Callable[[Connection], Response],
        owned: Owned | None,
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
            if not (may_repeat and self._was_closed_idle(connection)):
                raise
        self.repeated += 1
        return self._received(self.pool.take(new=True), request, respond, owned)

    def _take(self, owned: Owned | None) -> Connection:
        if owned is None:
            return self.pool.take()
        if self not in owned:
            return self.pool.take(new=True)
        return self.pool.resume(owned.pop(self))

    def _was_closed_idle(self, connection: Connection) -> bool:
        is_rare = self.repeated <= _REPEATED_SHARE * self._sent
        return is_rare and (connection.idle_for or 0.0) >= _IDLE

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


class RedirectRefused(Exception):
    """A redirect to a place that was not checked at the start, or to none at all."""


class Sites:
    """The target, and the other origins that were checked at the start."""

    def __init__(self, job: EngineJob, target: RequestTarget) -> None:
        self.target = Site(job, target, is_target=True)
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
