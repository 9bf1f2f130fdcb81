"""Requests that a response script asks for: to the same origin, limited, and counted apart."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urljoin

import gevent
from gevent import Timeout
from gevent.lock import Semaphore
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from tm_cli.server.engine.http1.connections import REPEATABLE
from tm_cli.server.engine.http1.requests import RequestTemplate
from tm_cli.server.engine.http1.response import Response
from tm_cli.server.engine.http1.site import Site
from tm_cli.server.engine.job import MOST_FOLLOW_UPS, EngineJob, RequestTarget
from tm_cli.server.engine.played import MOST_ERRORS, OTHER_ERRORS, Names, StepCounts
from tm_cli.server.engine.time_limit import TimeLimit

MOST_PER_RESPONSE = 5
LONGEST_DELAY = 60_000
"""Milliseconds."""
_MOST_WAITING = 1000
_MOST_PER_SECOND = 10_000
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_OF_CONTENT = {"content-type", "content-encoding", "content-language"}
_LONGEST_URL = 2048


def _method(text: str) -> str:
    if text not in _METHODS:
        raise ValueError("not a method")
    return text


class _Asked(BaseModel):
    """What a script returns for each request."""

    model_config = ConfigDict(strict=True)

    url: Annotated[str, Field(max_length=_LONGEST_URL)]
    method: Annotated[str, AfterValidator(str.upper), AfterValidator(_method)] = "GET"
    delay: Annotated[float, Field(alias="delayMs", ge=0, le=LONGEST_DELAY)] = 0.0

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, item: Any) -> Any:
        """A text is a URL, and a null the same as nothing."""
        if isinstance(item, dict):
            return {key: each for key, each in item.items() if each is not None}
        return {"url": item}


FollowUp = tuple[str, RequestTarget, float]
"""Method, where to, and the delay in seconds."""


class FollowUps:
    """Sends follow-up requests; what they are answered with goes to no script."""

    def __init__(self, job: EngineJob) -> None:
        self._job = job
        self._targets = job.targets
        self._sites: dict[int, Site] = {}
        self._time_limit = TimeLimit(job.timeout)
        self._room = Semaphore(MOST_FOLLOW_UPS)
        self._waiting: set[gevent.Greenlet] = set()
        left = (job.max_rps or _MOST_PER_SECOND) - job.curve.highest_rate
        self._budget = _Budget(max(left, 0.0) / job.share.count)
        self._headers = [pair for pair in job.headers if pair[0].lower() not in _OF_CONTENT]
        self._names = Names(MOST_ERRORS, OTHER_ERRORS)
        self.sent = self._refused = self.dropped = 0
        self._counts = StepCounts()
        self._document: dict[str, Any] | None = None

    @property
    def is_idle(self) -> bool:
        return not self._waiting

    def take(self, side: int, asked: Any, variables: Mapping[str, str]) -> None:
        """Send what a script has returned, if it is a list of requests.

        `variables` are those of the request whose response it was; the headers may have macros.
        """
        if not isinstance(asked, list):
            return
        self._refused += max(len(asked) - MOST_PER_RESPONSE, 0)
        for item in asked[:MOST_PER_RESPONSE]:
            if (found := self._read(side, item)) is None:
                self._refused += 1
            elif len(self._waiting) >= _MOST_WAITING or not self._budget.takes():
                self.dropped += 1
            else:
                self._spawn(side, *found, variables)

    def close(self) -> None:
        """Give up what is still to be sent or answered."""
        self.dropped += len(self._waiting)
        gevent.killall(list(self._waiting))
        for site in self._sites.values():
            site.pool.close()

    def counts(self) -> dict[str, Any]:
        if self._document is None or self._counts.has_changed:
            self._document = self._counts.document()
        return {
            "sent": self.sent,
            "refused": self._refused,
            "dropped": self.dropped,
            **self._document,
        }

    def _read(self, side: int, item: Any) -> FollowUp | None:
        """What an item asks for; None where it is no request, or one to another origin."""
        try:
            asked = _Asked.model_validate(item)
        except ValidationError:
            return None
        target = self._target(side, asked.url)
        return (asked.method, target, asked.delay / 1000) if target else None

    def _target(self, side: int, url: str) -> RequestTarget | None:
        """Where a URL leads, relative to the target of this side; its origin is the only one."""
        own = self._targets[side]
        scheme = "https" if own.is_tls else "http"
        try:
            whole = urljoin(f"{scheme}://{own.authority}{own.request_target}", url)
            found = RequestTarget.parse(whole.partition("#")[0], own.addresses)
        except ValueError:
            return None
        return found if found.origin == own.origin else None

    def _spawn(
        self,
        side: int,
        method: str,
        target: RequestTarget,
        delay: float,
        variables: Mapping[str, str],
    ) -> None:
        greenlet = gevent.spawn_later(delay, self._send, side, method, target, variables)
        self._waiting.add(greenlet)
        greenlet.link(self._waiting.discard)

    def _send(
        self, side: int, method: str, target: RequestTarget, variables: Mapping[str, str]
    ) -> None:
        if side not in self._sites:
            self._sites[side] = Site(self._job, self._targets[side], is_target=True)
        with self._room:
            self.sent += 1
            began = time.monotonic()
            result = self._result(self._sites[side], method, target, variables)
            self._counts.count(time.monotonic() - began, result)

    def _result(
        self, site: Site, method: str, target: RequestTarget, variables: Mapping[str, str]
    ) -> int | str:
        """The status, or the name of the error."""
        try:
            request = RequestTemplate(method, target, self._headers, None).render(variables)
            with self._time_limit:
                return site.exchange(
                    request,
                    lambda connection: Response(connection, has_body=method != "HEAD"),
                    may_repeat=method in REPEATABLE,
                ).status
        except Timeout:
            return "TimeoutError"
        except Exception as error:  # whatever it is, it is a result
            return self._names.bounded(type(error).__name__)


class _Budget:
    """A number of requests per second, at most as many at once."""

    def __init__(self, per_second: float) -> None:
        self._per_second = self._left = per_second
        self._since = time.monotonic()

    def takes(self) -> bool:
        now = time.monotonic()
        self._left = min(self._per_second, self._left + (now - self._since) * self._per_second)
        self._since = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
