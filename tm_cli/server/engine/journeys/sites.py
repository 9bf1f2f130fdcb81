"""The origins that a journey sends requests to, each with connections of its own."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urljoin

from tm_cli.server.engine.http1.site import Site
from tm_cli.server.engine.job import EngineJob, RequestTarget
from tm_cli.server.engine.journeys.plan import Step


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
