"""Plays visits: the steps of a journey, one after the other, for each arrival of the curve."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from random import Random

import gevent
from gevent import Timeout

from tm_cli import __version__
from tm_cli.server.engine.http1.connections import REPEATABLE
from tm_cli.server.engine.http1.response import Response
from tm_cli.server.engine.http1.site import Owned
from tm_cli.server.engine.job import LARGEST_FOR_SCRIPT, EngineJob, RequestTarget
from tm_cli.server.engine.journeys.answers import MOST_KEPT, Answer, extract, fields_of
from tm_cli.server.engine.journeys.cookies import CookieJar
from tm_cli.server.engine.journeys.plan import FOR_ALL_ORIGINS, Journey, Step, Think
from tm_cli.server.engine.journeys.sites import Sites
from tm_cli.server.engine.played import Played, StepResult
from tm_cli.server.engine.templates import BadValue, Template, in_header, in_url
from tm_cli.server.engine.time_limit import TimeLimit
from tm_cli.values.failures import MISSING_VALUE, UNEXPECTED_STATUS

_WITH_CONTENT = {"POST", "PUT", "PATCH"}
_REDIRECTS = {301, 302, 303, 307, 308}
_OF_CONTENT = {"content-type", "content-encoding", "content-language"}


OnResponse = Callable[[Mapping[str, str], Response], object]
"""Gets the variables of a visitor, and the final response to a step; it must not wait."""


class TooManyRedirects(Exception):
    """More than `followRedirects` allows."""


class MissingValue(Exception):
    """A macro without a value: its extraction has failed, or its step was not played."""


class JourneyClient:
    """Plays the journey of a job against one of its targets.

    A profile without steps is a journey of one request. Connections are shared by the visitors,
    the most recently used one first; with cookies each visitor has connections of its own.
    """

    def __init__(
        self, job: EngineJob, target: RequestTarget, on_response: OnResponse | None = None
    ) -> None:
        self.on_response = on_response
        self.journey = Journey.of(job, target)
        self.variables = job.variables
        self.time_limit = TimeLimit(job.timeout)
        self.expected = job.expect_status or frozenset()
        self.has_cookies = job.cookies
        self.has_steps = bool(job.steps)
        self.random = Random()  # noqa: S311 - it draws steps and times to think
        self.sites = Sites(job, target)
        self.bodies: Counter[str] = Counter()
        self.error: Exception | None = None

    @property
    def requests(self) -> Mapping[str, int]:
        return self.sites.target.pool.requests

    @property
    def repeated(self) -> int:
        return sum(site.repeated for site in self.sites)

    def send(self, number: int = 0) -> int | str | Played:
        """Play one visit, with the data of the arrival of this number."""
        visit = _Visit(self, self.variables.of(number))
        played = visit.play()
        if isinstance(played.result, int):
            self.bodies[str(played.result)] += visit.body_size
        if self.has_steps:
            return played
        return visit.steps[0].result

    def connect(self) -> int | str:
        """Connect to the target without sending a request; return 0, or the name of the error."""
        pool = self.sites.target.pool
        try:
            with self.time_limit:
                pool.give_back(pool.take())
        except Timeout:
            self.error = TimeoutError()
        except Exception as error:
            self.error = error
        else:
            return 0
        return type(self.error).__name__

    def close(self) -> None:
        for site in self.sites:
            site.pool.close()


class _Visit:
    """One visitor on the way through the journey."""

    def __init__(self, client: JourneyClient, variables: dict[str, str]) -> None:
        self._client = client
        self._variables = variables
        self._jar = CookieJar() if client.has_cookies else None
        self._owned: Owned | None = {} if client.has_cookies else None
        self._thinking = 0.0
        self._error: str | None = None
        self.steps: list[StepResult] = []
        self.body_size = 0

    def play(self) -> Played:
        try:
            for part in self._client.journey.visit(self._client.random):
                if isinstance(part, Think):
                    self._think(part)
                elif not self._play(part) and not part.goes_on:
                    break
        finally:
            for site, connection in (self._owned or {}).items():
                site.pool.drop(connection)
        result = self.steps[-1].result if self._error is None else self._error
        return Played(result, self._thinking, self.steps)

    def _think(self, part: Think) -> None:
        began = time.monotonic()
        gevent.sleep(self._client.random.uniform(part.shortest, part.longest))
        self._thinking += time.monotonic() - began

    def _play(self, step: Step) -> bool:
        """Play a step; whether it has succeeded."""
        try:
            exchange = _Exchange(self._client, step, self._variables, self._jar, self._owned)
        except MissingValue as error:
            return self._note(step, 0.0, f"{MISSING_VALUE} {error}")
        except (BadValue, UnicodeEncodeError):  # of a lone surrogate
            return self._note(step, 0.0, BadValue.__name__)
        began, ended = time.monotonic(), None
        result: int | str
        try:
            with self._client.time_limit:
                response = exchange.run()
            ended = time.monotonic()
            self.body_size += response.body_size
            if self._client.on_response:
                self._client.on_response(self._variables, response)
            result = self._judged(step, response, ended - began)
        except Timeout:
            result = "TimeoutError"
        except Exception as error:  # whatever it is, it is a result
            self._client.error = error
            result = type(error).__name__
        return self._note(step, (ended or time.monotonic()) - began, result)

    def _judged(self, step: Step, response: Response, seconds: float) -> int | str:
        """The status, or the name of what is wrong with the answer."""
        status = response.status
        if status >= 400:
            return status
        has_own = step.checks is not None and step.checks.status is not None
        if self._client.expected and not has_own and status not in self._client.expected:
            return f"{UNEXPECTED_STATUS} {status}"
        if step.checks is None and not step.extractions:
            return status
        answer = Answer.of(response)
        failure = step.checks.failure(answer, seconds) if step.checks else None
        return failure or extract(step.extractions, answer, self._variables) or status

    def _note(self, step: Step, seconds: float, result: int | str) -> bool:
        self.steps.append(StepResult(step.name, seconds, result))
        is_success = isinstance(result, int) and result < 400
        if not is_success and self._error is None:
            self._error = f"{step.name}: {result}"
        return is_success


class _Exchange:
    """The request of a step and its response, or those of all its redirects."""

    def __init__(
        self,
        client: JourneyClient,
        step: Step,
        variables: Mapping[str, str],
        jar: CookieJar | None,
        owned: Owned | None,
    ) -> None:
        self._sites = client.sites
        self._step = step
        self._keep = LARGEST_FOR_SCRIPT if client.on_response else 0
        self._jar = jar
        self._owned = owned
        self._site = client.sites.of_step(step)
        self._path = _rendered(step.url, variables, in_url)
        self._method = step.method
        self._headers = [
            (name, _rendered(value, variables, in_header)) for name, value in step.headers
        ]
        self._body = _rendered(step.body, variables).encode() if step.body else b""

    def run(self) -> Response:
        for _ in range(self._step.redirects + 1):
            response = self._send()
            location = self._location(response)
            if location is None:
                return response
            self._follow(response.status, location)
        raise TooManyRedirects

    def _send(self) -> Response:
        response = self._site.exchange(
            self._request(),
            lambda connection: Response(
                connection,
                has_body=self._method != "HEAD",
                keep=MOST_KEPT + 1 if self._step.needs_body else self._keep,
            ),
            self._owned,
            may_repeat=self._method in REPEATABLE,
        )
        if self._jar is not None:
            set_by = [value for name, value in fields_of(response.head) if name == "set-cookie"]
            target = self._site.target
            self._jar.take(set_by, target.host, self._path, is_tls=target.is_tls)
        return response

    def _location(self, response: Response) -> str | None:
        """Where the response redirects to, if that is to be followed."""
        if not self._step.redirects or response.status not in _REDIRECTS:
            return None
        found = [value for name, value in fields_of(response.head) if name == "location"]
        return found[0] if found else None

    def _follow(self, status: int, location: str) -> None:
        """Go where a redirect leads, by the rules of RFC 9110, section 15.4."""
        site, self._path = self._sites.of_redirect(self._site, self._path, location)
        if site is not self._site:
            self._site = site
            self._headers = [
                header for header in self._headers if header[0].lower() in FOR_ALL_ORIGINS
            ]
        is_changed = status == 303 and self._method != "HEAD"
        if is_changed or (status in (301, 302) and self._method == "POST"):
            self._method, self._body = "GET", b""
            self._headers = [
                header for header in self._headers if header[0].lower() not in _OF_CONTENT
            ]

    def _request(self) -> bytes:
        target = self._site.target
        own = [
            ("Host", target.authority),
            ("User-Agent", f"tm/{__version__}"),
            ("Accept-Encoding", "identity"),
        ]
        if self._body or self._method in _WITH_CONTENT:
            own.append(("Content-Length", str(len(self._body))))
        given = {name.lower() for name, _ in self._headers}
        headers = [(name, value) for name, value in own if name.lower() not in given]
        headers += self._headers
        lines = [f"{self._method} {self._path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in _with_cookies(headers, self._cookie())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self._body

    def _cookie(self) -> str:
        target = self._site.target
        if self._jar is None:
            return ""
        return self._jar.header(target.host, self._path, is_tls=target.is_tls)


def _with_cookies(headers: list[tuple[str, str]], cookies: str) -> list[tuple[str, str]]:
    """The headers with the visitor's cookies; a request has one `Cookie` field at most."""
    if not cookies:
        return headers
    written = [value for name, value in headers if name.lower() == "cookie"]
    others = [header for header in headers if header[0].lower() != "cookie"]
    return [*others, ("Cookie", "; ".join([*written, cookies]))]


def _rendered(
    template: Template,
    variables: Mapping[str, str],
    encode: Callable[[str], str] | None = None,
) -> str:
    if template.names:
        missing = template.names - variables.keys()
        if missing:
            raise MissingValue(min(missing))
    return template.render(variables, encode)
