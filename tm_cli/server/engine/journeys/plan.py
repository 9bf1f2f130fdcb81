"""The plan of a visit: which steps in which order, and how long it may take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from random import Random
from typing import Any
from urllib.parse import urlsplit

from tm_cli.server.engine.job import EngineJob, OriginKey, RequestTarget, quoted
from tm_cli.server.engine.journeys.answers import Checks, Extraction
from tm_cli.server.engine.templates import Template
from tm_cli.values.load.journeys.steps import request_of, step_name

FOR_ALL_ORIGINS = {"accept", "accept-encoding", "accept-language", "content-type", "user-agent"}
"""Headers that may also be sent to another origin than the one they were written for."""


@dataclass(frozen=True, slots=True)
class Think:
    """A pause of the visitor, in seconds."""

    shortest: float
    longest: float


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A request, and what is wanted of its answer.

    `origin` is where it goes, None for the target; `url` is the path there with its query. A
    visitor `goes_on` after an error or not.
    """

    name: str
    method: str
    url: Template
    origin: OriginKey | None = None
    headers: tuple[tuple[str, Template], ...] = ()
    body: Template | None = None
    checks: Checks | None = None
    extractions: tuple[Extraction, ...] = ()
    redirects: int = 0
    goes_on: bool = False

    @property
    def needs_body(self) -> bool:
        of_checks = self.checks is not None and self.checks.needs_body
        return of_checks or any(each.needs_body for each in self.extractions)


@dataclass(frozen=True, slots=True)
class Choice:
    """Steps of which one is drawn, with a probability in proportion to its weight."""

    steps: tuple[Step, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Journey:
    """What each visitor plays; there is one plan for all of them."""

    parts: tuple[Think | Step | Choice, ...]

    def visit(self, random: Random) -> Iterator[Think | Step]:
        """The steps of one visitor."""
        for part in self.parts:
            if isinstance(part, Choice):
                yield random.choices(part.steps, part.weights)[0]
            else:
                yield part

    @classmethod
    def of(cls, job: EngineJob, target: RequestTarget) -> Journey:
        """The journey of a job, against one of its targets."""
        if not job.steps:
            return cls((_single(job, target),))
        parts: list[Think | Step | Choice] = []
        for is_drawn, group in groupby(job.steps, key=lambda step: "weight" in step):
            steps = list(group)
            if is_drawn:
                weights = tuple(step["weight"] for step in steps)
                parts.append(Choice(tuple(_step(step, job, target) for step in steps), weights))
            else:
                parts += [_part(step, job, target) for step in steps]
        while isinstance(parts[-1], Think):  # there is nothing to wait for
            parts.pop()
        return cls(tuple(parts))


def _single(job: EngineJob, target: RequestTarget) -> Step:
    """The only request of a profile without steps."""
    return Step(
        name="",
        method=job.method,
        url=Template.compile(target.request_target),
        headers=_templates(job.headers),
        body=Template.compile(job.body) if job.body else None,
        checks=Checks.of(job.checks or {}),
        redirects=job.follow_redirects,
    )


def _part(step: Mapping[str, Any], job: EngineJob, target: RequestTarget) -> Think | Step:
    return Think(*step["think"]) if "think" in step else _step(step, job, target)


def _step(step: Mapping[str, Any], job: EngineJob, target: RequestTarget) -> Step:
    """A step in the form of the API; what the job says holds unless a step has its own."""
    method, url = request_of(step)
    path, origin = _place(url, job, target)
    return Step(
        name=step_name(step),
        method=method,
        url=Template.compile(quoted(path)),
        origin=origin,
        headers=_joined(job.headers, step.get("headers") or {}, is_elsewhere=origin is not None),
        body=Template.compile(step["body"]) if step.get("body") else None,
        checks=Checks.of({**(job.checks or {}), **step.get("checks", {})}),
        extractions=Extraction.all_of(step.get("extract") or {}),
        redirects=step.get("followRedirects", job.follow_redirects),
        goes_on=step.get("continueOnError", False),
    )


def _place(url: str, job: EngineJob, target: RequestTarget) -> tuple[str, OriginKey | None]:
    """The path with its query, and the origin; None for the target of this side.

    An absolute URL at the profile's own target means this side's target as well.
    """
    if url.startswith("/"):
        return target.request_target.rstrip("/") + url, None
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    origin = RequestTarget.parse(f"{parts.scheme}://{parts.netloc}").origin
    return path, None if origin == RequestTarget.parse(job.target_url).origin else origin


def _joined(
    headers: Sequence[tuple[str, str]], own: Mapping[str, str], *, is_elsewhere: bool
) -> tuple[tuple[str, Template], ...]:
    """The headers of a step: its own, and those of all steps that it does not have itself."""
    given = {name.lower() for name in own}
    kept = [
        (name, value)
        for name, value in headers
        if name.lower() not in given and (not is_elsewhere or name.lower() in FOR_ALL_ORIGINS)
    ]
    return _templates([*kept, *own.items()])


def _templates(headers: Sequence[tuple[str, str]]) -> tuple[tuple[str, Template], ...]:
    return tuple((name, Template.compile(value)) for name, value in headers)
